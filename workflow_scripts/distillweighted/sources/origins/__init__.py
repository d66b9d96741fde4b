"""Where models come from, one module each with the same face (`origin.Origin`)."""
