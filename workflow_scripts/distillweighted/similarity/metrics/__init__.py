"""The metrics, one module each: features or probabilities and labels in, one number out."""
