"""Prepared images on disk: a task's images and labels, and the labelled split of a target.

A prepared task is a folder:

    train_images.npy, test_images.npy   uint8 [n, h, w, 3], or images of many sizes as `image_store`
                                        writes them; read through memory maps
    images.csv                          image, pool, row: row i of a pool's array is that image;
                                        height, width where there are many sizes
    labels.csv                          image, label (several, with spaces, of a multi-label task)
    meta.json                           task, classes, sizes, and what they were made from

Labels lie apart from images so that a job that must not see labels is not given them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

POOLS = ("train", "test")


class DataError(ValueError):
    """Data that cannot be used; the message names the task, file or class."""


def write_task(
    folder: Path,
    *,
    task: str,
    classes: Sequence[str],
    seed: int,
    pools: dict[str, tuple[np.ndarray, np.ndarray]],
) -> None:
    """Write a prepared task.

    Args:
        folder: Where to; created.
        task: Name of the task.
        classes: Class names, by label.
        seed: What the images were generated with.
        pools: For each of `POOLS`, images uint8 [n, h, w, 3] and labels int [n].
    """
    folder.mkdir(parents=True, exist_ok=True)
    index, sizes = [], {}
    for pool in POOLS:
        images, labels = pools[pool]
        np.save(folder / f"{pool}_images.npy", images)
        index += [(f"{pool}-{i:06d}", pool, i, int(label)) for i, label in enumerate(labels)]
        sizes[pool] = len(labels)
    table = pd.DataFrame(index, columns=["image", "pool", "row", "label"])
    table[["image", "pool", "row"]].to_csv(folder / "images.csv", index=False)
    table[["image", "label"]].to_csv(folder / "labels.csv", index=False)
    meta = {
        "task": task,
        "classes": list(classes),
        "num_classes": len(classes),
        "image_size": int(pools["train"][0].shape[1]),
        "images": sizes,
        "seed": seed,
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1, ensure_ascii=False))


def read_meta(folder: Path) -> dict:
    """A prepared task's meta.json."""
    return json.loads((folder / "meta.json").read_text())


def read_image_names(index: Path, pool: str) -> list[str]:
    """The names of a pool's images, in the order of the pool's array."""
    table = pd.read_csv(index, dtype={"image": str}, keep_default_na=False)
    return table.loc[table["pool"] == pool].sort_values("row")["image"].tolist()


def read_labels(path: Path, images: Sequence[str]) -> np.ndarray:
    """Labels of the named images, int64 [len(images)].

    Args:
        path: A table with columns image, label.
        images: Which images, in the order wanted.

    Raises:
        DataError: Where an image has no label in the table.
    """
    labels = pd.read_csv(path, dtype={"image": str}, keep_default_na=False).set_index("image")[
        "label"
    ]
    missing = [image for image in images if image not in labels.index]
    if missing:
        raise DataError(f"{path}: no label for {len(missing)} images, the first is '{missing[0]}'")
    return labels.loc[list(images)].to_numpy(np.int64)


def read_label_matrix(path: Path, images: Sequence[str], num_classes: int) -> np.ndarray:
    """Labels of the named images of a multi-label task, 0 or 1, float32 [len(images), num_classes].

    Raises:
        DataError: Where an image has no row in the table, or a label is no class.
    """
    texts = pd.read_csv(path, dtype=str, keep_default_na=False).set_index("image")["label"]
    matrix = np.zeros((len(images), num_classes), np.float32)
    for row, image in enumerate(images):
        if image not in texts.index:
            raise DataError(f"{path}: no label for the image '{image}'")
        labels = [int(label) for label in texts[image].split()]
        if any(not 0 <= label < num_classes for label in labels):
            raise DataError(f"{path}: the labels {labels} of '{image}' are not below {num_classes}")
        matrix[row, labels] = 1
    return matrix


def split_labeled(labels: np.ndarray, fraction: float, *, seed: int) -> np.ndarray:
    """Choose which training images are labelled, stratified by class.

    Args:
        labels: Labels of all training images, int [n].
        fraction: Share to be labelled, in (0, 1).
        seed: Seed of the choice.

    Returns:
        Boolean mask [n], True where the image is labelled.

    Raises:
        DataError: Where a class would have no labelled image.
    """
    from sklearn.model_selection import train_test_split

    try:
        labeled, _ = train_test_split(
            np.arange(len(labels)), train_size=fraction, stratify=labels, random_state=seed
        )
    except ValueError as error:
        raise DataError(f"cannot label {fraction:g} of {len(labels)} images: {error}") from error
    missing = sorted(set(labels.tolist()) - set(labels[labeled].tolist()))
    if missing:
        raise DataError(
            f"labelling {fraction:g} of {len(labels)} images leaves classes without a labelled "
            f"image (labels {missing}); raise training.label_fraction"
        )
    mask = np.zeros(len(labels), bool)
    mask[labeled] = True
    return mask
