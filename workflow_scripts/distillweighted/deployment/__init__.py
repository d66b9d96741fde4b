"""A finished student as something to use: programs, a script, its accuracy, a card and a page."""
