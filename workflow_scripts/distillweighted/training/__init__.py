"""How students and sources are trained (eqs. 1 to 4)."""
