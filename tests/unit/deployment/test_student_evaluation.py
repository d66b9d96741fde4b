"""A student on the test part, by hand."""

import numpy as np
import pytest

from distillweighted.deployment.evaluation import Evaluation


@pytest.fixture
def evaluation():
    """Of class a, two of three are right; of b, one of two; c is in no test image; d is lost."""
    labels = np.array([0, 0, 0, 1, 1, 3])
    said = np.array([0, 0, 1, 1, 2, 0])
    probabilities = np.full((6, 4), 0.1)
    probabilities[np.arange(6), said] = 0.7
    return Evaluation.of(probabilities, labels, ["a", "b", "c", "d"])


def test_accuracy_and_confusion(evaluation):
    wanted = [[2, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    assert evaluation.confusion.tolist() == wanted
    assert (evaluation.right, evaluation.images, evaluation.accuracy) == (3, 6, 50)
    assert evaluation.interval == pytest.approx((18.7617, 81.2383), abs=1e-3)
    assert evaluation.balanced_accuracy == pytest.approx(100 * (2 / 3 + 1 / 2 + 0) / 3)
    assert evaluation.mean_confidence == pytest.approx(70)
    assert evaluation.ece == pytest.approx(20)


def test_classes(evaluation):
    a, b, c, d = evaluation.rows
    assert (a.name, a.images, a.recall, a.precision) == (
        "a", 3, pytest.approx(66.667, abs=1e-3), pytest.approx(66.667, abs=1e-3),
    )  # fmt: skip
    assert (b.images, b.recall, b.precision) == (2, 50, 50)
    assert c.images == 0 and np.isnan([c.recall, c.low, c.high]).all() and c.precision == 0
    assert (d.recall, d.low) == (0, 0) and np.isnan(d.precision)


def test_most_frequent_confusions(evaluation):
    assert evaluation.most_confused() == [("a", "b", 1), ("b", "c", 1), ("d", "a", 1)]
    assert evaluation.most_confused(1) == [("a", "b", 1)]
