"""Means over seeds and targets, and bootstrap intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd


def centred_interval(
    draws: np.ndarray, estimate: float, level: float, *, bound: float = np.inf
) -> tuple[float, float]:
    """Percentiles of bootstrap draws, moved so that the median draw lies on the estimate.

    Args:
        draws: The statistic of every bootstrap sample; NaN where it has none, which is left out.
        estimate: The statistic of the data.
        level: Of the interval.
        bound: The largest absolute value that the statistic can have.

    Returns:
        The ends; NaN where no sample has a value, or the data have none.
    """
    draws = draws[~np.isnan(draws)]
    if not len(draws) or np.isnan(estimate):
        return np.nan, np.nan
    low, middle, high = np.quantile(draws, [(1 - level) / 2, 0.5, (1 + level) / 2])
    ends = np.clip(np.array([low, high]) + estimate - middle, -bound, bound)
    return float(ends[0]), float(ends[1])


def percentile_interval(draws: np.ndarray, estimate: float, level: float) -> tuple[float, float]:
    """Percentiles of bootstrap draws, stretched to the estimate where they do not hold it.

    Args:
        draws: As for `centred_interval`.
        estimate: As for `centred_interval`.
        level: Of the interval.

    Returns:
        The ends; NaN where no sample has a value, or the data have none.
    """
    draws = draws[~np.isnan(draws)]
    if not len(draws) or np.isnan(estimate):
        return np.nan, np.nan
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(min(low, estimate)), float(max(high, estimate))


def mean_over_targets(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Accuracy averaged over targets within a seed; its mean and standard error over seeds."""
    by_seed = rows.groupby([*by, "seed"], sort=False).agg(
        accuracy=("accuracy", "mean"), n_targets=("accuracy", "size")
    )
    return (
        by_seed.groupby(by, sort=False)
        .agg(
            accuracy=("accuracy", "mean"),
            standard_error=("accuracy", "sem"),
            n_targets=("n_targets", "first"),
            n_seeds=("accuracy", "size"),
        )
        .reset_index()
    )
