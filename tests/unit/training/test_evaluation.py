"""Accuracy by hand."""

import pytest

from distillweighted.training.evaluation import accuracy, balanced_accuracy

LABELS = [0, 0, 0, 0, 1, 1, 3, 3]
PREDICTED = [0, 0, 0, 2, 1, 3, 0, 1]


def test_accuracy_by_hand():
    assert accuracy(LABELS, PREDICTED) == 50.0  # 4 of 8
    assert accuracy(LABELS, LABELS) == 100.0


def test_balanced_accuracy_by_hand():
    # Classes 0, 1, 3: 3/4, 1/2, 0. No image is of class 2 or 4, so they do not count.
    assert balanced_accuracy(LABELS, PREDICTED) == pytest.approx(100 * 1.25 / 3)
    assert balanced_accuracy(LABELS, LABELS) == 100.0


def test_the_majority_class_alone_is_chance_when_balanced():
    labels = [0] * 90 + [1] * 10
    majority = [0] * 100
    assert accuracy(labels, majority) == 90.0
    assert balanced_accuracy(labels, majority) == 50.0
