"""The public data sets, read in their published layouts."""

from distillweighted.tasks.datasets.registry import DATASETS, PAPER
from distillweighted.tasks.datasets.vtab_natural import VTAB_NATURAL
from distillweighted.tasks.datasets.vtab_specialized import VTAB_SPECIALIZED

__all__ = ["DATASETS", "PAPER", "VTAB_NATURAL", "VTAB_SPECIALIZED"]
