"""Intervals of Table 2 and of differences between its rows, over sources that might have been.

Sources are no independent sample: they are architectures times tasks, and those that share either
are alike. Tasks and architectures are therefore drawn with replacement, each on its own, and a
source counts as often as its task was drawn times as often as its architecture was (the pigeonhole
bootstrap: McCullagh, Resampling and exchangeable arrays, Bernoulli 2000; Owen, The pigeonhole
bootstrap, Annals of Applied Statistics 2007). What an interval covers is the correlation over the
population of sources that new tasks and new architectures would give, for these targets, splits and
seeds. For sources that are alike in nothing it is wider than need be, which Owen shows.

One draw serves all targets, seeds, representations and metrics, since they share their sources.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from distillweighted.analysis.correlation import per_target, single_source_scores, spearman
from distillweighted.analysis.statistics import centred_interval, percentile_interval

# Draws at a time, so that memory does not grow with their number.
_BATCH = 4096

_BOUNDS = ["low", "estimate", "high"]


def draw_sources(sources: pd.DataFrame, n: int, seed: int) -> np.ndarray:
    """How often each source counts in each of some bootstrap samples.

    A source of which nobody says the task or the architecture is a cluster of its own: it is drawn
    as a task is, whatever its architecture. Where tasks and architectures group the sources in the
    same way (as where each source has a task and an architecture of its own), the groups are drawn
    once, which is the ordinary bootstrap where each is one source.

    Args:
        sources: Columns source, architecture, task, a row a source in any order; "" or a missing
            value where nobody says.
        n: Number of samples.
        seed: Of the draws, which depend on the set of sources and not on their order.

    Returns:
        uint16 [n, s], in the order of the rows.
    """
    rows = sources[["source", "architecture", "task"]].fillna("").to_numpy(str)
    known = (rows[:, 1:] != "").all(axis=1)
    # A cluster of its own is no task, whatever its name.
    clusters = [
        ("task", task) if said else ("source", name)
        for (name, _, task), said in zip(rows, known, strict=True)
    ]
    rng = np.random.default_rng(seed)
    counts = _draw_levels(rng, clusters, n)
    pairs = {(architecture, task) for _, architecture, task in rows[known]}
    architectures, tasks = ({pair[place] for pair in pairs} for place in (0, 1))
    if not len(architectures) == len(tasks) == len(pairs):
        counts[:, known] *= _draw_levels(rng, rows[known, 1].tolist(), n)
    return counts


def _draw_levels(rng: np.random.Generator, labels: list, n: int) -> np.ndarray:
    """How often the level of each label [s] is drawn, in as many draws as there are levels."""
    levels = sorted(set(labels))
    drawn = rng.multinomial(len(levels), np.full(len(levels), 1 / len(levels)), size=n)
    place = {level: number for number, level in enumerate(levels)}
    return drawn.astype(np.uint16)[:, [place[label] for label in labels]]


def repeated_spearman(counts: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's rho of samples in which each pair of values may be there several times.

    Args:
        counts: int [n, s], how often each pair is in each sample.
        x: float [s].
        y: float [s].

    Returns:
        float64 [n]; NaN for a sample in which x or y does not vary.
    """
    values = np.empty(len(counts))
    for start in range(0, len(counts), _BATCH):
        w = counts[start : start + _BATCH].astype(np.float64)
        ranks = []
        for v in (x, y):
            # Whole numbers and halves, and so exact: those below, and the middle of the equal ones.
            place = w @ (v[:, None] < v) + (w @ (v[:, None] == v) + 1) / 2
            ranks.append(place - (w.sum(axis=1, keepdims=True) + 1) / 2)
        of_x, of_y = ((w * r**2).sum(axis=1) for r in ranks)
        norm = np.sqrt(of_x * of_y)
        together = (w * ranks[0] * ranks[1]).sum(axis=1)
        values[start : start + _BATCH] = together / np.where(norm > 0, norm, np.nan)
    return values


def table2_intervals(
    accuracy: pd.DataFrame,
    similarity: pd.DataFrame,
    sources: pd.DataFrame | None = None,
    *,
    value: str = "accuracy",
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Bootstrap intervals of Table 2: percentiles, moved so that the median is on the estimate.

    A sample in which scores or accuracies of a target are all the same has no correlation there,
    and none in the mean, and is left out. A sample repeats some sources, which biases its Spearman
    towards 0; in a mean over many targets that is a tenth of the interval, hence the move. Scores
    are not computed anew for a sample. How often these intervals cover is simulated in
    tests/unit/analysis/test_source_bootstrap.py, where Efron's bias-corrected ones do not do as
    well.

    Args:
        accuracy: As for `single_source_scores`; a target must have the same sources in each seed.
        similarity: As for `single_source_scores`.
        sources: As for `draw_sources`; more than those with students may be there. None takes
            each for a cluster of its own.
        value: accuracy or balanced_accuracy.
        n_resamples: Number of samples.
        seed: Of the samples.
        level: Of the interval.

    Returns:
        Columns representation, metric, target, low, estimate, high, with a row `mean` (over
        targets) for every representation and metric.

    Raises:
        ValueError: As `table2_correlation`, sources that differ between seeds, or a source that
            `sources` lacks.
    """
    table = single_source_scores(accuracy, similarity, value=value)
    counts = _samples(table, sources, n_resamples, seed)
    rows = []
    for kind, estimates, samples in _kinds(table, counts):
        for target, values in samples.items():
            low, high = centred_interval(values, estimates[target], level, bound=1)
            rows.append((*kind, target, low, estimates[target], high))
    return pd.DataFrame(rows, columns=["representation", "metric", "target", *_BOUNDS])


def table2_differences(
    accuracy: pd.DataFrame,
    similarity: pd.DataFrame,
    sources: pd.DataFrame | None = None,
    *,
    reference: tuple[str, str] = ("features", "parc"),
    value: str = "accuracy",
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Each row of Table 2 minus one of them, with bootstrap intervals.

    Two rows rank the same students, so that their difference may be known better than either: every
    sample gives both, by the same sources. Ends are plain percentiles: in most samples of a few
    sources two metrics do not differ, and a move to the estimate would push the interval off 0.
    Two rows that rank the sources of a target alike have the interval [0, 0] there, which says no
    more than that.

    Args:
        accuracy: As for `table2_intervals`.
        similarity: As for `table2_intervals`.
        sources: As for `table2_intervals`.
        reference: Representation and metric of the row that is subtracted.
        value: accuracy or balanced_accuracy.
        n_resamples: Number of samples.
        seed: Of the samples; those of `table2_intervals` for the same number.
        level: Of the interval.

    Returns:
        Columns representation, metric, target, low, estimate, high, with a row `mean` (over
        targets) for every representation and metric but the reference.

    Raises:
        ValueError: As `table2_intervals`, or there are no scores of the reference.
    """
    table = single_source_scores(accuracy, similarity, value=value)
    counts = _samples(table, sources, n_resamples, seed)
    chosen = (table[["representation", "metric"]] == list(reference)).all(axis=1)
    if not chosen.any():
        raise ValueError(f"the similarity table has no {reference[1]} of {reference[0]}")
    ((_, base, base_samples),) = _kinds(table[chosen], counts)
    rows = []
    for kind, estimates, samples in _kinds(table[~chosen], counts):
        for target, values in samples.items():
            difference = estimates[target] - base[target]
            drawn = values - base_samples[target]
            low, high = percentile_interval(drawn, difference, level)
            rows.append((*kind, target, low, difference, high))
    return pd.DataFrame(rows, columns=["representation", "metric", "target", *_BOUNDS])


def _samples(table: pd.DataFrame, sources: pd.DataFrame | None, n: int, seed: int) -> pd.DataFrame:
    """How often each source of the table counts in each sample: a column a source."""
    names = sorted(set(table["source"]))
    if sources is None:
        sources = pd.DataFrame({"source": names, "architecture": "", "task": ""})
    if lacking := sorted({*names} - {*sources["source"]}):
        raise ValueError(f"the table of sources lacks {lacking}")
    used = sources[sources["source"].isin(names)]
    return pd.DataFrame(draw_sources(used, n, seed), columns=list(used["source"]), copy=False)


def _kinds(
    table: pd.DataFrame, counts: pd.DataFrame
) -> Iterator[tuple[tuple[str, str], pd.Series, dict[str, np.ndarray]]]:
    """Each representation and metric: its row of Table 2, and the same of every sample."""
    if table.empty:
        return
    estimates = per_target(table, spearman).set_index(["representation", "metric"])
    for kind, group in table.groupby(["representation", "metric"], sort=False):
        samples = {
            target: _mean_over_seeds(target, cells, counts)
            for target, cells in group.groupby("target", sort=False)
        }
        samples["mean"] = np.mean(list(samples.values()), axis=0)
        yield kind, estimates.loc[kind], samples


def _mean_over_seeds(target: str, cells: pd.DataFrame, counts: pd.DataFrame) -> np.ndarray:
    """Spearman's rho of every sample of a target's sources, mean over seeds."""
    sources = sorted(set(cells["source"]))
    drawn = counts[sources].to_numpy()
    values = []
    for number, cell in cells.groupby("seed", sort=True):
        cell = cell.set_index("source")
        if sorted(cell.index) != sources:
            raise ValueError(f"target {target!r}, seed {number}: not the sources of other seeds")
        x, y = (cell.loc[sources, name].to_numpy(float) for name in ("score", "accuracy"))
        values.append(repeated_spearman(drawn, x, y))
    return np.mean(values, axis=0)
