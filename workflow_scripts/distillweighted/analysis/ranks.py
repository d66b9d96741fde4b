"""Methods by their mean rank over targets, and which of them tests do not tell apart."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from distillweighted.analysis.methods_accuracy import student_architecture
from distillweighted.analysis.paired_tests import holm, least_holm_p, signed_rank_p
from distillweighted.methods import is_control, method_rank

LEVEL = 0.05

MIN_METHODS = 3
"""Methods from which ranks say more than a difference."""

MIN_TARGETS = 5
"""Targets from which mean ranks are worth a figure; it tells what tests can say of them."""


@dataclass(frozen=True)
class MeanRanks:
    """Methods by mean rank, and the tests of their pairs."""

    ranks: dict[str, float]
    """Mean rank over targets of each method, 1 for the most accurate; the best one first."""

    groups: list[tuple[str, ...]]
    """Sets of methods of which no pair is told apart, each as large as it can be, in the order of
    `ranks`. Empty where `can_tell` is false."""

    p_holm: dict[tuple[str, str], float]
    """The Holm-adjusted p of every pair, in the order of `ranks`."""

    n_targets: int
    """Targets that were ranked on."""

    n_seeds: int
    """Seeds that all methods have, over which accuracies are averaged."""

    @property
    def least_p(self) -> float:
        """The smallest Holm-adjusted p that so many targets and pairs can give."""
        return least_holm_p(self.n_targets, len(self.p_holm))

    @property
    def can_tell(self) -> bool:
        """Whether any pair could be told apart, however different."""
        return self.least_p <= LEVEL


def mean_ranks(methods: pd.DataFrame, *, student: str | None = None) -> MeanRanks:
    """Ranks the student's methods, without controls, on each target, and tests every pair of them.

    Pairs are compared by Wilcoxon's signed-rank test over the targets, exactly, with Holm's
    correction for the number of pairs; tests of mean ranks (Nemenyi's) would make a verdict on two
    methods depend on which others were run (Benavoli et al., JMLR 2016).

    Args:
        methods: What `method_accuracy` returns; methods may differ in their seeds.
        student: The target architecture; None finds it by its methods.

    Returns:
        Over the seeds and targets that every method has. Accuracies within 1e-9 share a rank.

    Raises:
        ValueError: There are fewer than 2 methods, or no seed has all of them on every target.
    """
    from scipy.stats import rankdata  # a slow import, which a plan does without

    student = student_architecture(methods) if student is None else student
    rows = methods[methods["student"] == student]
    rows = rows[~rows["method"].map(is_control).astype(bool)]
    targets, names = set(rows["target"]), sorted(set(rows["method"]), key=method_rank)
    if len(names) < 2:
        raise ValueError("ranks need at least 2 methods")
    wide = rows.pivot(index="seed", columns=["target", "method"], values="accuracy")
    complete = wide.reindex(columns=pd.MultiIndex.from_product([sorted(targets), names])).dropna()
    if complete.empty:
        raise ValueError("ranks need a seed that every method has for every target")
    table = complete.mean().unstack().round(9)[names]
    mean = pd.Series(rankdata(-table.to_numpy(), axis=1).mean(axis=0), index=names)
    ranks = mean.sort_values(kind="stable").to_dict()
    pairs = list(combinations(ranks, 2))
    p = holm([signed_rank_p(table[one] - table[other]) for one, other in pairs])
    p_holm = dict(zip(pairs, p.tolist(), strict=True))
    groups: list[tuple[str, ...]] = []
    if least_holm_p(len(table), len(pairs)) <= LEVEL:
        together = {frozenset(pair) for pair, value in p_holm.items() if value > LEVEL}
        groups = _cliques(list(ranks), together)
    return MeanRanks(ranks, groups, p_holm, len(table), len(complete))


def _cliques(names: Sequence[str], together: Collection[frozenset[str]]) -> list[tuple[str, ...]]:
    """The largest sets of at least 2 names of which all pairs are `together` (Bron, Kerbosch)."""
    place = {name: number for number, name in enumerate(names)}
    near = {name: {o for o in names if frozenset((name, o)) in together} for name in names}
    found: list[tuple[str, ...]] = []

    def grow(clique: set[str], more: set[str], done: set[str]) -> None:
        if not more and not done and len(clique) > 1:
            found.append(tuple(sorted(clique, key=place.__getitem__)))
        for name in sorted(more, key=place.__getitem__):
            grow(clique | {name}, more & near[name], done & near[name])
            more, done = more - {name}, done | {name}

    grow(set(), set(names), set())
    return sorted(found, key=lambda group: [place[name] for name in group])


def fewest_targets(pairs: int) -> int:
    """How many targets it takes until some pair of so many can be told apart."""
    return 1 + int(np.ceil(np.log2(pairs / LEVEL)))
