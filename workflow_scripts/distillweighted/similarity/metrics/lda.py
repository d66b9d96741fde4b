"""LDA: how sure a linear discriminant is of the classes."""

from __future__ import annotations

import numpy as np

from distillweighted.similarity.metrics.classes import class_inputs, class_means
from distillweighted.similarity.metrics.spectrum import shrinkage, spectrum

COMPONENTS = 64
"""Principal components that wider features are projected on."""


def lda(features: np.ndarray, labels: np.ndarray) -> float:
    """Mean probability of the right class by linear discriminant analysis.

    mean_i p(y_i | x_i), p(c | x) proportional to n_c/n exp(-1/2 (x - m_c)^T W^-1 (x - m_c)), on the
    principal components, W the covariance within the classes, shrunk as Ledoit and Wolf say. The
    images are those that it was fitted to. Of this kind are NCTI's classifier term (Wang et al.,
    ICCV 2023), whose covariance is another, and ETran's (Gholami et al., ICCV 2023).

    Args:
        features: `[n, d]`, one row an image of the probe; of more than 64 features the principal
            components.
        labels: integer classes `[n]`, or one-hot `[n, c]`.

    Returns:
        A similarity in (0, 1).

    Raises:
        ValueError: as `class_inputs`; features that are the same for every image, or for every
            image of a class, so that nothing says how far apart classes are.
    """
    features, classes = class_inputs(features, labels, rescale=True)
    u, s = spectrum(features)
    values = (u * s)[:, :COMPONENTS]
    d = values.shape[1]
    means, counts = class_means(values, classes)
    residuals = values - means[classes]
    within = residuals.T @ residuals / len(values)
    variance = np.trace(within) / d
    # Below what rounding leaves of features that are of the size of s.
    if variance <= 1e-24 * np.square(s[0]):
        raise ValueError("the features do not vary within the classes: LDA is undefined")
    a = shrinkage(residuals, d)
    within = (1 - a) * within + a * variance * np.eye(d)
    # From here the distances are Euclidean.
    scales, axes = np.linalg.eigh(within)
    if scales[0] <= 1e-14 * scales[-1]:
        raise ValueError("a direction in which the features do not vary within the classes")
    values, means = values @ (axes / np.sqrt(scales)), means @ (axes / np.sqrt(scales))
    # |x|^2 is the same for all classes of an image.
    logits = values @ means.T - np.square(means).sum(axis=1) / 2 + np.log(counts / len(values))
    logits -= logits.max(axis=1, keepdims=True)
    odds = np.exp(logits)
    return float((odds[np.arange(len(odds)), classes] / odds.sum(axis=1)).mean())
