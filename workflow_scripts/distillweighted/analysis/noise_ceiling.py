"""How well any ranking of the sources could do: the seeds do not agree on one themselves."""

from __future__ import annotations

import itertools
import logging

import numpy as np
import pandas as pd
from scipy import stats

from distillweighted.analysis.methods_accuracy import check_accuracy

log = logging.getLogger(__name__)


def noise_ceiling(accuracy: pd.DataFrame, *, value: str = "accuracy") -> pd.DataFrame:
    """The agreement between seeds of the single-source accuracies, and what follows of it.

    - between_seeds: r, the mean over pairs of seeds of the Spearman correlation, over the sources,
      of their students' accuracies: what the ranking of one seed is worth in another.
    - ceiling_one_seed: sqrt(r), what a score without noise that knows the expected accuracies would
      reach within a seed, which is what Table 2 averages (Spearman's 1904 formula for attenuation).
    - ceiling_mean: sqrt(S r / (1 + (S - 1) r)), the same against the mean over the S seeds
      (Spearman 1910, Brown 1910), which Figs. 3 and 4 draw.

    The two ceilings are of classical test theory, exact for Pearson's correlation and seeds with
    independent errors of one size, and close for Spearman's. A negative r counts as 0 there. A
    similarity that is computed on the labelled images of a seed may know something of that seed's
    errors, and so may pass them.

    Args:
        accuracy: One row a student, columns `methods_accuracy.ACCURACY_COLUMNS`.
        value: accuracy or balanced_accuracy.

    Returns:
        Columns quantity, one a target, mean (of the targets' r, and the ceilings' own). NaN where
        there is one seed only, or all accuracies of a seed are the same; the log says so.

    Raises:
        ValueError: `accuracy` is faulty, has no single-source student, or other sources in other
            seeds of a target.
    """
    check_accuracy(accuracy)
    singles = accuracy[accuracy["method"] == "distill_single"]
    if singles.empty:
        raise ValueError("no single-source student (method distill_single) to compare seeds of")
    columns = {}
    for target, rows in singles.groupby("target", sort=False):
        table = rows.pivot(index="source", columns="seed", values=value)
        if table.isna().any(axis=None):
            raise ValueError(f"target {target!r}: a source has no student for some seed")
        columns[target] = _ceilings(target, table.to_numpy(float))
    result = pd.DataFrame(columns)
    result["mean"] = result.to_numpy().mean(axis=1)
    result.insert(0, "quantity", ["between_seeds", "ceiling_one_seed", "ceiling_mean"])
    return result


def _ceilings(target: str, accuracies: np.ndarray) -> list[float]:
    """The three quantities of a target's accuracies [sources, seeds]."""
    seeds = accuracies.shape[1]
    if seeds < 2:
        log.warning("target %r: one seed only: no agreement between seeds", target)
        return [np.nan] * 3
    if (np.ptp(accuracies, axis=0) == 0).any():
        log.warning("target %r: all accuracies of a seed are the same: no agreement", target)
        return [np.nan] * 3
    pairs = itertools.combinations(accuracies.T, 2)
    r = float(np.mean([stats.spearmanr(a, b).statistic for a, b in pairs]))
    reliable = max(r, 0.0)
    return [r, reliable**0.5, (seeds * reliable / (1 + (seeds - 1) * reliable)) ** 0.5]
