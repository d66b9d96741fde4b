"""Distilling from similar tasks for transfer learning on a budget.

The modules follow the paper's order: tasks and data (`embedded`, `data`), source models (`models`,
`pretraining`, `inference`), task similarity (`similarity`), source weights (`weights`), losses
(`losses`), student training (`training`), the grid of runs (`grid`), tables and figures.
Nothing is imported here, so that a step that only counts or plots never loads torch.
"""

__version__ = "0.1.0"
