"""What the metrics of classes check: features in their own scale, and one label an image."""

from __future__ import annotations

import numpy as np

from distillweighted.similarity.metrics.inputs import checked_inputs

LARGEST = 1e100
"""Squares of larger features, and their sums, come near the end of float64."""


def class_inputs(
    features: np.ndarray, labels: np.ndarray, *, rescale: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return features as float64 `[n, d]` and classes 0, 1, ... `[n]`, or say what is wrong.

    Args:
        features: `[n, d]`, one row an image of the probe.
        labels: integer classes `[n]`, or one-hot `[n, c]`.
        rescale: For a metric that does not depend on the overall scale: multiply the features by a
            power of two, which is exact and keeps squares finite. The others see them as they are.

    Raises:
        ValueError: as `checked_inputs`; fewer than 3 images, images of several labels or of none,
            one class only, or features above 1e100 that are not rescaled.
    """
    _, labels = checked_inputs(features, labels, min_samples=3)
    if labels.ndim == 2:
        if (labels.sum(axis=1) != 1).any():
            raise ValueError(
                "it is defined for images of one label each; some have several, or none"
            )
        labels = labels.argmax(axis=1)
    classes = np.unique(labels, return_inverse=True)[1]
    if classes.max() == 0:
        raise ValueError("the labels of the probe do not tell samples apart: one class only")
    return own_scale(features, rescale=rescale), classes


def own_scale(features: np.ndarray, *, rescale: bool) -> np.ndarray:
    """Checked features as float64, rescaled if so asked; see `class_inputs`."""
    features = np.asarray(features, dtype=np.float64)
    largest = np.abs(features).max()
    if rescale:
        return np.ldexp(features, -int(np.frexp(largest)[1]))
    if largest > LARGEST:
        raise ValueError(f"features of {largest:.2g}: they cannot be squared and summed")
    return features


def class_means(values: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the rows of every class `[K, d]`, and the number of its rows `[K]`."""
    members = classes == np.arange(classes.max() + 1)[:, None]
    counts = members.sum(axis=1)
    return members.astype(np.float64) @ values / counts[:, None], counts
