"""Accuracy by hand."""

import numpy as np
import pytest

from distillweighted.evaluation import accuracy, balanced_accuracy

LABELS = np.array([0, 0, 0, 0, 1, 1, 3, 3])
PREDICTED = np.array([0, 0, 0, 2, 1, 3, 0, 1])


def test_accuracy_by_hand():
    assert accuracy(LABELS, PREDICTED) == 50.0  # 4 of 8
    assert accuracy(LABELS, LABELS) == 100.0


def test_balanced_accuracy_by_hand():
    # Classes 0, 1, 3: 3/4, 1/2, 0. No image is of class 2 or 4, so they do not count.
    assert balanced_accuracy(LABELS, PREDICTED, 5) == pytest.approx(100 * 1.25 / 3)
    assert balanced_accuracy(LABELS, LABELS, 5) == 100.0


def test_the_majority_class_alone_is_chance_when_balanced():
    labels = np.array([0] * 90 + [1] * 10)
    majority = np.zeros(100, int)
    assert accuracy(labels, majority) == 90.0
    assert balanced_accuracy(labels, majority, 2) == 50.0
