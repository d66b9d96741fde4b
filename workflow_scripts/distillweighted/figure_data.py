"""The data frames behind the figures; `distillweighted.figures` draws them.

Accuracies are in percent, improvements in percentage points; a standard error is over the seeds
and NaN for one seed.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from distillweighted.correlation import single_source_scores
from distillweighted.tables import (
    check_accuracy,
    gmacs_of,
    method_rank,
    nearest_students,
    require_columns,
    require_complete,
    student_architecture,
    without_repeated_transfer,
)

#: The weightings of Fig. 1, after the baseline that trains on the labelled images alone.
WEIGHTINGS = (
    "in_transfer",
    "distill_inverse",
    "distill_random_weights",
    "distill_random_selection",
    "distill_equal",
    "distill_nearest",
    "distill_weighted",
)


def weightings(
    methods: pd.DataFrame, *, targets: Sequence[str] | None = None, student: str | None = None
) -> pd.DataFrame:
    """Fig. 1: the student's accuracy averaged over targets, for each way to weight the sources.

    Args:
        methods: What `tables.method_accuracy` returns.
        targets: The targets of the figure (the paper takes five); None takes all.
        student: The target architecture; None finds it by its methods.

    Returns:
        Columns method, accuracy, standard_error, n_targets, n_seeds, in the order of
        `WEIGHTINGS`; weightings that were not run are absent.

    Raises:
        ValueError: A target of the figure is missing for a method.
    """
    student = student_architecture(methods) if student is None else student
    targets = list(dict.fromkeys(methods["target"])) if targets is None else list(targets)
    rows = methods[methods["student"] == student]
    rows = rows[rows["method"].isin(WEIGHTINGS) & rows["target"].isin(targets)]
    require_complete(rows, ["method"], targets, sorted(set(methods["seed"])))
    table = _mean_over_targets(rows, ["method"])
    order = {method: position for position, method in enumerate(WEIGHTINGS)}
    return table.sort_values("method", key=lambda m: m.map(order), ignore_index=True)


def accuracy_vs_compute(methods: pd.DataFrame, compute: pd.DataFrame) -> pd.DataFrame:
    """Fig. 5: accuracy averaged over targets, and the cost of a forward pass.

    Args:
        methods: What `tables.method_accuracy` returns.
        compute: Columns student and gmacs (10^9 multiply-accumulates of one forward pass).

    Returns:
        Columns student, is_target_architecture, method, gmacs, accuracy, standard_error,
        n_targets, n_seeds, ordered by gmacs and then as in Table 1.

    Raises:
        ValueError: A method lacks a target, or `compute` an architecture.
    """
    gmacs = gmacs_of(compute, methods["student"])
    targets = list(dict.fromkeys(methods["target"]))
    require_complete(methods, ["student", "method"], targets, sorted(set(methods["seed"])))
    table = _mean_over_targets(methods, ["student", "method"])
    table.insert(1, "is_target_architecture", table["student"] == student_architecture(methods))
    table.insert(3, "gmacs", table["student"].map(gmacs).astype(float))
    table["rank"] = table["method"].map(method_rank)
    return table.sort_values(["gmacs", "student", "rank"], ignore_index=True).drop(columns="rank")


def effect_of_p(
    accuracy: pd.DataFrame,
    nearest: pd.DataFrame | None,
    *,
    targets: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Fig. 6: improvement of DistillWeighted(p) over ImageNet transfer, for each p.

    p = 0 is DistillEqual. p = inf is DistillNearest, taken from the single-source student of the
    nearest source where the grid has it.

    Args:
        accuracy: One row a student, columns `tables.ACCURACY_COLUMNS`.
        nearest: Columns target, seed, source: the source that ranks first.
        targets: The targets of the figure, in this order; None takes those of `accuracy`.

    Returns:
        Columns p, target, improvement (percentage points, mean over seeds), standard_error; for
        every p one row a target and one `mean` over targets.

    Raises:
        ValueError: There is no in_transfer student, or a p lacks a target or seed.
    """
    check_accuracy(accuracy)
    targets = list(dict.fromkeys(accuracy["target"])) if targets is None else list(targets)
    accuracy = without_repeated_transfer(accuracy[accuracy["target"].isin(targets)])
    seeds = sorted(set(accuracy["seed"]))
    finite = accuracy[(accuracy["method"] == "distill_weighted") & np.isfinite(accuracy["p"])]
    rows = pd.concat([finite, nearest_students(accuracy, nearest).assign(p=np.inf)])
    student = student_architecture(accuracy)
    base = accuracy[(accuracy["method"] == "in_transfer") & (accuracy["student"] == student)]
    require_complete(base.assign(all="in_transfer"), ["all"], targets, seeds)
    require_complete(rows, ["p"], targets, seeds)
    if base.empty:
        raise ValueError("no in_transfer student to compare with")
    rows = rows[["p", "target", "seed", "accuracy"]].merge(
        base[["target", "seed", "accuracy"]], on=["target", "seed"], suffixes=("", "_base")
    )
    rows["improvement"] = rows["accuracy"] - rows["accuracy_base"]
    mean = rows.groupby(["p", "seed"])["improvement"].mean().reset_index().assign(target="mean")
    groups = pd.concat([rows, mean]).groupby(["p", "target"])["improvement"]
    table = groups.agg(improvement="mean", standard_error="sem").reset_index()
    order = {target: position for position, target in enumerate([*targets, "mean"])}
    table["order"] = table["target"].map(order)
    return table.sort_values(["p", "order"], ignore_index=True).drop(columns="order")


def single_source_points(
    accuracy: pd.DataFrame,
    similarity: pd.DataFrame,
    *,
    representation: str = "features",
    metric: str = "parc",
) -> pd.DataFrame:
    """Figs. 3 and 4: the single-source students with the scores of their sources.

    Args:
        accuracy: One row a student, columns `tables.ACCURACY_COLUMNS`.
        similarity: Columns target, seed, source, representation, metric, score.
        representation: features or pseudo_labels.
        metric: The name of the similarity.

    Returns:
        Columns target, source, score, rank (of the score within the target, 0 smallest to 1
        largest), accuracy, standard_error, n_seeds: one row a target and source, means over
        seeds.

    Raises:
        ValueError: There is no such score.
    """
    require_columns(similarity, ("representation", "metric"), "the similarity table")
    chosen = similarity[
        (similarity["representation"] == representation) & (similarity["metric"] == metric)
    ]
    if chosen.empty:
        raise ValueError(f"the similarity table has no {metric} of {representation}")
    groups = single_source_scores(accuracy, chosen).groupby(["target", "source"], sort=False)
    table = groups.agg(
        score=("score", "mean"),
        accuracy=("accuracy", "mean"),
        standard_error=("accuracy", "sem"),
        n_seeds=("accuracy", "size"),
    ).reset_index()
    by_target = table.groupby("target")["score"]
    last = (by_target.transform("size") - 1).clip(lower=1)
    table.insert(3, "rank", (by_target.rank() - 1) / last)
    return table


def reference_points(
    accuracy: pd.DataFrame, nearest: pd.DataFrame | None, *, default_p: float = 12.0
) -> pd.DataFrame:
    """Fig. 3: what the single-source students are compared with.

    Args:
        accuracy: One row a student, columns `tables.ACCURACY_COLUMNS`.
        nearest: Columns target, seed, source: the source that ranks first.
        default_p: The p of DistillWeighted.

    Returns:
        Columns target, method (in_transfer, distill_nearest, distill_equal, distill_weighted), p
        (0, 1, `default_p`, inf; NaN for in_transfer), accuracy (mean over seeds). What was not
        run is absent.
    """
    check_accuracy(accuracy)
    accuracy = without_repeated_transfer(accuracy)
    student = student_architecture(accuracy)
    weighted = accuracy[accuracy["method"] == "distill_weighted"]
    base = (accuracy["method"] == "in_transfer") & (accuracy["student"] == student)
    parts = [
        accuracy[base].assign(p=np.nan),
        nearest_students(accuracy, nearest).assign(method="distill_nearest", p=np.inf),
        weighted[weighted["p"] == 0].assign(method="distill_equal"),
        weighted[weighted["p"].isin([1.0, default_p]) & (weighted["p"] != 0)],
    ]
    groups = pd.concat(parts).groupby(["target", "method", "p"], sort=False, dropna=False)
    return groups["accuracy"].mean().reset_index()


def _mean_over_targets(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
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
