"""Miniatures of Oxford-IIIT Pets and Stanford Dogs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.io import savemat

from .pictures import is_test, make_picture, save_jpeg, vary_size, write_lines


def write_oxford_pets(
    data_root: Path, *, classes: int, per_class: int, seed: int, size: int = 40
) -> None:
    """Write `oxford-iiit-pet/`: class ids count from 1, and files are named by their class, of
    which some have an underscore in their names."""
    folder = data_root / "oxford-iiit-pet"
    lists: dict[str, list[str]] = {"trainval": [], "test": []}
    for label in range(classes):
        # Cats begin with a capital letter, and dogs do not.
        cat = label % 3 == 0
        name = f"Cat_breed_{label}" if cat else f"dog{label}"
        for index in range(per_class):
            image = f"{name}_{index + 1}"
            height, width = vary_size("oxford_pets", label, index, size=size, seed=seed)
            pixels = make_picture(
                "oxford_pets", label, index, height=height, width=width, seed=seed
            )
            save_jpeg(folder / "images" / f"{image}.jpg", pixels)
            line = f"{image} {label + 1} {1 if cat else 2} {label + 1}"
            lists["test" if is_test(index) else "trainval"].append(line)
    for name, lines in lists.items():
        write_lines(folder / "annotations" / f"{name}.txt", lines)


def write_stanford_dogs(
    data_root: Path, *, classes: int, per_class: int, seed: int, size: int = 40
) -> None:
    """Write `stanford_dogs/`: lists of MATLAB's format, whose class ids count from 1."""
    folder = data_root / "stanford_dogs"
    lists: dict[str, list[tuple[str, int]]] = {"train": [], "test": []}
    for label in range(classes):
        wordnet = f"n{2085620 + 162 * label:08d}"
        for index in range(per_class):
            file = f"{wordnet}-Breed_{label}/{wordnet}_{10 * index + 7}.jpg"
            height, width = vary_size("stanford_dogs", label, index, size=size, seed=seed)
            pixels = make_picture(
                "stanford_dogs", label, index, height=height, width=width, seed=seed
            )
            save_jpeg(folder / "Images" / file, pixels)
            lists["test" if is_test(index) else "train"].append((file, label + 1))
    for name, rows in lists.items():
        write_dogs_list(folder / f"{name}_list.mat", rows)


def write_dogs_list(path: Path, rows: list[tuple[str, int]]) -> None:
    """Write train_list.mat or test_list.mat: cell arrays of texts, and labels uint8 [n, 1]."""
    files = np.empty((len(rows), 1), object)
    annotations = np.empty((len(rows), 1), object)
    for row, (file, _) in enumerate(rows):
        files[row, 0], annotations[row, 0] = file, file.removesuffix(".jpg")
    labels = np.array([label for _, label in rows], np.uint8).reshape(-1, 1)
    savemat(path, {"file_list": files, "annotation_list": annotations, "labels": labels})
