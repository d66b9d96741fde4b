"""Intervals and tests for accuracies that were measured on the same images."""

from __future__ import annotations

import math
import statistics

import numpy as np


def wilson_interval(right: int, count: int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's (1927) interval of a share: `right` of `count`, in 0..1.

    Raises:
        ValueError: Where nothing was counted.
    """
    if count < 1:
        raise ValueError("no image was counted")
    z = statistics.NormalDist().inv_cdf((1 + level) / 2)
    share, weight = right / count, z**2 / count
    centre = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(share * (1 - share) / count + weight / (4 * count))
    # At the ends it reaches 0 or 1 exactly, but for rounding.
    return (centre - half if right else 0.0), (centre + half if right < count else 1.0)


def bootstrap_interval(
    values: np.ndarray, *, draws: int, seed: int, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of the mean of some values, resampled with replacement.

    What is resampled are images; a mean depends only on how often each value was drawn, so that
    many images with few values cost no more than few.

    Args:
        values: float [n], one an image.
        draws: Bootstrap samples.
        seed: Their seed.
        level: Share of the samples inside.
    """
    levels, counts = np.unique(np.asarray(values, np.float64), return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(values), counts / len(values), size=draws)
    low, high = np.quantile(drawn @ levels / len(values), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def exact_mcnemar(wins: int, losses: int) -> float:
    """p-value of McNemar's exact test (two-sided): images that one of two models alone gets right.

    1 where no image tells them apart.
    """
    n, least = wins + losses, min(wins, losses)
    tail = sum(math.comb(n, k) for k in range(least + 1))
    return min(1.0, 2 * tail / 2**n)


def calibration(probabilities: np.ndarray, labels: np.ndarray, *, bins: int = 10) -> np.ndarray:
    """Confidence and accuracy by confidence, for a reliability figure.

    Args:
        probabilities: float [n, C].
        labels: int [n].
        bins: Bins of equal width over 0..1; a confidence on a border is in the lower one.

    Returns:
        float64 [bins, 3]: images, mean confidence and accuracy in each; NaN in an empty one.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    table = np.full((bins, 3), np.nan)
    for number in range(bins):
        inside = place == number
        table[number, 0] = inside.sum()
        if inside.any():
            table[number, 1:] = confidence[inside].mean(), right[inside].mean()
    return table


def expected_calibration_error(table: np.ndarray) -> float:
    """Mean distance of confidence and accuracy over the images of `calibration`'s table, 0..1."""
    count, confidence, right = table[table[:, 0] > 0].T
    return float((count * np.abs(confidence - right)).sum() / count.sum())
