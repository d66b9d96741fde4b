"""Prepared images on disk: a task's images and labels, and the labelled split of a target.

A prepared task is a folder:

    train_images.npy, test_images.npy   uint8 [n, h, w, 3], or images of many sizes as `pools`
                                        writes them; read as they are needed
    images.csv                          image, pool, row, height, width, crc32: row i of a pool's
                                        array is that image, with that checksum
    labels.csv                          image, label (several, with spaces, of a multi-label task)
    meta.json                           task, classes, sizes, and what they were made from

Labels lie apart from images so that a job that must not see labels is not given them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from distillweighted.errors import DamagedError, DataError
from distillweighted.files.tables import (
    read_facts,
    read_table,
    read_whole,
    write_table,
)

POOLS = ("train", "test")


INDEX = ("image", "pool", "row", "height", "width", "crc32")
"""Columns of images.csv."""

LARGEST = 2**31
"""Above every label and size of an image."""


class IndexRow(NamedTuple):
    """What images.csv says of an image."""

    image: str
    height: int
    width: int
    crc32: int


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
    index, labeled, sizes = [], [], {}
    for pool in POOLS:
        images, labels = pools[pool]
        np.save(folder / f"{pool}_images.npy", images)
        for row, (image, label) in enumerate(zip(images, labels, strict=True)):
            name = f"{pool}-{row:06d}"
            index.append((name, pool, row, *image.shape[:2], checksum(image)))
            labeled.append((name, int(label)))
        sizes[pool] = len(labels)
    write_table(folder / "images.csv", INDEX, index)
    write_table(folder / "labels.csv", ("image", "label"), labeled)
    meta = {
        "task": task,
        "classes": list(classes),
        "num_classes": len(classes),
        "image_size": int(pools["train"][0].shape[1]),
        "images": sizes,
        "seed": seed,
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1, ensure_ascii=False))


def checksum(image: np.ndarray) -> int:
    """CRC-32 of an image, uint8 [h, w, 3]: finds every flipped bit, and is as fast as a disk."""
    return zlib.crc32(np.ascontiguousarray(image))


def read_meta(folder: Path) -> dict:
    """A prepared task's meta.json.

    Raises:
        DamagedError: Where it is not as it was written.
    """
    path = folder / "meta.json"
    meta = read_facts(path, ("task", "classes", "num_classes"))
    if not isinstance(meta["classes"], list) or meta["num_classes"] != len(meta["classes"]):
        raise DamagedError(path, f"num_classes is {meta['num_classes']}, and not that of classes")
    return meta


def read_index(path: Path, pool: str) -> list[IndexRow]:
    """What images.csv says of a pool's images, in the order of the pool's array.

    Raises:
        DamagedError: Where it is not as it was written.
    """
    found: dict[int, IndexRow] = {}
    for image, own_pool, *texts in read_table(path, INDEX, unique=("image",)):
        if own_pool not in POOLS:
            raise DamagedError(path, f"'{image}' is in the unknown pool '{own_pool}'")
        row, height, width, crc32 = (
            read_whole(path, text, f"{column} of '{image}'", LARGEST * 2)
            for column, text in zip(INDEX[2:], texts)
        )
        if own_pool == pool:
            if row in found:
                raise DamagedError(path, f"row {row} of pool {pool} is in it twice")
            found[row] = IndexRow(image, height, width, crc32)
    if sorted(found) != list(range(len(found))):
        raise DamagedError(path, f"the rows of pool {pool} are not 0 to {len(found) - 1}")
    return [found[row] for row in range(len(found))]


def read_image_names(index: Path, pool: str) -> list[str]:
    """The names of a pool's images, in the order of the pool's array."""
    return [row.image for row in read_index(index, pool)]


def read_labels(path: Path, images: Sequence[str]) -> np.ndarray:
    """Labels of the named images, int64 [len(images)].

    Args:
        path: A table with columns image, label.
        images: Which images, in the order wanted.

    Raises:
        DataError: Where an image has no label in the table.
        DamagedError: Where the table is not as it was written.
    """
    texts = dict(read_table(path, ("image", "label"), unique=("image",)))
    missing = [image for image in images if image not in texts]
    if missing:
        raise DataError(f"{path}: no label for {len(missing)} images, the first is '{missing[0]}'")
    labels = [read_whole(path, texts[name], f"label of '{name}'", LARGEST) for name in images]
    return np.array(labels, np.int64)


def given_labels(path: Path, images: Sequence[str]) -> dict[str, int]:
    """Labels of those of the named images that have one, by image, in the order of the images.

    Args:
        path: A table with columns image, label.
        images: Which images.

    Raises:
        DataError: Where none has a label.
        DamagedError: Where the table is not as it was written.
    """
    texts = dict(read_table(path, ("image", "label"), unique=("image",)))
    known = [image for image in images if image in texts]
    if not known:
        raise DataError(f"{path}: none of the {len(images)} images has a label")
    return dict(zip(known, read_labels(path, known).tolist(), strict=True))


def read_label_matrix(path: Path, images: Sequence[str], num_classes: int) -> np.ndarray:
    """Labels of the named images of a multi-label task, 0 or 1, float32 [len(images), num_classes].

    Raises:
        DataError: Where an image has no row in the table.
        DamagedError: Where the table is not as it was written, or a label is no class.
    """
    texts = dict(read_table(path, ("image", "label"), unique=("image",)))
    matrix = np.zeros((len(images), num_classes), np.float32)
    for row, image in enumerate(images):
        if image not in texts:
            raise DataError(f"{path}: no label for the image '{image}'")
        for text in texts[image].split():
            matrix[row, read_whole(path, text, f"label of '{image}'", num_classes)] = 1
    return matrix
