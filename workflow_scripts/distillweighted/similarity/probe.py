"""The probe: the labelled images that similarity is measured on."""

from __future__ import annotations

from itertools import zip_longest

import numpy as np


def draw_probe(labels: np.ndarray, size: int, *, seed: int) -> np.ndarray:
    """Draw the probe: a class-balanced sample of the labelled images (the PARC benchmark's rule).

    Classes take turns, in a random order, each giving one random image a turn, until the probe is
    full. Where that would leave a class with fewer than two images (size < 2 * classes), only
    `size // 2` random classes take part and give two images each. A class with fewer images gives
    what it has: a class of one image gives one.

    Args:
        labels: integer classes `[n]`.
        size: images wanted; all n are taken if it is at least n.
        seed: reproduces the draw.

    Returns:
        Sorted indices into `labels`, at most `size` of them.

    Raises:
        ValueError: labels that are not `[n]`, or a size below 4 (two classes of two images).
    """
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"draw_probe needs integer labels [n], got shape {labels.shape}")
    if size >= len(labels):
        return np.arange(len(labels))
    if size < 4:
        raise ValueError(f"a probe needs at least 4 images (two classes of two), got size {size}")
    rng = np.random.default_rng(seed)
    classes = rng.permutation(np.unique(labels))
    turns = size
    if size < 2 * len(classes):
        classes, turns = classes[: size // 2], 2
    images = [rng.permutation(np.flatnonzero(labels == c))[:turns] for c in classes]
    in_turn = [i for turn in zip_longest(*images) for i in turn if i is not None]
    return np.sort(np.array(in_turn[:size]))
