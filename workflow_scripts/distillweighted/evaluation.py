"""Accuracy of predictions, in percent."""

from __future__ import annotations

import numpy as np


def accuracy(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Share of right predictions, in percent; both arrays are int [n]."""
    return 100 * float(np.mean(labels == predicted))


def balanced_accuracy(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> float:
    """Mean over classes of the share of their images that are right, in percent.

    Classes without a test image do not count.
    """
    right = np.bincount(labels[labels == predicted], minlength=num_classes)
    total = np.bincount(labels, minlength=num_classes)
    present = total > 0
    return 100 * float(np.mean(right[present] / total[present]))
