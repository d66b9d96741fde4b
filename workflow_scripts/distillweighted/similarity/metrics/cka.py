"""CKA: centred kernel alignment of features and labels."""

from __future__ import annotations

import numpy as np

from distillweighted.similarity.metrics.inputs import (
    Representation,
    checked_inputs,
    class_numbers,
    kernel_norm,
)

Margins = tuple[np.ndarray, np.ndarray]


def cka(
    features: np.ndarray | Representation, labels: np.ndarray, *, debiased: bool = False
) -> float:
    """Linear centred kernel alignment with the labels (Cortes 2012; Kornblith et al. 2019).

    CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)), K = X X^T, L = Y Y^T, Y one-hot. The biased
    estimate centres the kernels and is the paper's; it rises with the width of the features, even
    for random ones. The debiased one takes the U-statistic of HSIC (Song et al. 2007, eq. 5).

    Args:
        features: `[n, d]`, one row an image of the probe; or what several metrics share of them.
        labels: integer classes `[n]`, or multi-hot zeros and ones `[n, c]`.
        debiased: use the unbiased estimate of HSIC; it can come out negative.

    Returns:
        A similarity in [0, 1], or in [-1, 1] if debiased.

    Raises:
        ValueError: shapes that do not match, NaN or infinity, fewer than 3 images (4 if debiased),
            one class only, or features that are the same for every image.
    """
    representation, labels = checked_inputs(features, labels, min_samples=4 if debiased else 3)
    classes = class_numbers(labels)
    if not np.ptp(labels if classes is None else classes, axis=0).any():
        raise ValueError("the labels of the probe do not tell samples apart: one class only")
    if not np.ptp(representation.features, axis=0).any():
        raise ValueError("the features are the same for every sample")
    k = representation.kernel
    kl, ll, l_diagonal = (
        _of_multi_hot(k.features, labels) if classes is None else _of_classes(k.features, classes)
    )
    xx, yy, xy = k.norm, ll, kl
    if debiased:
        # The labels' centred kernel has rows that sum to 0.
        of_k, of_l = (k.diagonal, k.row_sums - k.diagonal), (l_diagonal, -l_diagonal)
        xx, yy, xy = (
            _unbiased(k.norm, of_k, of_k),
            _unbiased(ll, of_l, of_l),
            _unbiased(kl, of_k, of_l),
        )
    # Never negative, and rounding noise where the U-centred kernel vanishes.
    if xx <= 1e-12 * k.norm or yy <= 1e-12 * ll:
        raise ValueError("debiased CKA is undefined: a kernel has no variance off its diagonal")
    return float(np.clip(xy / (np.sqrt(xx) * np.sqrt(yy)), -1, 1))


def _of_classes(x: np.ndarray, classes: np.ndarray) -> tuple[float, float, np.ndarray]:
    """<K, L>, <L, L> and the diagonal of L, for centred x [n, d] and classes 0, 1, ... [n].

    K = X X^T; L is the centred kernel of the one-hot labels. With n_c images of class c, <K, L> is
    the sum of |sum of x in c|^2, and <L, L> is sum n_c^2 - 2 sum n_c^3 / n + (sum n_c^2)^2 / n^2.
    """
    n, sizes = len(x), np.bincount(classes)
    by_class = np.split(np.argsort(classes, kind="stable"), np.cumsum(sizes)[:-1])
    sums = np.array([x[rows].sum(axis=0) for rows in by_class])
    # What is left of the mean of x by rounding, which centred labels do not see.
    sums -= np.outer(sizes / n, sums.sum(axis=0))
    squares, cubes = (sum(int(size) ** power for size in sizes) for power in (2, 3))
    norm = (n * n * squares - 2 * n * cubes + squares**2) / n**2
    diagonal = 1 - 2 * sizes[classes] / n + squares / n**2
    return float(np.vdot(sums, sums)), norm, diagonal


def _of_multi_hot(x: np.ndarray, labels: np.ndarray) -> tuple[float, float, np.ndarray]:
    """The same for multi-hot labels [n, c]."""
    y = labels - labels.mean(axis=0)
    product = x.T @ y
    return float(np.vdot(product, product)), kernel_norm(y), np.einsum("ij,ij->i", y, y)


def _unbiased(product: float, of_k: Margins, of_l: Margins) -> float:
    """n (n - 3) times the U-statistic of HSIC: Song et al.'s eq. 5 for the kernels K and L.

    Args:
        product: <K, L>.
        of_k: The diagonal of K, and the sums of its rows off the diagonal.
        of_l: Those of L.
    """
    (k_diagonal, k_sums), (l_diagonal, l_sums) = of_k, of_l
    n = len(k_sums)
    return float(
        product
        - k_diagonal @ l_diagonal
        + k_sums.sum() * l_sums.sum() / ((n - 1) * (n - 2))
        - 2 * (k_sums @ l_sums) / (n - 2)
    )
