"""What a source without a classifier teaches: pseudo-labels from its features.

All start from the same view of the features, fitted on a target's training images without labels:
dimensions that do not vary are left out, the others projected on their first principal components,
each divided by its standard deviation to the power of `WHITENING`, and every image's vector is
scaled to length 1. There are `COMPONENTS` components, fewer where the features have fewer
dimensions or there are fewer than `IMAGES_EACH` images a component: whitened to as many components
as images, all images lie equally far from each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CLUSTERS = 128
"""Clusters of k-means pseudo-labels, where there are images enough."""

COMPONENTS = 64
"""Principal components that features are projected on, where there are images enough."""

IMAGES_EACH = 4
"""Images that there are at least, on average, for a cluster and for a principal component."""

TEMPERATURE = 0.1
"""What cosine similarities are divided by: pseudo-labels are softmax(cosine / TEMPERATURE)."""

WHITENING = 0.5
"""How far components are whitened. Between 0, where the first few components decide, and 1, where
those that say little of the classes count as much as those that say most. On tasks kept for
development, nearest prototypes were right for 47%, 52% and 47% of the unlabelled images at powers
0, 1/2 and 1, and students of k-means pseudo-labels and of prototypes were 1.4 and 1.1 points better
at 1/2 than at 1."""

ZERO_SHOT_SCALE = 100.0
"""What the cosine similarity of image and text is multiplied by (CLIP, Radford et al. 2021)."""


def kmeans_pseudo_labels(
    features: np.ndarray, *, seed: int, clusters: int = CLUSTERS
) -> np.ndarray:
    """Pseudo-labels of a source without a head: how near an image is to each of some clusters.

    The clusters are those of k-means on the features' directions (see above); there are fewer than
    `clusters` where there are fewer than `IMAGES_EACH` images for each, and at least two. Made by
    one thread, so that they are the same however many cores a machine has.

    Args:
        features: `[n, d]` of the target's training images, with or without labels.
        seed: reproduces the start of k-means.
        clusters: how many there are at most, 2 or more.

    Returns:
        float32 `[n, K]`, softmax of the cosine similarities to the centres / `TEMPERATURE`.

    Raises:
        ValueError: features that are not `[n, d]`, not finite, or the same for all images.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    if clusters < 2:
        raise ValueError(f"k-means pseudo-labels need 2 clusters or more, got {clusters}")
    with threadpool_limits(1):
        directions = directions_of(features)
        distinct = len(np.unique(directions, axis=0))
        if distinct < 2:
            raise ValueError("the features point the same way for all images: no clusters")
        count = min(clusters, max(2, len(directions) // IMAGES_EACH), distinct)
        # k-means takes seeds of 32 bits.
        kmeans = KMeans(count, random_state=seed % 2**32, n_init=1).fit(directions)
    return _softmax(directions @ _unit(kmeans.cluster_centers_).T / TEMPERATURE)


def prototype_pseudo_labels(
    features: np.ndarray,
    labeled_rows: Sequence[int] | np.ndarray,
    labels: Sequence[int] | np.ndarray,
    num_classes: int,
) -> np.ndarray:
    """Pseudo-labels of the target's own classes: how near an image is to each class's prototype.

    A class's prototype is the mean of its labelled images' directions (see above).

    Args:
        features: `[n, d]` of the target's training images, with or without labels.
        labeled_rows: rows of the images with labels `[l]`.
        labels: their classes `[l]`, from 0 to `num_classes` - 1.
        num_classes: C, 2 or more.

    Returns:
        float32 `[n, C]`, softmax of the cosine similarities to the prototypes / `TEMPERATURE`.

    Raises:
        ValueError: features that are not `[n, d]`, not finite, or the same for all images; rows or
            labels that do not exist or do not match; a class without a labelled image.
    """
    directions = directions_of(features)
    rows, classes = np.asarray(labeled_rows), np.asarray(labels)
    if rows.ndim != 1 or rows.shape != classes.shape:
        raise ValueError(f"{rows.shape} labelled rows do not match {classes.shape} labels")
    if num_classes < 2:
        raise ValueError(f"class prototypes need 2 classes or more, got {num_classes}")
    if len(rows) and not (rows.min() >= 0 and rows.max() < len(directions)):
        raise ValueError(f"labelled rows must be 0 to {len(directions) - 1}")
    if len(classes) and not (classes.min() >= 0 and classes.max() < num_classes):
        raise ValueError(f"labels must be 0 to {num_classes - 1}")
    counts = np.bincount(classes.astype(np.int64), minlength=num_classes)
    if not counts.all():
        missing = ", ".join(map(str, np.flatnonzero(counts == 0)))
        raise ValueError(
            f"class prototypes need a labelled image of every class; none of class {missing}"
        )
    of_class = np.eye(num_classes)[classes] / counts[classes, None]
    prototypes = of_class.T @ directions[rows]
    return _softmax(directions @ _unit(prototypes).T / TEMPERATURE)


def random_pseudo_labels(
    features: np.ndarray, num_classes: int, *, entropy: float, seed: int
) -> np.ndarray:
    """Pseudo-labels of a random linear classifier: a control, for what a source's own is worth.

    Args:
        features: `[n, d]` of the target's training images.
        num_classes: C, 2 or more.
        entropy: mean entropy of the pseudo-labels in nats, above 0 and below log C; the scale of
            the classifier is chosen so that it is reached, as far as scales from 1e-3 to 1e4 go.
        seed: reproduces the classifier.

    Returns:
        float32 `[n, C]`, softmax of the directions of the features (see above) times normal numbers
        times the scale.

    Raises:
        ValueError: As of `kmeans_pseudo_labels`, or fewer than 2 classes.
    """
    if num_classes < 2:
        raise ValueError(f"a classifier needs 2 classes or more, got {num_classes}")
    directions = directions_of(features)
    weights = np.random.default_rng(seed).standard_normal((directions.shape[1], num_classes))
    logits = directions @ weights
    low, high = np.log(1e-3), np.log(1e4)
    # The entropy falls as the scale grows.
    for _ in range(60):
        middle = (low + high) / 2
        q = _softmax(np.exp(middle) * logits).astype(np.float64)
        found = -(q * np.log(np.maximum(q, 1e-300))).sum(axis=1).mean()
        low, high = (middle, high) if found > entropy else (low, middle)
    return _softmax(np.exp((low + high) / 2) * logits)


def zero_shot_probabilities(features: np.ndarray, text: np.ndarray) -> np.ndarray:
    """Probabilities of the target's classes from an image and text tower (CLIP, SigLIP).

    Args:
        features: `[n, d]` of the image tower.
        text: `[C, d]` of the text tower, one row a class.

    Returns:
        float32 `[n, C]`, softmax of `ZERO_SHOT_SCALE` times the cosine similarities.

    Raises:
        ValueError: shapes that do not match, fewer than 2 classes, values that are not finite, or
            a row of zeros, which points nowhere.
    """
    features, text = _checked(features, "features"), _checked(text, "text embeddings")
    if text.shape[1] != features.shape[1]:
        raise ValueError(
            f"text embeddings [{len(text)}, {text.shape[1]}] do not match features of "
            f"{features.shape[1]} dimensions: both must come from the same model"
        )
    if len(text) < 2:
        raise ValueError("zero-shot probabilities need text embeddings of 2 classes or more")
    for name, values in (("features", features), ("text embeddings", text)):
        zeros = np.flatnonzero(~values.any(axis=1))
        if len(zeros):
            raise ValueError(f"row {zeros[0]} of the {name} is 0, which has no direction")
    return _softmax(ZERO_SHOT_SCALE * (_unit(features) @ _unit(text).T))


def directions_of(features: np.ndarray) -> np.ndarray:
    """Features as vectors of length 1 on their half-whitened principal components (see above).

    Args:
        features: `[n, d]`.

    Returns:
        float64 `[n, k]`; an image in the very middle of all has a row of zeros.

    Raises:
        ValueError: As of `kmeans_pseudo_labels`.
    """
    from sklearn.decomposition import PCA

    features = _checked(features, "features")
    features = features[:, varying_dimensions(features)]
    images, dimensions = features.shape
    if dimensions == 0:
        raise ValueError("the features are the same for all images: they say nothing about them")
    count = max(1, min(COMPONENTS, dimensions, images // IMAGES_EACH))
    # A seed of its own: the components are those of the features, whatever else is drawn.
    pca = PCA(count, random_state=0)
    scores = pca.fit_transform(features)
    spread = np.sqrt(pca.explained_variance_)
    kept = spread > 10 * np.finfo(np.float32).eps * spread.max()
    return _unit(scores[:, kept] / spread[kept] ** WHITENING)


def standardize(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features with mean 0 and variance 1 in every dimension; constant dimensions are left out.

    Args:
        features: `[n, d]`.

    Returns:
        float64 `[n, k]`, and which of the d dimensions they are, bool `[d]`.

    Raises:
        ValueError: features that are not `[n, d]` or not finite.
    """
    features = _checked(features, "features")
    varying = varying_dimensions(features)
    values = features[:, varying]
    return (values - values.mean(axis=0)) / values.std(axis=0), varying


def varying_dimensions(features: np.ndarray) -> np.ndarray:
    """Which dimensions of features `[n, d]` vary by more than float32 rounds, bool `[d]`."""
    features = np.asarray(features, np.float64)
    rounding = np.finfo(np.float32).eps * np.abs(features).max(axis=0)
    return features.std(axis=0) > rounding


def _checked(values: np.ndarray, name: str) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"{name} must be [n, d] and not empty, got shape {values.shape}")
    if not np.isfinite(values).all():
        row = np.flatnonzero(~np.isfinite(values).all(axis=1))[0]
        raise ValueError(f"{name} must be finite; row {row} is not")
    return values


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1; a row of zeros stays as it is."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
