"""What a source's features are worth by themselves: a linear probe and its nearest neighbours.

Both are learnt from the labelled images of the target alone, and judged on labelled images that
they did not learn from, so that the test images stay unseen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Values of C, the inverse strength of the L2 penalty, of which cross-validation takes one."""

FOLDS = 5
"""Parts of the labelled images in cross-validation."""


class CrossValidation(NamedTuple):
    """What cross-validation says of a probe."""

    correct: np.ndarray
    """Whether each labelled image was classified rightly, bool [l]."""

    strength: float
    """The C of the smallest log loss. The choice is made on the same images, so that `correct` is
    a little optimistic: by the choice between five values."""


@dataclass(frozen=True)
class Probe:
    """A multinomial logistic regression on standardised features."""

    mean: np.ndarray
    """Mean of the labelled features [d]."""

    scale: np.ndarray
    """Their standard deviation [d], 1 where a feature is constant."""

    weights: np.ndarray
    """[d, num_classes]."""

    bias: np.ndarray
    """[num_classes]; -inf for a class without a labelled image."""

    strength: float
    """C, the inverse strength of the penalty."""

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Probabilities float32 [n, num_classes] of features [n, d]."""
        logits = (np.asarray(features, np.float64) - self.mean) / self.scale @ self.weights
        logits += self.bias
        logits -= logits.max(axis=1, keepdims=True)
        values = np.exp(logits)
        return (values / values.sum(axis=1, keepdims=True)).astype(np.float32)


def fit_probe(features: np.ndarray, labels: np.ndarray, num_classes: int, *, seed: int) -> Probe:
    """Fit a linear probe on labelled images, at the strength that cross-validation takes.

    Args:
        features: [l, d], finite.
        labels: Classes [l], two or more different ones.
        num_classes: Classes of the task.
        seed: Seed of the folds.

    Raises:
        ValueError: Where there is one class only, or a feature is not finite.
    """
    strength = cross_validate(features, labels, seed=seed).strength
    mean, scale, basis, coordinates = _standardised(features)
    classes, weights, bias = next(_path(coordinates, labels, (strength,), tolerance=1e-5))
    all_weights = np.zeros((len(mean), num_classes))
    all_bias = np.full(num_classes, -np.inf)
    all_weights[:, classes] = basis @ weights if basis is not None else weights
    all_bias[classes] = bias
    return Probe(mean, scale, all_weights, all_bias, strength)


def cross_validate(features: np.ndarray, labels: np.ndarray, *, seed: int) -> CrossValidation:
    """Classify every labelled image by a probe that was fitted without it.

    The folds hold their share of every class as nearly as its size allows: the two images of a
    class of two lie in two folds. An image whose class has no other one is counted as wrong. The
    folds depend on the labels and the seed alone, so that those of two sources are the same and
    their differences are paired.

    Args:
        features: [l, d], finite.
        labels: Classes [l], two or more different ones.
        seed: Seed of the folds.

    Raises:
        ValueError: Where there is one class only, or a feature is not finite.
    """
    labels = np.asarray(labels)
    if len(np.unique(labels)) < 2:
        raise ValueError("a linear probe needs labelled images of two classes or more")
    if not np.isfinite(features).all():
        raise ValueError("a linear probe needs finite features")
    fold_of = _folds(labels, seed=seed)
    losses = np.zeros((len(STRENGTHS), len(labels)))
    correct = np.zeros((len(STRENGTHS), len(labels)), bool)
    for fold in range(FOLDS):
        held = fold_of == fold
        if not held.any() or len(np.unique(labels[~held])) < 2:
            losses[:, held] = np.log(len(np.unique(labels)))
            continue
        mean, scale, basis, coordinates = _standardised(features[~held])
        there = (np.asarray(features[held], np.float64) - mean) / scale
        there = there if basis is None else there @ basis
        # Single precision is enough to compare strengths, and twice as fast.
        path = _path(coordinates.astype(np.float32), labels[~held], STRENGTHS, tolerance=1e-4)
        for i, (classes, weights, bias) in enumerate(path):
            logits = there @ weights.astype(np.float64) + bias
            logits -= logits.max(axis=1, keepdims=True)
            log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
            place = np.searchsorted(classes, labels[held])
            known = np.isin(labels[held], classes)
            of_label = log_p[np.arange(held.sum()), np.minimum(place, len(classes) - 1)]
            losses[i, held] = -np.where(known, of_label, np.log(1e-12))
            correct[i, held] = classes[logits.argmax(axis=1)] == labels[held]
    best = int(losses.sum(axis=1).argmin())
    return CrossValidation(correct[best], STRENGTHS[best])


def neighbours_correct(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether the nearest other labelled image has an image's class, bool [l] (leave one out).

    Nearest by the cosine of standardised features; of equally near ones the first.

    Args:
        features: [l, d], two images or more.
        labels: Classes [l].
    """
    values = np.asarray(features, np.float64)
    mean, scale = _statistics(values)
    values = (values - mean) / scale
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    unit = values / np.where(norms > 0, norms, 1)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    labels = np.asarray(labels)
    return labels[cosine.argmax(axis=1)] == labels


def _folds(labels: np.ndarray, *, seed: int) -> np.ndarray:
    """The fold of each image: those of a class are dealt out in turn, from a random fold on."""
    rng = np.random.default_rng(seed)
    folds = np.empty(len(labels), np.int64)
    start = 0
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        folds[rows] = (start + np.arange(len(rows))) % FOLDS
        start += len(rows)
    return folds


def _statistics(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation [d] of values [l, d]; 1 for a constant feature's."""
    mean, scale = values.mean(axis=0), values.std(axis=0)
    return mean, np.where(scale > 1e-12 * np.abs(mean) + 1e-30, scale, 1.0)


def _standardised(
    features: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]:
    """Mean and scale [d] of features [l, d], and the features with them.

    Where there are more than twice as many features as images, they are given by their coordinates
    in the space that the images span, with its basis [d, r], from the eigenvectors of the images'
    inner products: the penalty does not see the difference, and the fit is as fast as for few
    features.
    """
    values = np.asarray(features, np.float64)
    mean, scale = _statistics(values)
    values = (values - mean) / scale
    if values.shape[1] <= 2 * len(values) or not values.any():
        return mean, scale, None, values
    squares, vectors = np.linalg.eigh(values @ values.T)
    spanned = squares > 1e-12 * squares[-1]
    lengths, vectors = np.sqrt(squares[spanned]), vectors[:, spanned]
    return mean, scale, values.T @ (vectors / lengths), vectors * lengths


def _path(
    features: np.ndarray,
    labels: np.ndarray,
    strengths: tuple[float, ...],
    *,
    tolerance: float,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Classes [c], weights [r, c] and bias [c] of the fit for each C, each from the one before."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=300, tol=tolerance, warm_start=True)
    for strength in strengths:
        model.set_params(C=strength)
        with warnings.catch_warnings():
            # The last digits of a probe do not matter; a bound on its time does.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features, labels)
        weights, bias = model.coef_.T, model.intercept_
        if len(model.classes_) == 2:
            # scikit-learn has the log odds of the second class then.
            weights, bias = np.hstack([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
        yield model.classes_, weights, bias
