"""How similar is a source model to a target task? PARC, RSA and CKA on a small labelled probe.

Every metric compares a source's representation of the probe images with their labels: arrays in,
one number in [-1, 1] out, larger is more similar. The paper's scores are 100 times these.
Compare scores between sources of one target only: the ceiling depends on the target's classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import zip_longest

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

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
    features, labels = _checked(features, labels, min_samples=3)
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
        of_labels = 1 - np.corrcoef(_one_hot(labels))[pairs]
    else:
        of_features = _correlation_distances(features)[pairs]
    if np.ptp(of_features) == 0:
        raise ValueError("all pairs of samples are at the same distance in the features")
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
    x, labels = _checked(features, labels, min_samples=4 if debiased else 3)
    y = _one_hot(labels)
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


METRICS: dict[str, Callable[..., float]] = {
    "parc": parc,
    "rsa": rsa,
    "cka": cka,
    "cka_debiased": partial(cka, debiased=True),
}


def draw_probe(labels: np.ndarray, size: int, *, seed: int) -> np.ndarray:
    """Draw the probe: a class-balanced sample of the labelled images (the PARC benchmark's rule).

    Classes take turns, in a random order, each giving one random image a turn, until the probe is
    full. Where that would leave a class with fewer than two images (size < 2 * classes), only
    `size // 2` random classes take part and give two images each. A class with fewer images gives
    what it has: a class of one image gives one.

    Args:
        labels: integer classes `[n]`.
        size: images wanted; all n are taken if it is at least n.
        seed: reproduces the draw.

    Returns:
        Sorted indices into `labels`, at most `size` of them.

    Raises:
        ValueError: labels that are not `[n]`, or a size below 4 (two classes of two images).
    """
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"draw_probe needs integer labels [n], got shape {labels.shape}")
    if size >= len(labels):
        return np.arange(len(labels))
    if size < 4:
        raise ValueError(f"a probe needs at least 4 images (two classes of two), got size {size}")
    rng = np.random.default_rng(seed)
    classes = rng.permutation(np.unique(labels))
    turns = size
    if size < 2 * len(classes):
        classes, turns = classes[: size // 2], 2
    images = [rng.permutation(np.flatnonzero(labels == c))[:turns] for c in classes]
    in_turn = [i for turn in zip_longest(*images) for i in turn if i is not None]
    return np.sort(np.array(in_turn[:size]))


def score_sources(
    representations: Mapping[str, Mapping[str, np.ndarray]],
    labels: np.ndarray,
    probe: np.ndarray,
    *,
    metrics: Sequence[str],
    target: str,
    seed: int,
) -> pd.DataFrame:
    """Score every source, representation and metric on one probe of one target.

    Args:
        representations: source -> representation ("features", "pseudo_labels") -> array `[n, d]`,
            its rows in the order of `labels`.
        labels: of the target's training images, integers `[n]` or multi-hot `[n, c]`.
        probe: indices into `labels`, from `draw_probe`.
        metrics: names in `METRICS`.
        target: the target's name, for the table and for errors.
        seed: the replicate the probe belongs to, for the table.

    Returns:
        Columns target, seed, source, representation, metric, score; rows in the order given.

    Raises:
        ValueError: an unknown metric, or a score that does not exist; it names target, source,
            representation and metric.
    """
    unknown = [name for name in metrics if name not in METRICS]
    if unknown:
        raise ValueError(f"unknown metric {unknown}: choose from {list(METRICS)}")
    labels = np.asarray(labels)
    rows = []
    for source, arrays in representations.items():
        for representation, array in arrays.items():
            for metric in metrics:
                try:
                    if len(array) != len(labels):
                        raise ValueError(f"{len(array)} rows for {len(labels)} labels")
                    score = METRICS[metric](np.asarray(array[probe]), labels[probe])
                except ValueError as error:
                    raise ValueError(
                        f"no {metric} score for source {source!r} ({representation}) "
                        f"on target {target!r}: {error}"
                    ) from error
                rows.append((target, seed, source, representation, metric, score))
    columns = ["target", "seed", "source", "representation", "metric", "score"]
    return pd.DataFrame(rows, columns=columns)


def _checked(
    features: np.ndarray, labels: np.ndarray, *, min_samples: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return features as float64 `[n, d]` and labels as an integer array, or say what is wrong."""
    features, labels = np.asarray(features, dtype=np.float64), np.asarray(labels)
    if features.ndim != 2 or features.shape[1] == 0:
        raise ValueError(f"features must be [n, d], got shape {features.shape}")
    if labels.ndim not in (1, 2) or len(labels) != len(features):
        raise ValueError(
            f"labels must be [n] or [n, c] with n = {len(features)}, got shape {labels.shape}"
        )
    if len(features) < min_samples:
        raise ValueError(f"{len(features)} samples: at least {min_samples} are needed")
    bad = ~np.isfinite(features).all(axis=1)
    if bad.any():
        raise ValueError(f"NaN or infinity in the features: {_name_rows(bad)}")
    if labels.ndim == 2 and not np.isin(labels, (0, 1)).all():
        raise ValueError("multi-hot labels [n, c] must be zeros and ones")
    if labels.ndim == 1 and labels.dtype.kind not in "iub":
        raise ValueError(f"labels [n] must be integers, got {labels.dtype}")
    # No metric depends on the overall scale; a power of two is exact and keeps squares finite.
    exponent = int(np.frexp(np.abs(features).max())[1])
    return np.ldexp(features, -exponent), labels.astype(np.int64)


def _name_rows(mask: np.ndarray) -> str:
    rows = np.flatnonzero(mask)
    shown = ", ".join(map(str, rows[:10])) + (", ..." if len(rows) > 10 else "")
    return f"row {shown}" if len(rows) == 1 else f"{len(rows)} rows ({shown})"


def _one_hot(labels: np.ndarray) -> np.ndarray:
    if labels.ndim == 2:
        return labels.astype(np.float64)
    return (labels[:, None] == np.unique(labels)).astype(np.float64)


def _without_constant_rows(features: np.ndarray) -> np.ndarray:
    constant = np.ptp(features, axis=1) <= 1e-12 * np.abs(features).max(axis=1)
    if constant.any():
        raise ValueError(
            f"constant features, whose correlation is undefined: {_name_rows(constant)}"
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
        raise ValueError(f"labels with no class, or with every class: {_name_rows(constant)}")
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
