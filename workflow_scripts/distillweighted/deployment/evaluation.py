"""What a student is worth on the test part: accuracy, classes, confusion, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from distillweighted.deployment.intervals import (
    calibration,
    expected_calibration_error,
    wilson_interval,
)


@dataclass(frozen=True)
class ClassRow:
    """A class of the test part."""

    name: str
    """Its name."""

    images: int
    """Its test images."""

    recall: float
    """Share of them that are recognised, in percent; NaN where there is none."""

    low: float
    """Lower end of the 95 % interval (Wilson) of that share."""

    high: float
    """Upper end."""

    precision: float
    """Share of the images called so that are of it, in percent; NaN where none is called so."""


@dataclass(frozen=True)
class Evaluation:
    """A student on the test part."""

    classes: tuple[str, ...]
    """Class names [C]."""

    confusion: np.ndarray
    """int64 [C, C]: images of class i that are taken for class j."""

    bins: np.ndarray
    """float64 [bins, 3]: images, confidence, accuracy (`intervals.calibration`)."""

    @classmethod
    def of(
        cls, probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str]
    ) -> Evaluation:
        """The evaluation of probabilities float [n, C] against labels int [n], n > 0."""
        confusion = np.zeros((len(classes), len(classes)), np.int64)
        np.add.at(confusion, (labels, probabilities.argmax(axis=1)), 1)
        return cls(tuple(classes), confusion, calibration(probabilities, labels))

    @property
    def images(self) -> int:
        """Test images."""
        return int(self.confusion.sum())

    @property
    def right(self) -> int:
        """Those that are recognised."""
        return int(np.trace(self.confusion))

    @property
    def accuracy(self) -> float:
        """Their share, in percent."""
        return 100 * self.right / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval (Wilson), in percent."""
        low, high = wilson_interval(self.right, self.images)
        return 100 * low, 100 * high

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that have a test image, in percent."""
        return float(np.nanmean([row.recall for row in self.rows]))

    @property
    def ece(self) -> float:
        """Expected calibration error, in percentage points."""
        return 100 * expected_calibration_error(self.bins)

    @property
    def mean_confidence(self) -> float:
        """Mean confidence, in percent."""
        filled = self.bins[self.bins[:, 0] > 0]
        return float(100 * (filled[:, 0] * filled[:, 1]).sum() / filled[:, 0].sum())

    @property
    def rows(self) -> list[ClassRow]:
        """The classes, in their order."""
        rows = []
        for k, name in enumerate(self.classes):
            images, called = int(self.confusion[k].sum()), int(self.confusion[:, k].sum())
            right = int(self.confusion[k, k])
            low, high = wilson_interval(right, images) if images else (np.nan, np.nan)
            recall = right / images if images else np.nan
            precision = right / called if called else np.nan
            rows.append(
                ClassRow(name, images, 100 * recall, 100 * low, 100 * high, 100 * precision)
            )
        return rows

    def most_confused(self, count: int = 5) -> list[tuple[str, str, int]]:
        """Pairs of classes: of which, taken for which, how often; most often first."""
        wrong = self.confusion - np.diag(np.diag(self.confusion))
        order = np.argsort(-wrong, axis=None, kind="stable")[:count]
        pairs = [np.unravel_index(place, wrong.shape) for place in order]
        return [
            (self.classes[i], self.classes[j], int(wrong[i, j])) for i, j in pairs if wrong[i, j]
        ]
