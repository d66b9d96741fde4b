"""Miniature copies of the paper's data sets, in their published layouts, with generated images.

Each writer writes `classes` classes of `per_class` images; of a data set with an official split,
every fourth image of a class is for testing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .birds import write_cub200, write_nabird
from .breeds import write_oxford_pets, write_stanford_dogs
from .cifar import write_cifar10
from .folders import write_caltech101, write_eurosat
from .medical import write_chestx, write_isic
from .voc2007 import write_voc2007

WRITERS: dict[str, Callable[..., None]] = {
    "cifar10": write_cifar10,
    "cub200": write_cub200,
    "chestx": write_chestx,
    "eurosat": write_eurosat,
    "isic": write_isic,
    "nabird": write_nabird,
    "oxford_pets": write_oxford_pets,
    "stanford_dogs": write_stanford_dogs,
    "caltech101": write_caltech101,
    "voc2007": write_voc2007,
}
"""The writer of each data set, by the name of its task."""


def write_all(data_root: Path, *, classes: int = 5, per_class: int = 8, seed: int = 0) -> None:
    """Write a miniature of every data set.

    Args:
        data_root: Where to; created.
        classes: Classes of each, at most 7.
        per_class: Images a class, at least 4.
        seed: Seed of the images.
    """
    for write in WRITERS.values():
        write(data_root, classes=classes, per_class=per_class, seed=seed)
