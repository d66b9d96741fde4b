"""Who does what: the configuration, the grid, and what each job is told."""
