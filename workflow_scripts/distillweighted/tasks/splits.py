"""Which images are for testing, and which of the others are labelled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from distillweighted.errors import DamagedError, DataError
from distillweighted.files.tables import (
    read_table,
    read_whole,
)
from distillweighted.seeds import derive_seed
from distillweighted.tasks.listing import TEST_FRACTION, Listing
from distillweighted.tasks.prepared import LARGEST, read_image_names


class SplitRows(NamedTuple):
    """Rows of a target's training images, int64 each: the labelled ones, their labels, the
    unlabelled ones, and those on which settings are chosen, if any are kept for that."""

    labeled: np.ndarray
    labels: np.ndarray
    unlabeled: np.ndarray
    validation: np.ndarray


def read_split(split: Path, labeled: Path, index: Path) -> SplitRows:
    """The split of a target's training images, as split_target wrote it.

    Args:
        split: The table of all images and their parts.
        labeled: The table of the labelled images and their labels.
        index: images.csv.

    Raises:
        DamagedError: Where a table is not as it was written, or they do not belong together.
    """
    position = {image: row for row, image in enumerate(read_image_names(index, "train"))}
    parts = dict(read_table(split, ("image", "split"), unique=("image",)))
    if unknown := {*parts.values()} - {"labeled", "unlabeled", "validation", "test"}:
        raise DamagedError(split, f"it names the unknown part '{min(unknown)}'")
    trained = [image for image, part in parts.items() if part != "test"]
    if {*trained} != position.keys() or len(parts) - len(trained) != len(
        read_image_names(index, "test")
    ):
        raise DamagedError(split, f"its images are not those of {index}")
    texts = dict(read_table(labeled, ("image", "label"), unique=("image",)))
    if texts.keys() != {image for image in trained if parts[image] == "labeled"}:
        raise DamagedError(labeled, f"its images are not those labelled in {split}")
    labels = [read_whole(labeled, text, f"label of '{i}'", LARGEST) for i, text in texts.items()]
    return SplitRows(
        np.array([position[image] for image in texts], np.int64),
        np.array(labels, np.int64),
        *(
            np.array([position[i] for i in trained if parts[i] == part], np.int64)
            for part in ("unlabeled", "validation")
        ),
    )


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

    def some(values: Sequence[int]) -> str:
        return ", ".join(map(str, values[:5])) + (", ..." if len(values) > 5 else "")

    where = f"cannot label {fraction:g} of {len(labels)} images"
    alone = np.flatnonzero(np.bincount(labels) == 1).tolist()
    if alone:
        raise DataError(
            f"{where}: {len(alone)} classes have one image, and each needs two, of which one stays "
            f"unlabelled (labels {some(alone)})"
        )
    try:
        labeled, _ = train_test_split(
            np.arange(len(labels)), train_size=fraction, stratify=labels, random_state=seed
        )
    except ValueError as error:
        raise DataError(f"{where}: {error}; raise training.label_fraction") from error
    missing = sorted(set(labels.tolist()) - set(labels[labeled].tolist()))
    if missing:
        raise DataError(
            f"{where}: {len(missing)} classes would have no labelled one (labels {some(missing)}); "
            "raise training.label_fraction"
        )
    mask = np.zeros(len(labels), bool)
    mask[labeled] = True
    return mask


def split_validation(labels: np.ndarray, fraction: float, *, seed: int) -> np.ndarray:
    """Choose which labelled images are kept for validation, by class.

    Every class gives its share, rounded down; the images that are then missing to the share of all
    come from the classes with the largest remainders. No class gives its last image.

    Args:
        labels: Labels of the labelled images, int [l].
        fraction: Share to be kept, in (0, 1).
        seed: Seed of the choice.

    Returns:
        Boolean mask [l], True where the image is kept.

    Raises:
        DataError: Where none can be kept.
    """
    rng = np.random.default_rng(seed)
    classes, counts = np.unique(labels, return_counts=True)
    shares = counts * fraction
    kept = np.minimum(np.floor(shares).astype(np.int64), counts - 1)
    wanted = round(len(labels) * fraction)
    # Of equal remainders a random class.
    order = rng.permutation(len(classes))
    order = order[np.argsort(-(shares - kept)[order], kind="stable")]
    for index in order[counts[order] - kept[order] > 1][: max(0, wanted - kept.sum())]:
        kept[index] += 1
    mask = np.zeros(len(labels), bool)
    for label, number in zip(classes, kept):
        mask[rng.permutation(np.flatnonzero(labels == label))[:number]] = True
    if not mask.any():
        raise DataError(
            f"of {len(labels)} labelled images none can be kept for validation; label more, raise "
            "choice.validation_fraction, or choose nothing (choice: null)"
        )
    return mask


def split_pools(name: str, listing: Listing) -> list[str]:
    """The pool of every image: the official one, or else a fixed, seeded, stratified split.

    Args:
        name: Name of the task; the split depends on it, on the order of the images and on nothing
            else.
        listing: The images.

    Raises:
        DataError: Where some images have an official pool and others none, or a class is too small
            to be in both pools.
    """
    from sklearn.model_selection import train_test_split

    pools = [example.pool for example in listing.examples]
    if None not in pools:
        return pools
    if set(pools) != {None}:
        at = pools.index(None)
        raise DataError(f"{name}: '{listing.examples[at].name}' is in no pool, though others are")
    labels = [example.label for example in listing.examples]
    try:
        _, test = train_test_split(
            np.arange(len(labels)),
            test_size=TEST_FRACTION,
            stratify=labels,
            random_state=derive_seed(name, "test split") % 2**32,
        )
    except ValueError as error:
        raise DataError(f"{name}: its images cannot be split into two pools: {error}") from error
    chosen = set(test.tolist())
    return ["test" if row in chosen else "train" for row in range(len(labels))]
