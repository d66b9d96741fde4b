"""Whether distillation is likely to pay: what can be said before a student is trained.

The assumption: a student learns most from a source whose features tell more about the target than
the student's own start does. So a linear probe on the nearest source's features is compared with
one on the start's features, both cross-validated on the same folds of the labelled images. It is an
indication and no proof: the student's size and training count too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from distillweighted.sources.ranking import NORMAL, Ranking


@dataclass(frozen=True)
class Outlook:
    """The comparison, in percentage points."""

    verdict: str
    """likely, unclear or unlikely."""

    difference: float
    """Accuracy of the probe on the nearest source minus that on the start (without a start: minus
    the share of the largest class)."""

    low: float
    """Lower end of its 95% interval over labelled images."""

    high: float
    """Upper end."""


def outlook_of(ranking: Ranking, source: str, start: str | None) -> Outlook:
    """The comparison of a source with the student's start.

    The interval is that of a mean of paired differences over labelled images (normal
    approximation); folds share most of their training images, so that it is a little too narrow.

    Args:
        ranking: The ranking.
        source: The source to compare.
        start: The student's start; None to compare with a constant answer.
    """
    right = ranking.correct[source].astype(float)
    differences = right - (ranking.chance / 100 if start is None else ranking.correct[start])
    mean = 100 * differences.mean()
    error = 100 * differences.std(ddof=1) / math.sqrt(len(differences))
    low, high = mean - NORMAL * error, mean + NORMAL * error
    verdict = "likely" if low > 0 else "unlikely" if high < 0 else "unclear"
    return Outlook(verdict, float(mean), float(low), float(high))


def accuracy_interval(correct: np.ndarray) -> tuple[float, float, float]:
    """Percentage of True in `correct` [n], with Wilson's 95% interval."""
    n, share = len(correct), float(np.mean(correct))
    middle = (share + NORMAL**2 / (2 * n)) / (1 + NORMAL**2 / n)
    half = NORMAL / (1 + NORMAL**2 / n) * math.sqrt(share * (1 - share) / n + (NORMAL / n / 2) ** 2)
    return 100 * share, 100 * (middle - half), 100 * (middle + half)
