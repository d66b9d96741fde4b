"""The ranking of a target's sources: how similar each is, how sure that is, and what it is worth.

Intervals are of the choice of labelled images: each score is computed again on halves of the probe,
drawn without replacement, whose spread estimates the standard error of the score of the whole (the
delete-half jackknife: Shao and Wu, Annals of Statistics 17, 1989). A bootstrap would show the same
image twice, at distance 0, which PARC takes for similarity.

In simulations (a test repeats some) the 95% intervals of PARC and CKA covered the mean score of
95 to 100% of probes, being up to 1.8 times too wide where there is little to find; near the ceiling
of a score, where every source tells the classes apart, those of PARC covered 82%.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from distillweighted.files.tables import read_facts
from distillweighted.seeds import derive_seed
from distillweighted.similarity.ensembles import (
    is_ensemble,
    mean_ranks,
    members,
    representations_of,
)
from distillweighted.similarity.jobs import RankingJob
from distillweighted.similarity.linear_probe import cross_validate, neighbours_correct
from distillweighted.similarity.metrics.inputs import Representation
from distillweighted.similarity.metrics.registry import METRICS
from distillweighted.similarity.probe import draw_probe
from distillweighted.sources.outputs import load_inference
from distillweighted.tasks.splits import SplitRows

COLUMNS = ["source", "metric", "representation", "score", "low", "high", "rank"]
COLUMNS += ["linear_probe", "knn", "gmacs", "parameters"]

SHUFFLES = 20
"""How often labels are shuffled to see what a score is without anything to find."""

NORMAL = 1.959963984540054
"""The normal distribution's 97.5% point."""


Measured = dict[tuple[str, str], dict[str, np.ndarray]]
"""For each metric and representation, and source, its score on the probe and on every half."""


@dataclass(frozen=True)
class Ranking:
    """What is known of a target's sources before any student is trained."""

    table: pd.DataFrame
    """One row a source, metric and representation: `COLUMNS`; scores with the 95% interval over
    probes (NaN where no halves can be drawn), linear_probe and knn in percent."""

    metrics: pd.DataFrame
    """One row a metric and representation, that which selects sources first: metric,
    representation, source (its nearest), score, low, high, and shuffled, shuffled_sd: mean and
    standard deviation of that source's score where the labels are shuffled."""

    nearest_share: dict[str, float]
    """For each source, in how many of the half-samples it is the nearest one, 0 to 1."""

    correct: dict[str, np.ndarray]
    """For each source, and for the student's start, whether the linear probe is right on each
    labelled image, bool [l]."""

    labels: np.ndarray
    """Classes of the labelled images [l]."""

    same_as_start: frozenset[str] = frozenset()
    """Sources of the very weights that the student starts from, under whatever name."""

    @property
    def of_selecting_metric(self) -> pd.DataFrame:
        """The rows of the metric and representation that select sources, by rank."""
        return self.table.iloc[: self.table["source"].nunique()]

    @property
    def nearest(self) -> str:
        """The most similar source by the metric that selects sources."""
        return str(self.metrics["source"].iloc[0])

    @property
    def best_probe(self) -> str:
        """The source with the most accurate linear probe, of equally accurate ones the nearest."""
        sources = self.of_selecting_metric["source"]
        return max(sources, key=lambda source: self.correct[source].mean())

    @property
    def constant(self) -> float:
        """Share of the largest class, in percent: what a constant answer reaches."""
        counts = np.bincount(self.labels)
        return 100 * float(counts.max() / counts.sum())

    @property
    def guess(self) -> float:
        """What a guess of the class reaches, in percent, whatever the classes' sizes."""
        return 100 / len(np.unique(self.labels))


def rank_sources(
    job: RankingJob,
    rows: SplitRows,
    inference: Mapping[str, Path],
    facts: Mapping[str, Path],
) -> Ranking:
    """Rank the sources of a target, one at a time in memory.

    Args:
        job: The sources and what is computed of them.
        rows: The target's split.
        inference: Outputs of each source, and of the student's start where it has one.
        facts: meta.json of each source, and of the student's start where it has one.

    Raises:
        ValueError: Where a score does not exist; names the source.
    """
    asked, labels = job.scores, rows.labels
    seed = derive_seed(asked.seed, asked.target, "probe")
    probe = draw_probe(labels, asked.probe_size, seed=seed)
    halves = half_samples(labels[probe], job.half_samples, seed=seed)
    measured: Measured = {}
    worth: dict[str, list[float]] = {}
    correct: dict[str, np.ndarray] = {}
    folds = derive_seed(asked.seed, asked.target, "linear probe") % 2**32
    for source, path in inference.items():
        outputs = load_inference(path)
        features = outputs["features"][rows.labeled]
        try:
            correct[source] = cross_validate(features, labels, seed=folds).correct
            # The student's start may be one of the sources.
            if source not in asked.sources:
                continue
            knn = 100 * neighbours_correct(features, labels).mean()
            known = read_facts(facts[source], ("gmacs", "parameters"))
            cost = [math.nan if known[k] is None else known[k] for k in ("gmacs", "parameters")]
            worth[source] = [100 * correct[source].mean(), knn, *cost]
            for name in asked.representations:
                values = Representation(outputs[name][rows.labeled][probe])
                for metric in asked.metrics:
                    if is_ensemble(metric) or name not in METRICS[metric].representations:
                        continue
                    try:
                        scores = _scores(metric, values, labels[probe], halves)
                    except ValueError as error:
                        raise ValueError(f"no {metric} score ({name}): {error}") from error
                    measured.setdefault((metric, name), {})[source] = scores
        except ValueError as error:
            raise ValueError(f"source '{source}' of target '{asked.target}': {error}") from error
    for metric in filter(is_ensemble, asked.metrics):
        for name in asked.representations:
            if name in representations_of(metric):
                of_members = [measured[member, name] for member in members(metric)]
                measured[metric, name] = _ensemble(of_members)
    found = [
        (source, metric, name, s[0], *_interval(s, halves, len(probe)), *worth[source])
        for (metric, name), of_sources in measured.items()
        for source, s in of_sources.items()
    ]
    table = pd.DataFrame(found, columns=[name for name in COLUMNS if name != "rank"])
    by = table.groupby(["metric", "representation"], sort=False)["score"]
    table["rank"] = by.rank(ascending=False, method="first").astype(int)
    table = table[COLUMNS].sort_values(
        ["metric", "representation", "rank"], key=_order(job), kind="stable", ignore_index=True
    )
    metrics = table[table["rank"] == 1].iloc[:, :6].reset_index(drop=True)
    return Ranking(
        table,
        _with_shuffled(metrics, measured, inference, rows, probe, seed=seed),
        _nearest_shares(measured[job.metric, job.representation]),
        correct,
        labels,
        _same_weights(facts, asked.sources, job.start),
    )


def _same_weights(
    facts: Mapping[str, Path], sources: Sequence[str], start: str | None
) -> frozenset[str]:
    """The sources of the weights that the start has: of one file, or of equal values."""
    if start is None:
        return frozenset()
    known = {name: read_facts(facts[name], ()) for name in {*sources, start}}
    return frozenset(
        name
        for name in sources
        if name == start
        or any(
            known[name].get(key) is not None and known[name].get(key) == known[start].get(key)
            for key in ("sha256", "weights_sha256")
        )
    )


def _ensemble(of_members: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The mean ranks of each source, of the whole probe and of every half by itself."""
    sources = list(of_members[0])
    ranks = mean_ranks([np.array([scores[s] for s in sources]) for scores in of_members])
    return dict(zip(sources, ranks, strict=True))


def _with_shuffled(
    metrics: pd.DataFrame,
    measured: Measured,
    inference: Mapping[str, Path],
    rows: SplitRows,
    probe: np.ndarray,
    *,
    seed: int,
) -> pd.DataFrame:
    """The nearest source of each metric, with its score where the labels are shuffled.

    An ensemble's is its rank among the other sources, whose labels are as they were.
    """
    found, labels = [], rows.labels[probe]
    for row in metrics.itertuples():
        outputs = load_inference(inference[row.source])[row.representation]
        values = Representation(outputs[rows.labeled][probe])
        rng = np.random.default_rng(seed)
        shuffles = [rng.permutation(labels) for _ in range(SHUFFLES)]
        of_members = []
        for metric in members(row.metric):
            scores = np.array([METRICS[metric](values, shuffled) for shuffled in shuffles])
            known = measured[metric, row.representation].items()
            others = np.array([s[0] for source, s in known if source != row.source])
            of_members.append(np.vstack([scores, np.repeat(others[:, None], SHUFFLES, axis=1)]))
        scores = mean_ranks(of_members)[0] if is_ensemble(row.metric) else of_members[0][0]
        found.append((float(np.mean(scores)), float(np.std(scores, ddof=1))))
    columns = ["metric", "representation", "source", "score", "low", "high"]
    return metrics[columns].assign(
        shuffled=[mean for mean, _ in found], shuffled_sd=[spread for _, spread in found]
    )


def half_samples(labels: np.ndarray, count: int, *, seed: int) -> list[np.ndarray]:
    """Halves of a probe, drawn without replacement, by class.

    A class gives half of its images (of an odd number the larger or the smaller half, by chance),
    but two at least.

    Args:
        labels: Classes of the probe's images [n].
        count: How many halves.
        seed: Seed of the draws.

    Returns:
        Sorted rows of the probe, one array a half; none where every image would be in each.
    """
    rng = np.random.default_rng(seed)
    halves = []
    for _ in range(count):
        kept = []
        for label in np.unique(labels):
            images = rng.permutation(np.flatnonzero(labels == label))
            half = (len(images) + int(rng.integers(2))) // 2
            kept.append(images[: max(2, half)])
        halves.append(np.sort(np.concatenate(kept)))
    return halves if any(len(half) < len(labels) for half in halves) else []


def _scores(
    metric: str, values: Representation, labels: np.ndarray, halves: list[np.ndarray]
) -> np.ndarray:
    """The score of the whole probe, and then of every half, which takes what it can from it."""
    score = METRICS[metric]
    whole = score(values, labels)
    return np.array([whole, *(score(values.part(half), labels[half]) for half in halves)])


def _interval(scores: np.ndarray, halves: list[np.ndarray], size: int) -> tuple[float, float]:
    """The 95% interval of the whole probe's score, from those of its halves."""
    if len(halves) < 2:
        return math.nan, math.nan
    kept = np.mean([len(half) for half in halves])
    # Exactly half: a factor of 1. Small classes keep more than their half.
    error = np.std(scores[1:], ddof=1) * math.sqrt(kept / max(size - kept, 1))
    return float(scores[0] - NORMAL * error), float(scores[0] + NORMAL * error)


def _nearest_shares(scores: Mapping[str, np.ndarray]) -> dict[str, float]:
    names = sorted(scores)
    halves = np.array([scores[name][1:] for name in names])
    if halves.shape[1] == 0:
        return dict.fromkeys(names, math.nan)
    best = halves.argmax(axis=0)
    return {name: float((best == i).mean()) for i, name in enumerate(names)}


def _order(job: RankingJob):
    """Sorts the metric and representation that select sources first."""
    first = {"metric": job.metric, "representation": job.representation}

    def key(column: pd.Series) -> pd.Series:
        if column.name not in first:
            return column
        return column.map(lambda value: (value != first[column.name], value))

    return key
