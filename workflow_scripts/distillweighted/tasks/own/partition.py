"""Which images of an own task are for training and which for testing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from distillweighted.tasks.own.scan import FEWEST_LABELED, carved_count


def carve_test(
    labels: np.ndarray, groups: Sequence[Sequence[int]], *, fraction: float, seed: int
) -> np.ndarray:
    """Choose labelled images for testing, stratified by class.

    Images of a group (duplicates) stay together; those of a group with an unlabelled image stay in
    training. Each class gets `carved_count` test images, or fewer where its groups do not fit, but
    one if there is any way.

    Args:
        labels: Labels of all training images, int [n]; -1 of the unlabelled ones.
        groups: Rows of images that stay together, two or more each.
        fraction: Share of each class that is wanted.
        seed: Seed of the choice.

    Returns:
        Boolean mask [n], True where the image is for testing. A class that cannot be on both sides
        is all False.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    grouped = {row for group in groups for row in group}
    units = [[row] for row in np.flatnonzero(labels >= 0).tolist() if row not in grouped]
    units += [list(group) for group in groups if (labels[list(group)] >= 0).all()]
    units = [units[i] for i in rng.permutation(len(units))]
    sizes = np.bincount(labels[labels >= 0])
    wanted = np.array([carved_count(size, fraction) for size in sizes.tolist()])
    most = np.maximum(0, sizes - FEWEST_LABELED)
    taken, mask = np.zeros_like(sizes), np.zeros(len(labels), bool)

    def take(unit: Sequence[int], limit: np.ndarray) -> None:
        counts = np.bincount(labels[unit], minlength=len(sizes))
        if (taken + counts <= np.where(counts, limit, taken)).all():
            taken[:] += counts
            mask[unit] = True

    for unit in units:
        take(unit, wanted)
    # A class whose groups are all larger than what is wanted of it gets the smallest of them.
    for unit in sorted(units, key=len):
        if (taken[labels[unit]] == 0).any():
            take(unit, most)
    return mask
