"""Who teaches, and what they say of a target's images (section 3)."""
