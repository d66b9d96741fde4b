"""Miniatures of CUB-200-2011 and NABirds: four lists with an id each line."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np

from distillweighted.seeds import derive_seed

from .pictures import is_test, make_picture, save_jpeg, vary_size, write_lines


def write_cub200(
    data_root: Path, *, classes: int, per_class: int, seed: int, size: int = 40
) -> None:
    """Write `CUB_200_2011/`: image and class ids count from 1, and folders name the class."""
    folder = data_root / "CUB_200_2011"
    names = [f"{label + 1:03d}.Bird_{label + 1}" for label in range(classes)]
    images = []
    for label, name in enumerate(names):
        for index in range(per_class):
            file = f"{name}/{name[4:]}_{index + 1:04d}_{1000 + 7 * len(images)}.jpg"
            images.append((str(len(images) + 1), file, label, index))
    class_ids = [str(label + 1) for label in range(classes)]
    write_lines(folder / "classes.txt", [f"{i} {name}" for i, name in zip(class_ids, names)])
    _write(folder, "cub200", images, class_ids, seed, size)


def write_nabird(
    data_root: Path, *, classes: int, per_class: int, seed: int, size: int = 40
) -> None:
    """Write `nabirds/`: ids of images are UUIDs, whose dashes files do not have, and go through the
    classes in no order; classes.txt also has ids that no image has, names with spaces, and a root.
    """
    folder = data_root / "nabirds"
    class_ids = [str(3 * label + 295) for label in range(classes)]
    images = []
    for label, class_id in enumerate(class_ids):
        for index in range(per_class):
            rng = np.random.default_rng(derive_seed("nabird id", seed, label, index))
            image = str(uuid.UUID(bytes=rng.bytes(16), version=4))
            file = f"{int(class_id):04d}/{image.replace('-', '')}.jpg"
            images.append((image, file, label, index))
    tree = ["0 Birds", "1 Ducks, Geese, and Swans"]
    for label, class_id in enumerate(class_ids):
        tree.append(f"{int(class_id) - 1} Species {label}")
        tree.append(f"{class_id} Species {label} (Adult male)")
    write_lines(folder / "classes.txt", tree)
    _write(folder, "nabird", sorted(images), class_ids, seed, size)


def _write(
    folder: Path,
    task: str,
    images: list[tuple[str, str, int, int]],
    class_ids: list[str],
    seed: int,
    size: int,
) -> None:
    lists: dict[str, list[str]] = {"images": [], "image_class_labels": [], "train_test_split": []}
    for image, file, label, index in images:
        height, width = vary_size(task, label, index, size=size, seed=seed)
        pixels = make_picture(task, label, index, height=height, width=width, seed=seed)
        save_jpeg(folder / "images" / file, pixels)
        lists["images"].append(f"{image} {file}")
        lists["image_class_labels"].append(f"{image} {class_ids[label]}")
        lists["train_test_split"].append(f"{image} {0 if is_test(index) else 1}")
    for name, lines in lists.items():
        write_lines(folder / f"{name}.txt", lines)
