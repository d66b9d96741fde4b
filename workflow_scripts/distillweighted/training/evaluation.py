"""Accuracy of predictions, in percent.

Without NumPy: a grid evaluates thousands of students, and the import costs more than the sums.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def accuracy(labels: Sequence[int], predicted: Sequence[int]) -> float:
    """Share of right predictions [n], in percent."""
    pairs = list(zip(labels, predicted, strict=True))
    return 100 * sum(label == guess for label, guess in pairs) / len(pairs)


def balanced_accuracy(labels: Sequence[int], predicted: Sequence[int]) -> float:
    """Mean over classes of the share of their images that are right, in percent.

    Classes without a test image do not count.
    """
    total = Counter(labels)
    right = Counter(a for a, b in zip(labels, predicted, strict=True) if a == b)
    return 100 * sum(right[label] / total[label] for label in total) / len(total)
