"""What is lost by training the students of the best ranked sources only: Table 3, and regret.

Sources that score the same are in no order: the numbers are then expected values over a random one.
A ranking in which all score the same (`rankings.random_scores`) so gives the chance level.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from math import comb

import numpy as np
import pandas as pd

from distillweighted.analysis.correlation import per_target, single_source_scores

log = logging.getLogger(__name__)


def table3_relative_accuracy(
    accuracy: pd.DataFrame, similarity: pd.DataFrame, k: int = 3, *, value: str = "accuracy"
) -> pd.DataFrame:
    """Table 3: how much of the best k students' accuracy the k best ranked sources give.

    The mean accuracy of the students of the k sources that score highest, in percent of the mean
    of the k best students. For a random order that is 100 mean(y) / mean(best k of y).

    Args:
        accuracy: As for `correlation.single_source_scores`.
        similarity: As for `correlation.single_source_scores`.
        k: Number of students (3 in the paper).
        value: accuracy or balanced_accuracy.

    Returns:
        Columns representation, metric, one a target, mean (percent, mean over seeds).

    Raises:
        ValueError: The input is faulty, or a target has fewer than k sources.
    """

    def relative(score: np.ndarray, y: np.ndarray, source: np.ndarray) -> float:
        return 100 * expected_mean(score, y, k) / np.sort(y)[-k:].mean()

    return _of_the_first(accuracy, similarity, k, relative, value)


def table3_other_k(
    accuracy: pd.DataFrame, similarity: pd.DataFrame, ks: Sequence[int], *, value: str = "accuracy"
) -> pd.DataFrame:
    """Table 3 for several k.

    Args:
        accuracy: As for `table3_relative_accuracy`.
        similarity: As for `table3_relative_accuracy`.
        ks: Numbers of students, none above the number of sources of any target.
        value: accuracy or balanced_accuracy.

    Returns:
        As `table3_relative_accuracy`, with a first column k.
    """
    parts = []
    for k in ks:
        part = table3_relative_accuracy(accuracy, similarity, k, value=value)
        part.insert(0, "k", k)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def table3_regret(
    accuracy: pd.DataFrame,
    similarity: pd.DataFrame,
    ks: Sequence[int] = (1, 3, 5),
    *,
    value: str = "accuracy",
) -> pd.DataFrame:
    """Regret at k: the best student of all, minus the best among the k best ranked sources.

    What is lost by training k students and keeping the best. Unlike Table 3 it does not look better
    for a target whose students are all alike and accurate.

    Args:
        accuracy: As for `table3_relative_accuracy`.
        similarity: As for `table3_relative_accuracy`.
        ks: Numbers of students. One above the number of sources of a target is left out, and the
            log says so.
        value: accuracy or balanced_accuracy.

    Returns:
        Columns k, representation, metric, one a target, mean (percentage points, at least 0, mean
        over seeds).

    Raises:
        ValueError: The input is faulty, or every k is above the number of sources of a target.
    """
    singles = accuracy[accuracy["method"] == "distill_single"]
    fewest = singles.groupby(["target", "seed"]).size().min()
    parts = []
    for k in ks:
        if k > fewest and k > min(ks):
            log.warning("no regret at %d: a target has %d sources", k, fewest)
            continue

        def regret(score: np.ndarray, y: np.ndarray, source: np.ndarray, k: int = k) -> float:
            return y.max() - expected_best(score, y, k)

        part = _of_the_first(accuracy, similarity, k, regret, value)
        part.insert(0, "k", k)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def expected_mean(score: np.ndarray, y: np.ndarray, k: int) -> float:
    """The mean y [s] of the k highest scores [s], expected over random orders of equal ones."""
    above, tied = _first(score, k)
    return (y[above].sum() + (k - above.sum()) * y[tied].mean()) / k


def expected_best(score: np.ndarray, y: np.ndarray, k: int) -> float:
    """The largest y [s] of the k highest scores [s], expected over random orders of equal ones.

    Of T equal scores m are taken. The largest of them is the j-th largest of the T with probability
    C(T - j, m - 1) / C(T, m).
    """
    above, tied = _first(score, k)
    taken = k - int(above.sum())
    values = np.sort(y[tied])[::-1]
    sure = y[above].max(initial=-np.inf)
    ways = comb(len(values), taken)
    # Whole numbers of any size: their ratios, not they, are turned into floats.
    shares = np.array([comb(j, taken - 1) / ways for j in reversed(range(len(values)))])
    return float(shares @ np.maximum(values, sure))


def _first(score: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Which scores are surely among the k highest, and which are equal at the edge: bool [s]."""
    edge = np.sort(score)[-k]
    return score > edge, score == edge


def _of_the_first(
    accuracy: pd.DataFrame,
    similarity: pd.DataFrame,
    k: int,
    statistic: Callable[[np.ndarray, np.ndarray, np.ndarray], float],
    value: str,
) -> pd.DataFrame:
    if k < 1:
        raise ValueError(f"k is a number of students from 1 on, not {k}")
    table = single_source_scores(accuracy, similarity, value=value)
    return per_target(table, statistic, min_sources=k, needs_spread=False)
