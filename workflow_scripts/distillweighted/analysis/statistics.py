"""Means over seeds and targets, and bootstrap intervals."""

from __future__ import annotations

import zlib

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


def resampled_spearman(target: str, group: pd.DataFrame, n: int, seed: int) -> np.ndarray:
    """Spearman's rho, mean over seeds, of `n` draws of a target's sources; NaN where undefined."""
    sources = sorted(set(group["source"]))
    rng = np.random.default_rng([seed, zlib.crc32(target.encode())])
    draws = rng.integers(len(sources), size=(n, len(sources)))
    values = []
    for number, cell in group.groupby("seed", sort=True):
        cell = cell.set_index("source")
        if sorted(cell.index) != sources:
            raise ValueError(f"target {target!r}, seed {number}: not the sources of other seeds")
        columns = []
        for column in ("score", "accuracy"):
            ranks = stats.rankdata(cell.loc[sources, column].to_numpy(float)[draws], axis=1)
            columns.append(ranks - ranks.mean(axis=1, keepdims=True))
        x, y = columns
        norm = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
        values.append((x * y).sum(axis=1) / np.where(norm > 0, norm, np.nan))
    return np.mean(values, axis=0)


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
