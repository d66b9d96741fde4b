"""Every public data set by the name of its task.

A configuration is checked with these tables, so that importing them loads nothing heavy: NumPy,
SciPy and Pillow are loaded by the functions that need them.
"""

from __future__ import annotations

from distillweighted.tasks.datasets import vtab_natural, vtab_specialized
from distillweighted.tasks.datasets.birds import CUB200, NABIRD
from distillweighted.tasks.datasets.caltech101 import CALTECH101
from distillweighted.tasks.datasets.chestx import CHESTX
from distillweighted.tasks.datasets.cifar import CIFAR10
from distillweighted.tasks.datasets.dogs import STANFORD_DOGS
from distillweighted.tasks.datasets.eurosat import EUROSAT
from distillweighted.tasks.datasets.isic import ISIC
from distillweighted.tasks.datasets.pets import OXFORD_PETS
from distillweighted.tasks.datasets.voc2007 import VOC2007
from distillweighted.tasks.listing import DataSet

PAPER = (
    CIFAR10,
    CUB200,
    CHESTX,
    EUROSAT,
    ISIC,
    NABIRD,
    OXFORD_PETS,
    STANFORD_DOGS,
    CALTECH101,
    VOC2007,
)
"""The paper's data sets: its eight targets, and two from which it takes sources only."""

DATASETS: dict[str, DataSet] = {
    **{data_set.name: data_set for data_set in PAPER},
    **vtab_natural.DATASETS,
    **vtab_specialized.DATASETS,
}
"""Every data set: the paper's, and the others of VTAB Natural and Specialized."""
