"""CKA: centred kernel alignment of features and labels."""

from __future__ import annotations

import numpy as np

from distillweighted.similarity.metrics.inputs import (
    Kernel,
    Representation,
    checked_inputs,
    one_hot,
)


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
    k, el = representation.kernel, Kernel(y)
    product = el.features.T @ k.features
    kl, kk, ll = float(np.vdot(product, product)), k.norm, el.norm
    if debiased:
        kl, kk, ll = _unbiased(kl, k, el), _unbiased(kk, k, k), _unbiased(ll, el, el)
    # Never negative, and rounding noise where the U-centred kernel vanishes.
    if kk <= 1e-12 * k.norm or ll <= 1e-12 * el.norm:
        raise ValueError("debiased CKA is undefined: a kernel has no variance off its diagonal")
    return float(np.clip(kl / (np.sqrt(kk) * np.sqrt(ll)), -1, 1))


def _unbiased(product: float, k: Kernel, el: Kernel) -> float:
    """n (n - 3) times the U-statistic of HSIC: Song et al.'s eq. 5, from <K, L> and its margins."""
    n, k_sums, l_sums = len(k.diagonal), k.row_sums - k.diagonal, el.row_sums - el.diagonal
    return float(
        product
        - k.diagonal @ el.diagonal
        + k_sums.sum() * l_sums.sum() / ((n - 1) * (n - 2))
        - 2 * (k_sums @ l_sums) / (n - 2)
    )
