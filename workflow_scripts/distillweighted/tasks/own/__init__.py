"""Tasks of a user's own: folders of images, or a table of them."""
