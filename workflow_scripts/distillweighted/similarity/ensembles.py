"""Ensembles: several metrics of one representation, by the mean of the ranks that they give.

An ensemble is named by its metrics, joined by +, as in parc+leep. It has no module of its own: it
is computed of the scores of its metrics, which are computed too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from distillweighted.similarity.metrics.registry import METRICS
from distillweighted.similarity.transforms import rank_shares


def members(name: str) -> tuple[str, ...]:
    """The metrics of an ensemble; of a metric, itself."""
    return tuple(name.split("+"))


def is_ensemble(name: str) -> bool:
    """Whether this names an ensemble, and not a metric."""
    return "+" in name


def representations_of(name: str) -> tuple[str, ...]:
    """What a metric can be computed of, or all metrics of an ensemble; their names are known."""
    first, *others = (METRICS[member].representations for member in members(name))
    return tuple(each for each in first if all(each in other for other in others))


def weights_as_it_is(name: str) -> bool:
    """Whether eq. 5 may weight by its scores without a transform: mean ranks are above 0."""
    return is_ensemble(name) or METRICS[name].can_weight


def mean_ranks(scores: Sequence[np.ndarray]) -> np.ndarray:
    """The scores `[S]` of an ensemble, from those `[S]` of each of its metrics.

    e_i = mean over metrics of rank_i / S, equal scores sharing their mean rank: in (0, 1], and 1
    for a source that all metrics put first. Ranks do not depend on the ranges of the metrics. Of
    scores `[S, k]`, each column by itself.
    """
    return np.mean([rank_shares(each) for each in scores], axis=0)
