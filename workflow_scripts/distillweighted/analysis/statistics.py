"""Means over seeds and targets, and bootstrap intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats


def bias_corrected_interval(draws: np.ndarray, estimate: float, level: float) -> np.ndarray:
    """Efron's BC interval: percentiles shifted by where `estimate` lies among the draws."""
    draws = draws[~np.isnan(draws)]
    if not len(draws):
        return np.array([np.nan, np.nan])
    # A margin, since equal numbers can differ by rounding where all draws are +1 or -1.
    below = np.mean(draws < estimate - 1e-12) + np.mean(np.abs(draws - estimate) <= 1e-12) / 2
    shift = stats.norm.ppf(np.clip(below, 1 / (len(draws) + 1), len(draws) / (len(draws) + 1)))
    tails = stats.norm.ppf([(1 - level) / 2, (1 + level) / 2])
    return np.quantile(draws, stats.norm.cdf(2 * shift + tails))


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
