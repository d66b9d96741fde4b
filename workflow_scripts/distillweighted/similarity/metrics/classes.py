"""What the metrics of classes check: features in their own scale, and one label an image."""

from __future__ import annotations

import numpy as np

from distillweighted.similarity.metrics.inputs import (
    Representation,
    checked_inputs,
    class_numbers,
)

LARGEST = 1e100
"""Squares of larger features, and their sums, come near the end of float64."""


def class_inputs(
    features: np.ndarray | Representation, labels: np.ndarray, *, rescale: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return features as float64 `[n, d]` and classes 0, 1, ... `[n]`, or say what is wrong.

    Args:
        features: `[n, d]`, one row an image of the probe; or what several metrics share of them.
        labels: integer classes `[n]`, or one-hot `[n, c]`.
        rescale: For a metric that does not depend on the overall scale: `Representation.scaled`,
            whose squares are finite. The others see the features as they are.

    Raises:
        ValueError: as `checked_inputs`; fewer than 3 images, images of several labels or of none,
            one class only, or features above 1e100 that are not rescaled.
    """
    representation, labels = checked_inputs(features, labels, min_samples=3)
    if labels.ndim == 2 and (labels.sum(axis=1) != 1).any():
        raise ValueError("it is defined for images of one label each; some have several, or none")
    classes = class_numbers(labels)
    if classes is None or classes.max() == 0:
        raise ValueError("the labels of the probe do not tell samples apart: one class only")
    if rescale:
        return representation.scaled, classes
    largest = np.abs(representation.features).max()
    if largest > LARGEST:
        raise ValueError(f"features of {largest:.2g}: they cannot be squared and summed")
    return representation.features, classes


def class_means(values: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the rows of every class `[K, d]`, and the number of its rows `[K]`."""
    members = classes == np.arange(classes.max() + 1)[:, None]
    counts = members.sum(axis=1)
    return members.astype(np.float64) @ values / counts[:, None], counts
