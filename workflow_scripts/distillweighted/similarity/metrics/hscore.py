"""H-score: how much of the features' variance lies between the classes, plain and shrunk."""

from __future__ import annotations

import numpy as np

from distillweighted.similarity.metrics.classes import class_inputs, class_means
from distillweighted.similarity.metrics.spectrum import shrinkage, spectrum

DECIMALS = 10
"""Of the plain score: those of wide features differ by rounding alone, which nobody should rank."""


def h_score(features: np.ndarray, labels: np.ndarray, *, shrunk: bool = False) -> float:
    """H-score (Bao et al. 2019), or the shrunk one (Ibrahim et al. 2021).

    H = tr(cov(F)^+ cov(E[F | y])), the sum of the squared canonical correlations of features and
    classes. It is the number of classes less 1 for any features that are as wide as the probe has
    images. Shrunk, H = (1 - a) tr(((1 - a) cov(F) + a tr(cov(F))/d I)^-1 cov(E[F | y])) with Ledoit
    and Wolf's a. All covariances divide by n; some public code divides one of them by n - 1.

    Args:
        features: `[n, d]`, one row an image of the probe.
        labels: integer classes `[n]`, or one-hot `[n, c]`.
        shrunk: shrink the covariance of the features.

    Returns:
        A similarity in [0, c - 1].

    Raises:
        ValueError: as `class_inputs`, or features that are the same for every image.
    """
    features, classes = class_inputs(features, labels, rescale=True)
    u, s = spectrum(features)
    # With F = U S V^T and P the projection on classes, the trace is that of U^T P U, by component.
    means, counts = class_means(u, classes)
    between = counts @ np.square(means)
    variances = np.square(s) / len(u)
    if not shrunk:
        return round(float(between.sum()), DECIMALS)
    a, d = shrinkage(u * s, features.shape[1]), features.shape[1]
    kept = (1 - a) * variances
    return float(between @ (kept / (kept + a * variances.sum() / d)))
