"""PARC and RSA: rank correlation of the distances between images, in features and in labels."""

from __future__ import annotations

import numpy as np

from distillweighted.similarity.metrics.inputs import (
    Representation,
    checked_inputs,
    class_numbers,
    name_rows,
    one_hot,
    without_constant_rows,
)
from distillweighted.similarity.metrics.ranks import class_rank_correlation

# Distances closer than this are one distance: it is far above the noise of float64 (1e-16), and
# far below what float32 features can resolve (1e-7).
DISTANCE_DECIMALS = 12

# So many distances are made at a time: a core's cache holds them.
BLOCK = 1 << 15


def parc(
    features: np.ndarray | Representation,
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
        features: `[n, d]`, one row an image of the probe; or what several metrics share of them.
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
    representation, labels = checked_inputs(features, labels, min_samples=3)
    classes = class_numbers(labels)
    if classes is None:
        of_labels = _label_distances(labels)[np.triu_indices(len(labels), 1)]
        one_class, no_class = not of_labels.any(), np.ptp(of_labels) == 0
    else:
        one_class, no_class = classes.max() == 0, classes.max() == len(labels) - 1
    if one_class or no_class:
        what = "one class only" if one_class else "no two samples share a class"
        raise ValueError(f"the labels of the probe do not tell pairs apart: {what}")
    if published_rounding:
        found = _published(representation.projected(standardize, pca_dims), one_hot(labels))
    else:
        correlations = representation.correlations(standardize=standardize, pca_dims=pca_dims)
        if classes is None:
            found = _spearman(_whole_distances(correlations), of_labels)
        else:
            found = class_rank_correlation(_keys(correlations, classes))
    if np.isnan(found):
        raise ValueError("all pairs of samples are at the same distance in the features")
    return float(np.clip(found, -1, 1))


def rsa(
    features: np.ndarray | Representation,
    labels: np.ndarray,
    *,
    standardize: bool = True,
    pca_dims: int | None = None,
) -> float:
    """Representational similarity analysis (Dwivedi & Roig 2019), the labels as the reference.

    The original compares with the features of a model trained on the target; the paper compares
    with one-hot labels, which makes RSA the PARC of standardised features.

    Args:
        features: `[n, d]`, one row an image of the probe; or what several metrics share of them.
        labels: integer classes `[n]`, or multi-hot zeros and ones `[n, c]`.
        standardize: see `parc`; on by default, as in the public code for RSA.
        pca_dims: see `parc`.

    Returns:
        A correlation in [-1, 1].

    Raises:
        ValueError: as `parc`.
    """
    return parc(features, labels, standardize=standardize, pca_dims=pca_dims)


def _whole_distances(correlations: np.ndarray) -> np.ndarray:
    """1 - correlation, in units of the last of its decimals: whole numbers, as float64."""
    distances = 1 - correlations
    distances *= 10.0**DISTANCE_DECIMALS
    return np.rint(distances, out=distances)


def _keys(correlations: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Of every pair of images twice its distance, plus 1 where it is of two classes; int64 [N]."""
    n = len(classes)
    keys = np.empty(n * (n - 1) // 2, np.int64)
    height, filled = max(1, BLOCK // n), 0
    for start in range(0, n, height):
        block = _whole_distances(correlations[start : start + height, start:])
        block *= 2
        block += classes[start : start + height, None] != classes[start:]
        for i, row in enumerate(block, start=1):
            keys[filled : filled + len(row) - i] = row[i:]
            filled += len(row) - i
    return keys


def _spearman(of_features: np.ndarray, of_labels: np.ndarray) -> float:
    """Spearman's correlation of distances `[n, n]` with those of labels `[N]`, one a pair.

    NaN where all images are at the same distance in the features.
    """
    from scipy.stats import spearmanr  # a slow import; one-hot labels do without

    pairs = of_features[np.triu_indices(len(of_features), 1)]
    return spearmanr(pairs, of_labels).statistic if np.ptp(pairs) else np.nan


def _published(features: np.ndarray, labels: np.ndarray) -> float:
    """As the public code has it, rounding noise included."""
    of_labels = (1 - np.corrcoef(labels))[np.triu_indices(len(labels), 1)]
    return _spearman(1 - np.corrcoef(without_constant_rows(features)), of_labels)


def _label_distances(labels: np.ndarray) -> np.ndarray:
    """1 - Pearson correlation between multi-hot label rows `[n, n]`."""
    # Pearson of zeros and ones in whole numbers: only the square root and the ratio round.
    c, ones = labels.shape[1], labels.sum(axis=1)
    constant = (ones == 0) | (ones == c)
    if constant.any():
        raise ValueError(f"labels with no class, or with every class: {name_rows(constant)}")
    covariance = c * (labels @ labels.T) - np.outer(ones, ones)
    variance = ones * (c - ones)
    return np.round(1 - covariance / np.sqrt(np.outer(variance, variance)), DISTANCE_DECIMALS)
