"""TransRate: how many fewer bits the features take where the classes are known."""

from __future__ import annotations

import numpy as np

from distillweighted.similarity.metrics.classes import class_inputs
from distillweighted.similarity.metrics.spectrum import spectrum

DISTORTION = 1e-4
"""epsilon of the rate, as in the paper."""


def transrate(features: np.ndarray, labels: np.ndarray) -> float:
    """TransRate (Huang et al. 2022): the coding rate of all images less that within the classes.

    R(Z) - sum_c n_c/n R(Z_c), R(Z) = 1/2 log det(I + Z^T Z / (n epsilon)), epsilon = 1e-4, with the
    features Z centred over all images. The published code weights classes by 1/c and not by their
    sizes, which is another number where these differ. It depends on the scale of the features.

    Args:
        features: `[n, d]`, one row an image of the probe.
        labels: integer classes `[n]`, or one-hot `[n, c]`.

    Returns:
        Nats, in [0, inf).

    Raises:
        ValueError: as `class_inputs`, or features that are the same for every image.
    """
    features, classes = class_inputs(features, labels)
    u, s = spectrum(features)
    coordinates = u * s
    within = 0.0
    for label in range(classes.max() + 1):
        own = coordinates[classes == label]
        within += len(own) / len(u) * _rate(np.linalg.svd(own, compute_uv=False), len(own))
    # Not negative, since log det is concave.
    return max(0.0, _rate(s, len(u)) - within)


def _rate(singular_values: np.ndarray, n: int) -> float:
    return float(np.log1p(np.square(singular_values) / (n * DISTORTION)).sum() / 2)
