"""The stored tables of scores and of weights, checked as they are read."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path

from distillweighted.errors import DamagedError
from distillweighted.files.tables import read_number, read_table, read_whole

SCORE_COLUMNS = ("target", "seed", "source", "representation", "metric", "score")
"""Columns of a table of similarities."""


def read_score_rows(path: Path) -> list[tuple[str, int, str, str, str, float]]:
    """The rows of a table of similarities, by `SCORE_COLUMNS`.

    Raises:
        DamagedError: Where it is not as it was written.
    """
    return [
        (
            target,
            read_whole(path, seed, "seed"),
            *names,
            read_number(path, score, f"score of '{names[0]}'"),
        )
        for target, seed, *names, score in read_table(path, SCORE_COLUMNS, unique=SCORE_COLUMNS[:5])
    ]


def read_scores(
    path: Path, sources: Collection[str], *, metric: str, representation: str
) -> dict[str, float]:
    """Scores of all sources for a target by one metric, in the order of their names.

    Args:
        path: The table of similarities of one target and seed.
        sources: The sources that it has scores of.
        metric: Which metric.
        representation: On which representation.

    Raises:
        DamagedError: Where it is not as it was written, or has other sources.
    """
    scores = {
        row[2]: row[5] for row in read_score_rows(path) if row[3:5] == (representation, metric)
    }
    if scores.keys() != {*sources}:
        raise DamagedError(
            path, f"its {metric} on {representation} is not of the {len(sources)} sources"
        )
    return dict(sorted(scores.items()))


def read_weights(path: Path) -> dict[str, float]:
    """Weights of sources as compute_weights wrote them: not negative, with a sum of 1.

    Raises:
        DamagedError: Where the table is not as it was written.
    """
    rows = read_table(path, ("source", "weight"), unique=("source",))
    weights = {name: read_number(path, text, f"weight of '{name}'") for name, text in rows}
    if min(weights.values(), default=-1) < 0 or not math.isclose(
        math.fsum(weights.values()), 1, abs_tol=1e-6
    ):
        raise DamagedError(path, "its weights are not shares with a sum of 1")
    return weights
