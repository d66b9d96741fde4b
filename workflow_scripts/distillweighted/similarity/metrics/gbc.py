"""GBC: how far the classes overlap, as Gaussians in the features."""

from __future__ import annotations

import numpy as np

from distillweighted.similarity.metrics.classes import class_inputs, class_means
from distillweighted.similarity.metrics.spectrum import spectrum

COMPONENTS = 64
"""Principal components that wider features are projected on."""

SMALLEST_VARIANCE = 1e-4
"""Smaller variances count as this, as in the public code: a class of one image has none."""


def gbc(features: np.ndarray, labels: np.ndarray, *, spherical: bool = False) -> float:
    """Gaussian Bhattacharyya coefficient (Pandy et al. 2022).

    GBC = -sum_{i != j} exp(-D_B(i, j)) over ordered pairs of classes, each a Gaussian of diagonal
    (or spherical) covariance, with v the variances, not below 1e-4, and m the means:

        D_B = 1/4 sum (m_i - m_j)^2 / (v_i + v_j) + 1/2 sum log((v_i + v_j) / (2 sqrt(v_i v_j))).

    The public code counts the logarithm of spherical covariances once, and not for each dimension.
    It depends on the scale of the features, by the smallest variance.

    Args:
        features: `[n, d]`, one row an image of the probe; of more than 64 features the principal
            components.
        labels: integer classes `[n]`, or one-hot `[n, c]`.
        spherical: one variance a class, the mean over the features.

    Returns:
        A similarity in [-c (c - 1), 0].

    Raises:
        ValueError: as `class_inputs`, or features that are the same for every image.
    """
    features, classes = class_inputs(features, labels)
    u, s = spectrum(features)
    # The axes matter to a diagonal covariance: narrow features keep theirs.
    values = features - features.mean(axis=0)
    if values.shape[1] > COMPONENTS:
        values = (u * s)[:, :COMPONENTS]
    means, counts = class_means(values, classes)
    variances, _ = class_means(np.square(values - means[classes]), classes)
    if spherical:
        variances = np.broadcast_to(variances.mean(axis=1, keepdims=True), variances.shape)
    variances = np.maximum(variances, SMALLEST_VARIANCE)
    total = 0.0
    for i in range(1, len(counts)):
        both = variances[i] + variances[:i]
        apart = np.square(means[i] - means[:i]) / both / 4
        spread = np.log(both / 2) - (np.log(variances[i]) + np.log(variances[:i])) / 2
        total += float(np.exp(-(apart + spread / 2).sum(axis=1)).sum())
    return -2 * total
