"""Miniatures of EuroSAT and Caltech-101: one folder a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .pictures import make_picture, save_jpeg, vary_size

LANDS = (
    "AnnualCrop",
    "Forest",
    "HerbaceousVegetation",
    "Highway",
    "Industrial",
    "Pasture",
    "PermanentCrop",
    "Residential",
    "River",
    "SeaLake",
)


def write_eurosat(
    data_root: Path, *, classes: int, per_class: int, seed: int, size: int = 40
) -> None:
    """Write `eurosat/2750/`: square images of one size, numbered from 1."""
    for label, name in enumerate(LANDS[:classes]):
        for index in range(per_class):
            pixels = make_picture("eurosat", label, index, height=size, width=size, seed=seed)
            save_jpeg(data_root / "eurosat" / "2750" / name / f"{name}_{index + 1}.jpg", pixels)


def write_caltech101(
    data_root: Path, *, classes: int, per_class: int, seed: int, size: int = 40
) -> None:
    """Write `caltech101/101_ObjectCategories/`: the last image of each class is grey, and there is
    a folder of background, with a stray file."""
    folder = data_root / "caltech101" / "101_ObjectCategories"
    for label in range(classes):
        # Some names begin with a capital letter, and come first.
        name = f"Object_{label:02d}" if label < 2 else f"object_{label:02d}"
        for index in range(per_class):
            height, width = vary_size("caltech101", label, index, size=size, seed=seed)
            pixels = make_picture("caltech101", label, index, height=height, width=width, seed=seed)
            if index == per_class - 1:
                pixels = np.ascontiguousarray(pixels[:, :, 1])
            save_jpeg(folder / name / f"image_{index + 1:04d}.jpg", pixels)
    background = make_picture("caltech101", classes, 0, height=size, width=size, seed=seed)
    save_jpeg(folder / "BACKGROUND_Google" / "image_0001.jpg", background)
    (folder / "BACKGROUND_Google" / "tmp").write_bytes(b"")
