"""Distilling from similar tasks for transfer learning on a budget.

The rooms follow the paper's order: `tasks` (what is learned), `batches` and `networks` (what a
network sees, and what it is), `sources` (who teaches), `similarity` (who is near, section 4) and
`weights` (eq. 5), `losses` and `training` (eqs. 1 to 4), `analysis` (tables and figures),
`deployment` (a student to use). `methods` is Table 1 as a table; `workflow` is the configuration,
the grid, and what each job is told (`Run`).
A room imports from those below it alone: errors, jobs, seeds, methods, losses, weights; files,
analysis, tasks, networks, similarity, batches, sources, training, deployment,
workflow.
Nothing is imported here, so that a step that only counts or plots never loads torch.
"""

__version__ = "0.1.0"
