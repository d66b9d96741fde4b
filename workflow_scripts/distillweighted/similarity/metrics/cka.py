"""CKA: centred kernel alignment of features and labels."""

from __future__ import annotations

import numpy as np

from distillweighted.similarity.metrics.inputs import (
    Representation,
    checked_inputs,
    kernel_norm,
    one_hot,
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
    y = one_hot(labels)
    if not np.ptp(y, axis=0).any():
        raise ValueError("the labels of the probe do not tell samples apart: one class only")
    if not np.ptp(representation.scaled, axis=0).any():
        raise ValueError("the features are the same for every sample")
    # Centring the columns centres the kernels; the U-statistic does not change, but loses fewer
    # digits to cancellation.
    y = y - y.mean(axis=0)
    k, product = representation.kernel, representation.kernel.features.T @ y
    xx, yy, xy = k_norm, l_norm, _ = k.norm, kernel_norm(y), float(np.vdot(product, product))
    if debiased:
        l_diagonal = np.einsum("ij,ij->i", y, y)
        of_k = k.diagonal, k.row_sums - k.diagonal
        of_l = l_diagonal, y @ y.sum(axis=0) - l_diagonal
        xx, yy, xy = (
            _unbiased(xx, of_k, of_k),
            _unbiased(yy, of_l, of_l),
            _unbiased(xy, of_k, of_l),
        )
    # Never negative, and rounding noise where the U-centred kernel vanishes.
    if xx <= 1e-12 * k_norm or yy <= 1e-12 * l_norm:
        raise ValueError("debiased CKA is undefined: a kernel has no variance off its diagonal")
    return float(np.clip(xy / (np.sqrt(xx) * np.sqrt(yy)), -1, 1))


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
