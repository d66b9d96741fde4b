"""The students whose accuracies `growth` puts in a table: by sources, labels or network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from distillweighted.analysis.methods_accuracy import (
    CELL,
    method_accuracy,
    method_seconds,
    methods_by_fraction,
    student_architecture,
)

MEASURED = ["target", "seed", "accuracy", "train_seconds"]


def by_sources(
    accuracy: pd.DataFrame,
    scores: pd.DataFrame,
    subsets: Sequence[tuple[str, int, Sequence[str]]],
    *,
    recipes: Mapping[str, int],
    all_sources: str | None,
) -> pd.DataFrame:
    """The students of random subsets of the sources, and those of all.

    DistillWeighted of one source, and DistillNearest, are single-source students of the nearest
    source of the subset, where the grid has them.

    Args:
        accuracy: One row a student: columns recipe, method, source and `MEASURED`.
        scores: Columns target, seed, source, score: of the metric that weights sources.
        subsets: Target, seed and names of the sources of every subset; all of a target's sources
            may be one.
        recipes: How many sources each recipe of a subset has.
        all_sources: The recipe of DistillWeighted of all sources; None where there is none.

    Returns:
        Columns method, sources (how many) and `MEASURED`; of IN+Transfer sources is NaN.
        DistillNearest is there where the nearest source of every subset has a student.
    """
    of_subsets = accuracy[accuracy["recipe"].isin(recipes)]
    of_subsets = of_subsets.assign(sources=of_subsets["recipe"].map(recipes))
    whole = accuracy[accuracy["recipe"] == all_sources]
    sizes = {(target, seed): len(names) for target, seed, names in sorted(subsets, key=_size)}
    whole = whole.assign(
        sources=[sizes[cell] for cell in zip(whole["target"], whole["seed"], strict=True)]
    )
    nearest = _nearest(accuracy, scores, subsets)
    parts = [
        accuracy[accuracy["recipe"] == "in_transfer"].assign(sources=float("nan")),
        of_subsets.assign(method="distill_weighted"),
        nearest[nearest["sources"] == 1].assign(method="distill_weighted"),
        whole.assign(method="distill_weighted"),
    ]
    if len(nearest) == len(subsets):
        parts.append(nearest.assign(method="distill_nearest"))
    columns = ["method", "sources", *MEASURED]
    return pd.concat([part[columns] for part in parts if len(part)], ignore_index=True)


def _size(subset: tuple[str, int, Sequence[str]]) -> int:
    return len(subset[2])


def _nearest(
    accuracy: pd.DataFrame, scores: pd.DataFrame, subsets: Sequence[tuple[str, int, Sequence[str]]]
) -> pd.DataFrame:
    """The single-source students of the nearest source of each subset: sources and `MEASURED`."""
    singles = accuracy[accuracy["method"] == "distill_single"]
    singles = singles.set_index(["target", "seed", "source"])[MEASURED[2:]]
    by_name = scores.set_index(["target", "seed", "source"])["score"].to_dict()
    rows = []
    for target, seed, names in subsets:
        # Of equal ones the first by name.
        best = max(sorted(names), key=lambda name: by_name[target, seed, name])
        if (cell := (target, seed, best)) in singles.index:
            rows.append(
                {"target": target, "seed": seed, "sources": len(names), **singles.loc[cell]}
            )
    return pd.DataFrame(rows, columns=["sources", *MEASURED])


def cost_of_sources(
    gmacs: Mapping[str, float], subsets: Sequence[tuple[str, int, Sequence[str]]]
) -> pd.Series:
    """What asking the sources of a subset about one image costs: the mean over subsets of a size.

    Args:
        gmacs: 10^9 multiply-accumulates of one image by source.
        subsets: Target, seed and names of the sources of every subset.

    Returns:
        10^9 multiply-accumulates by size, in rising order.
    """
    costs = [(len(names), sum(gmacs[name] for name in names)) for _, _, names in subsets]
    return pd.DataFrame(costs, columns=["sources", "gmacs"]).groupby("sources")["gmacs"].mean()


def by_labels(
    accuracy: pd.DataFrame, nearest: pd.DataFrame, *, default_p: float = 12.0
) -> pd.DataFrame:
    """The student's methods for every share of labelled images.

    Args:
        accuracy: One row a student, with the column label_fraction too.
        nearest: Columns target, seed, source, label_fraction: the source that ranks first.
        default_p: The p of DistillWeighted.

    Returns:
        Columns method, label_fraction, target, seed, accuracy.
    """
    parts = []
    for fraction, methods in methods_by_fraction(accuracy, nearest, default_p=default_p):
        methods = methods[methods["student"] == student_architecture(methods)]
        parts.append(methods.assign(label_fraction=fraction))
    columns = ["method", "label_fraction", "target", "seed", "accuracy"]
    return pd.concat(parts, ignore_index=True)[columns]


def by_students(
    accuracy: pd.DataFrame, nearest: pd.DataFrame, *, default_p: float = 12.0
) -> pd.DataFrame:
    """IN+Transfer, DistillNearest and DistillWeighted of every student's architecture.

    Args:
        accuracy: One row a student, with the columns train_seconds, gmacs and parameters too.
        nearest: Columns target, seed, source: the source that ranks first.
        default_p: The p of DistillWeighted.

    Returns:
        Columns method, student, mmacs (10^6 multiply-accumulates of an image, the mean over
        targets, whose heads differ), parameters (likewise) and `MEASURED`, by mmacs.
    """
    compared = ["in_transfer", "distill_nearest", "distill_weighted"]
    sizes = accuracy.groupby("student")[["gmacs", "parameters"]].mean()
    parts = []
    for student, size in sizes.sort_values("gmacs").iterrows():
        own = accuracy[accuracy["student"] == student]
        rows = method_accuracy(own, nearest, default_p=default_p, partial=True)
        rows = rows.merge(method_seconds(own, nearest, default_p=default_p), on=CELL)
        rows = rows[rows["method"].isin(compared)]
        parts.append(rows.assign(mmacs=1000 * size["gmacs"], parameters=round(size["parameters"])))
    columns = ["method", "student", "mmacs", "parameters", *MEASURED]
    return pd.concat(parts, ignore_index=True)[columns]
