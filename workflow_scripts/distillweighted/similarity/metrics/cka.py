"""CKA: centred kernel alignment of features and labels."""

from __future__ import annotations

import numpy as np

from distillweighted.similarity.metrics.inputs import checked_inputs, one_hot


def cka(features: np.ndarray, labels: np.ndarray, *, debiased: bool = False) -> float:
    """Linear centred kernel alignment with the labels (Cortes 2012; Kornblith et al. 2019).

    CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)), K = X X^T, L = Y Y^T, Y one-hot. The biased
    estimate centres the kernels and is the paper's; it rises with the width of the features, even
    for random ones. The debiased one takes the U-statistic of HSIC (Song et al. 2007, eq. 5).

    Args:
        features: `[n, d]`, one row an image of the probe.
        labels: integer classes `[n]`, or multi-hot zeros and ones `[n, c]`.
        debiased: use the unbiased estimate of HSIC; it can come out negative.

    Returns:
        A similarity in [0, 1], or in [-1, 1] if debiased.

    Raises:
        ValueError: shapes that do not match, NaN or infinity, fewer than 3 images (4 if debiased),
            one class only, or features that are the same for every image.
    """
    x, labels = checked_inputs(features, labels, min_samples=4 if debiased else 3)
    y = one_hot(labels)
    if not np.ptp(y, axis=0).any():
        raise ValueError("the labels of the probe do not tell samples apart: one class only")
    if not np.ptp(x, axis=0).any():
        raise ValueError("the features are the same for every sample")
    # Centring the columns centres the kernels; the U-statistic does not change, but loses fewer
    # digits to cancellation.
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    hsic = _unbiased_hsic if debiased else _kernel_product
    xx, yy = hsic(x, x), hsic(y, y)
    # Never negative, and rounding noise where the U-centred kernel vanishes.
    if xx <= 1e-12 * _kernel_product(x, x) or yy <= 1e-12 * _kernel_product(y, y):
        raise ValueError("debiased CKA is undefined: a kernel has no variance off its diagonal")
    return float(np.clip(hsic(x, y) / (np.sqrt(xx) * np.sqrt(yy)), -1, 1))


def _kernel_product(x: np.ndarray, y: np.ndarray) -> float:
    """<X X^T, Y Y^T> = |X^T Y|^2, by whichever form takes fewer multiplications."""
    if x.shape[1] * y.shape[1] <= len(x) * (x.shape[1] + y.shape[1]):
        return float(np.square(x.T @ y).sum())
    x_kernel = x @ x.T
    return float((x_kernel * (x_kernel if y is x else y @ y.T)).sum())


def _unbiased_hsic(x: np.ndarray, y: np.ndarray) -> float:
    """n (n - 3) times the U-statistic of HSIC: Song et al.'s eq. 5 for kernels X X^T and Y Y^T."""
    n = len(x)
    x_diagonal, y_diagonal = np.square(x).sum(axis=1), np.square(y).sum(axis=1)
    x_sums, y_sums = x @ x.sum(axis=0) - x_diagonal, y @ y.sum(axis=0) - y_diagonal
    trace = _kernel_product(x, y) - x_diagonal @ y_diagonal
    return float(
        trace + x_sums.sum() * y_sums.sum() / ((n - 1) * (n - 2)) - 2 * (x_sums @ y_sums) / (n - 2)
    )
