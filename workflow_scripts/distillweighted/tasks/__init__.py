"""What is learned: images and labels on disk (sections 3 and 5.1 of the paper)."""
