"""PARC and RSA: rank correlation of the distances between images, in features and in labels."""

from __future__ import annotations

import numpy as np

from distillweighted.similarity.metrics.inputs import checked_inputs, name_rows, one_hot

# Distances closer than this are one distance: it is far above the noise of float64 (1e-16), and
# far below what float32 features can resolve (1e-7).
DISTANCE_DECIMALS = 12


def parc(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    standardize: bool = False,
    pca_dims: int | None = None,
    published_rounding: bool = False,
) -> float:
    """Pairwise Annotation Representation Comparison (section 4.1; Bolya et al. 2021).

    PARC = spearman({D_phi[i, j]}, {D_Y[i, j]}) over pairs i < j, where D = 1 - Pearson correlation
    between the rows of the features and between the rows of the one-hot labels.

    One-hot labels give D_Y two values only. The public code computes them with `np.corrcoef`,
    whose noise of 2e-16 splits the ties of the different-class pairs, and Spearman then ranks
    noise. Here D_Y comes from label equality, and both distances are rounded to 12 decimals so
    that equal distances stay tied.

    Args:
        features: `[n, d]`, one row an image of the probe.
        labels: integer classes `[n]`, or multi-hot zeros and ones `[n, c]`.
        standardize: scale each feature to zero mean and unit variance first, as the public code
            does and the paper's formula does not.
        pca_dims: project on this many principal components first (before standardising), at most
            min(n, d). The public code offers it and leaves it off.
        published_rounding: compute the distances as the public code does, noise included. For
            comparison with published numbers only: on 500 images of 7 or 37 balanced classes the
            score is about 0.7 or 0.35 times the exact one.

    Returns:
        A correlation in [-1, 1].

    Raises:
        ValueError: shapes that do not match, NaN or infinity, fewer than 3 images, a constant row
            of features, `pca_dims` below 1, one class only, or no two images of one class.
    """
    features, labels = checked_inputs(features, labels, min_samples=3)
    if pca_dims is not None:
        features = _principal_components(features, pca_dims)
    if standardize:
        features = _standardized(features)

    pairs = np.triu_indices(len(features), 1)
    of_labels = _label_distances(labels)[pairs]
    if np.ptp(of_labels) == 0:
        what = "one class only" if of_labels[0] == 0 else "no two samples share a class"
        raise ValueError(f"the labels of the probe do not tell pairs apart: {what}")
    if published_rounding:
        of_features = 1 - np.corrcoef(_without_constant_rows(features))[pairs]
        of_labels = 1 - np.corrcoef(one_hot(labels))[pairs]
    else:
        of_features = _correlation_distances(features)[pairs]
    if np.ptp(of_features) == 0:
        raise ValueError("all pairs of samples are at the same distance in the features")
    from scipy.stats import spearmanr  # a slow import, which most jobs of this package do not need

    return float(np.clip(spearmanr(of_features, of_labels).statistic, -1, 1))


def rsa(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    standardize: bool = True,
    pca_dims: int | None = None,
) -> float:
    """Representational similarity analysis (Dwivedi & Roig 2019), the labels as the reference.

    The original compares with the features of a model trained on the target; the paper compares
    with one-hot labels, which makes RSA the PARC of standardised features.

    Args:
        features: `[n, d]`, one row an image of the probe.
        labels: integer classes `[n]`, or multi-hot zeros and ones `[n, c]`.
        standardize: see `parc`; on by default, as in the public code for RSA.
        pca_dims: see `parc`.

    Returns:
        A correlation in [-1, 1].

    Raises:
        ValueError: as `parc`.
    """
    return parc(features, labels, standardize=standardize, pca_dims=pca_dims)


def _without_constant_rows(features: np.ndarray) -> np.ndarray:
    constant = np.ptp(features, axis=1) <= 1e-12 * np.abs(features).max(axis=1)
    if constant.any():
        raise ValueError(
            f"constant features, whose correlation is undefined: {name_rows(constant)}"
        )
    return features


def _correlation_distances(features: np.ndarray) -> np.ndarray:
    """1 - Pearson correlation between rows `[n, n]`."""
    rows = _without_constant_rows(features)
    rows = rows - rows.mean(axis=1, keepdims=True)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.round(1 - rows @ rows.T, DISTANCE_DECIMALS)


def _label_distances(labels: np.ndarray) -> np.ndarray:
    """1 - Pearson correlation between label rows `[n, n]`, up to a monotone map for one-hot."""
    if labels.ndim == 1:
        return (labels[:, None] != labels).astype(np.float64)
    # Pearson of zeros and ones in whole numbers: only the square root and the ratio round.
    c, ones = labels.shape[1], labels.sum(axis=1)
    constant = (ones == 0) | (ones == c)
    if constant.any():
        raise ValueError(f"labels with no class, or with every class: {name_rows(constant)}")
    covariance = c * (labels @ labels.T) - np.outer(ones, ones)
    variance = ones * (c - ones)
    return np.round(1 - covariance / np.sqrt(np.outer(variance, variance)), DISTANCE_DECIMALS)


def _standardized(features: np.ndarray) -> np.ndarray:
    mean, std = features.mean(axis=0), features.std(axis=0)
    # A constant column has a spread of rounding noise: leave it at zero, do not blow it up.
    constant = std <= len(features) * np.finfo(np.float64).eps * np.abs(mean)
    return np.where(constant, 0, (features - mean) / np.where(constant, 1, std))


def _principal_components(features: np.ndarray, dims: int) -> np.ndarray:
    if dims < 1:
        raise ValueError(f"pca_dims must be at least 1, got {dims}")
    u, s, vt = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    # n centred rows have rank n - 1 at most: what is left is noise, not to be standardised later.
    noise = s <= s[0] * max(features.shape) * np.finfo(np.float64).eps
    s = np.where(noise | (np.arange(len(s)) >= len(features) - 1), 0, s)
    # Pearson correlation of rows depends on the components' signs: fix them by the loadings.
    signs = np.sign(vt[np.arange(len(vt)), np.abs(vt).argmax(axis=1)])
    return (u * (s * signs))[:, :dims]
