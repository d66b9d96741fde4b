"""The weights of a recipe over the sources, from their scores for a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from distillweighted.files.tables import write_table
from distillweighted.seeds import derive_seed
from distillweighted.similarity.jobs import WeightsJob
from distillweighted.similarity.tables import read_scores
from distillweighted.similarity.transforms import TRANSFORMS
from distillweighted.weights import (
    effective_exponent,
    inverse_weights,
    one_hot_weights,
    random_weights,
    similarity_weights,
    spread_exponent,
)


def _power(scores: Mapping[str, float], job: WeightsJob) -> np.ndarray:
    return _eq_5(_similarities(scores, job), job.p, job)


def _auto(scores: Mapping[str, float], job: WeightsJob) -> np.ndarray:
    similarities = _similarities(scores, job)
    # Of those that eq. 5 will weight.
    kept = np.sort(similarities)[-job.keep :] if job.keep is not None else similarities
    if kept.max() <= 0:
        return _eq_5(similarities, 1.0, job)  # whatever p is
    if job.effective_sources is not None:
        return _eq_5(similarities, effective_exponent(kept, job.effective_sources), job)
    return _eq_5(similarities, spread_exponent(kept, job.spread), job)


def _equal(scores: Mapping[str, float], job: WeightsJob) -> np.ndarray:
    return _eq_5(_similarities(scores, job), 0.0, job)


def _eq_5(similarities: np.ndarray, p: float, job: WeightsJob) -> np.ndarray:
    fallback = None if job.fallback == "error" else job.fallback
    return similarity_weights(similarities, p, fallback=fallback, keep=job.keep)


def _inverse(scores: Mapping[str, float], job: WeightsJob) -> np.ndarray:
    return inverse_weights(_similarities(scores, job))


def _similarities(scores: Mapping[str, float], job: WeightsJob) -> np.ndarray:
    """What eq. 5 takes powers of, `[S]`."""
    return TRANSFORMS[job.transform](np.array(list(scores.values())))


def _random(scores: Mapping[str, float], job: WeightsJob) -> np.ndarray:
    count = None if job.random_sources is None else min(job.random_sources, len(scores))
    stream = derive_seed(job.seed, job.target, "random weights")
    return random_weights(len(scores), seed=stream, draw=job.draw, num_nonzero=count)


def _selected(scores: Mapping[str, float], job: WeightsJob) -> np.ndarray:
    # A ranking, not eq. 5: the best of this architecture, whatever the sign of its score.
    return one_hot_weights(list(scores), max(scores, key=scores.__getitem__))


WEIGHTINGS: dict[str, Callable[[Mapping[str, float], WeightsJob], np.ndarray]] = {
    "power": _power,
    "auto": _auto,
    "equal": _equal,
    "inverse": _inverse,
    "random": _random,
    "selected": _selected,
}
"""Ways to weight (eq. 5; section 5.3.1): scores of S sources ordered by name, to weights [S]."""


def weigh(scores: Mapping[str, float], job: WeightsJob) -> np.ndarray:
    """The weights [S] of one recipe, for the scores of S sources ordered by name.

    Raises:
        ValueError: Where there are none; says why.
    """
    if job.weighting not in WEIGHTINGS:
        raise ValueError(f"unknown weighting '{job.weighting}': choose from {list(WEIGHTINGS)}")
    if job.transform not in TRANSFORMS:
        raise ValueError(f"unknown transform '{job.transform}': choose from {list(TRANSFORMS)}")
    return WEIGHTINGS[job.weighting](scores, job)


def write_weights(job: WeightsJob, similarity: Path, output: Path) -> None:
    """Write the table of a recipe's weights: source, weight; they sum to 1.

    Args:
        job: The recipe, and how it weights.
        similarity: Table of the target's scores for one replicate.
        output: The table to write.

    Raises:
        ValueError: Where the scores give no weights; says why and what to change.
        DamagedError: Where the table of scores is not as it was written.
    """
    architectures = job.architectures
    scores = read_scores(
        similarity, architectures, metric=job.metric, representation=job.representation
    )
    if job.architecture is not None:
        scores = {s: e for s, e in scores.items() if architectures[s] == job.architecture}
    weighted = scores
    if job.sources is not None:
        weighted = {s: e for s, e in scores.items() if s in job.sources}
    try:
        weights = dict(zip(weighted, weigh(weighted, job).tolist(), strict=True))
    except ValueError as error:
        hint = ""
        if job.weighting in ("power", "auto"):
            hint = ", set similarity.weighting.fallback (equal or nearest)"
        if job.weighting in ("power", "auto", "inverse"):
            hint += ", set similarity.weighting.transform (rank or softmax)"
        raise ValueError(
            f"target '{job.target}', seed {job.seed}, {job.metric} on {job.representation}: "
            f"{error}. In the configuration: choose another similarity.weighting.metric or "
            f"representation{hint}, or exclude sources"
        ) from error
    write_table(output, ("source", "weight"), ((name, weights.get(name, 0.0)) for name in scores))
