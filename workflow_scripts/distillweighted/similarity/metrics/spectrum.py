"""Singular values of features, and the coordinates of the images along them."""

from __future__ import annotations

import numpy as np


def spectrum(features: np.ndarray, *, centre: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The left singular vectors `[n, r]` and singular values `[r]` of features `[n, d]` of rank r.

    Values that are rounding noise are left out. The images' coordinates along the principal
    components are `u * s`; their signs are arbitrary.

    Args:
        features: `[n, d]`.
        centre: subtract the mean of every feature first.

    Raises:
        ValueError: where the rank is 0.
    """
    n, d = features.shape
    # Rounding of the means is noise too, whose size is that of the features before.
    noise = max(n, d) * np.finfo(np.float64).eps * np.linalg.norm(features, ord="fro") / np.sqrt(n)
    if centre:
        features = features - features.mean(axis=0)
    # X = R^T Q^T: of wide features the vectors [n, d] are never made.
    square = np.linalg.qr(features.T, mode="r").T if d > n else features
    u, s, _ = np.linalg.svd(square, full_matrices=False)
    # n centred rows have rank n - 1 at most.
    kept = (s > max(n, d) * np.finfo(np.float64).eps * s[0]) & (s > noise)
    kept &= np.arange(len(s)) < (n - 1 if centre else n)
    if not kept.any():
        what = "the features are the same for every sample" if centre else "all features are zero"
        raise ValueError(what)
    return u[:, kept], s[kept]


def shrinkage(coordinates: np.ndarray, d: int) -> float:
    """Ledoit and Wolf's share of the identity in a covariance, 0 to 1 (2004, Lemma 3.1 ff.).

    The covariance S = X^T X / n becomes (1 - a) S + a tr(S)/d I, with a = min(b, c) / c where

        b = (mean_i |x_i|^4 - |S|^2) / n, c = |S|^2 - tr(S)^2 / d.

    Args:
        coordinates: Centred features in any orthogonal basis of their span, `[n, r]`.
        d: The width of the features, r or more.
    """
    n = len(coordinates)
    small = coordinates.T if coordinates.shape[1] <= n else coordinates
    squared = float(np.square(small @ small.T).sum()) / n**2
    norms = np.square(coordinates).sum(axis=1)
    c = squared - (norms.sum() / n) ** 2 / d
    b = (np.square(norms).mean() - squared) / n
    return float(min(b, c) / c) if min(b, c) > 0 else 0.0
