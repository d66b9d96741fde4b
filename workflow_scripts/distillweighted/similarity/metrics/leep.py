"""LEEP and NCE: how well a source's classes foretell those of the target."""

from __future__ import annotations

import numpy as np

from distillweighted.similarity.metrics.classes import class_inputs
from distillweighted.similarity.metrics.inputs import name_rows

SUM_TOLERANCE = 1e-3
"""How far from 1 probabilities of an image may add up to: those of half precision do."""


def leep(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Log expected empirical prediction (Nguyen et al. 2020, eq. 2).

    LEEP = mean_i log sum_z P(y_i | z) theta_z(x_i), P(y | z) = sum_{j: y_j = y} theta_z(x_j) /
    sum_j theta_z(x_j), where theta_z(x) is the source's probability of its class z. A class z that
    has none for any image takes no part: it would be 0/0, and adds 0.

    Args:
        probabilities: pseudo-labels of the source `[n, z]`, rows that sum to 1.
        labels: integer classes `[n]`, or one-hot `[n, c]`.

    Returns:
        The mean log likelihood of the labels, in (-inf, 0]; of a source that tells nothing, minus
        the entropy of the labels.

    Raises:
        ValueError: as `class_inputs`, or rows that are no probabilities.
    """
    probabilities, classes = class_inputs(probabilities, labels)
    return expected_prediction(checked_probabilities(probabilities), classes)


def nce(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Negative conditional entropy (Tran et al. 2019) of labels given the source's likeliest class.

    NCE = sum_{z, y} P(y, z) log P(y | z), z = argmax of the pseudo-labels, the first of equal ones;
    P are shares of the images. Pairs that do not occur add 0; the PARC code adds 1e-5 to all.

    Args:
        probabilities: pseudo-labels of the source `[n, z]`, rows that sum to 1.
        labels: integer classes `[n]`, or one-hot `[n, c]`.

    Returns:
        Minus an entropy in nats, in [-log c, 0].

    Raises:
        ValueError: as `leep`.
    """
    probabilities, classes = class_inputs(probabilities, labels)
    likeliest = checked_probabilities(probabilities).argmax(axis=1)
    joint = np.zeros((probabilities.shape[1], classes.max() + 1))
    np.add.at(joint, (likeliest, classes), 1 / len(classes))
    z, y = joint.nonzero()
    there = joint[z, y]
    # Rounding must not make an entropy of 0 negative.
    return min(0.0, float(there @ np.log(there / joint.sum(axis=1)[z])))


def expected_prediction(theta: np.ndarray, classes: np.ndarray) -> float:
    """LEEP of probabilities `[n, z]` for classes 0, 1, ... `[n]`."""
    mass = theta.sum(axis=0)
    theta = theta[:, mass > 0]
    members = classes == np.arange(classes.max() + 1)[:, None]
    of_class = members.astype(np.float64) @ theta / mass[mass > 0]  # P(y | z) [c, z]
    # Never 0: an image is among those that its classes z are counted on.
    likelihood = (of_class[classes] * theta).sum(axis=1) / theta.sum(axis=1)
    return min(0.0, float(np.log(likelihood).mean()))


def checked_probabilities(values: np.ndarray) -> np.ndarray:
    """The values `[n, z]`, if each row holds probabilities.

    Raises:
        ValueError: where one does not; says which.
    """
    negative = (values < 0).any(axis=1)
    if negative.any():
        raise ValueError(f"negative numbers, which are no probabilities: {name_rows(negative)}")
    wrong = np.abs(values.sum(axis=1) - 1) > SUM_TOLERANCE
    if wrong.any():
        raise ValueError(f"probabilities that do not sum to 1: {name_rows(wrong)}")
    return values
