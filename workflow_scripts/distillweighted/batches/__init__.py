"""From disk to the device: views, batches and one pass of a network over them."""
