"""Networks as `h o phi`: architectures, their heads, their cost, their files."""
