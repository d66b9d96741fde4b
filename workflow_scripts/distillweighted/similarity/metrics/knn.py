"""k-NN: whether the nearest other images of the probe have an image's class."""

from __future__ import annotations

import numpy as np

from distillweighted.similarity.metrics.classes import class_inputs

TIE = 1e-12
"""Squared distances that differ by less than this share of the largest are equal."""


def knn(features: np.ndarray, labels: np.ndarray, *, neighbours: int = 1) -> float:
    """Leave-one-out accuracy of the nearest neighbours by Euclidean distance.

    As a measure of transferability in PARC's code (Bolya et al. 2021). Every image is given the
    class that most of its k nearest other images have. Ties are not broken by the order of the
    images: all that are as near as the k-th take part, and where several classes have the most
    votes, each is right in equal shares.

    Args:
        features: `[n, d]`, one row an image of the probe.
        labels: integer classes `[n]`, or one-hot `[n, c]`.
        neighbours: k.

    Returns:
        The share of images that are given their class, in [0, 1].

    Raises:
        ValueError: as `class_inputs`; k below 1, or not fewer than the images.
    """
    features, classes = class_inputs(features, labels, rescale=True)
    n = len(features)
    if not 1 <= neighbours < n:
        raise ValueError(f"{neighbours} neighbours of {n} samples: 1 to {n - 1} are there")
    features = features - features.mean(axis=0)
    norms = np.square(features).sum(axis=1)
    distances = norms[:, None] + norms - 2 * (features @ features.T)
    tie = TIE * distances.max()
    np.fill_diagonal(distances, np.inf)
    reach = np.partition(distances, neighbours - 1, axis=1)[:, neighbours - 1]
    near = (distances <= reach[:, None] + tie).astype(np.float64)
    votes = near @ (classes[:, None] == np.arange(classes.max() + 1))
    most = votes == votes.max(axis=1, keepdims=True)
    return float((most[np.arange(n), classes] / most.sum(axis=1)).mean())
