"""Every method of a run in one table: what it is, what it gains, what it costs."""

from __future__ import annotations

import pandas as pd

from distillweighted.analysis.methods_accuracy import (
    method_accuracy,
    method_seconds,
    student_architecture,
)
from distillweighted.analysis.paired import table1_paired
from distillweighted.methods import METHODS, method_rank

METHOD_COLUMNS = (
    "method",
    "name",
    "origin",
    "accuracy",
    "difference",
    "half_width_targets",
    "targets_better",
    "p_holm",
    "relative_time",
    "n_seeds",
    "n_targets",
)

EXPLANATION = (
    "accuracy: mean over targets of the mean over seeds, in percent. difference: the method's "
    "accuracy minus that of {reference}, in points, on the targets and seeds that both have, so "
    "that the method is better above 0; half_width_targets: of its 95% t-interval for other "
    "targets; targets_better: targets on which it is better; p_holm: exact sign-flip test over the "
    "targets, corrected for the number of methods (Holm; controls apart). relative_time: seconds "
    "of training over those of {reference}, the median over pairs; what sources and probes took "
    "before is not in it."
)
"""What the columns are, for above the table."""


def all_methods(
    accuracy: pd.DataFrame,
    nearest: pd.DataFrame,
    *,
    reference: str,
    default_p: float,
    oracle: bool = False,
) -> pd.DataFrame:
    """Every method of the student's architecture, in the order of Table 1.

    Args:
        accuracy: One row a student: the columns of `methods_accuracy.ACCURACY_COLUMNS`, and
            train_seconds.
        nearest: Columns target, seed, source: the source that ranks first.
        reference: The method that differences are to.
        default_p: The p of DistillWeighted.
        oracle: Whether there is oracle_selection.

    Returns:
        The columns `METHOD_COLUMNS`, one row a method; differences are NaN for the reference, and
        relative_time for oracle_selection, which trains nothing.

    Raises:
        ValueError: As of `table1_paired`.
    """
    seconds = method_seconds(accuracy, nearest, default_p=default_p)
    methods = method_accuracy(accuracy, nearest, default_p=default_p, partial=True, oracle=oracle)
    student = student_architecture(methods)
    methods = methods[methods["student"] == student]
    pairs = table1_paired(methods, reference=reference)[0].set_index("method")
    seconds = seconds[seconds["student"] == student]
    seconds = seconds.pivot(index=["target", "seed"], columns="method", values="train_seconds")
    relative = seconds.div(seconds[reference], axis=0).median()
    rows = []
    for method in sorted(set(methods["method"]), key=method_rank):
        own = methods[methods["method"] == method]
        known = METHODS.get(method)
        row = {
            "method": method,
            "name": known.label if known else method,
            "origin": known.origin if known else "",
            "accuracy": own.groupby("target")["accuracy"].mean().mean(),
            "relative_time": relative.get(method),
            "n_seeds": own["seed"].nunique(),
            "n_targets": own["target"].nunique(),
        }
        if method != reference:
            pair = pairs.loc[method]
            # table1_paired takes the method from the reference.
            row |= {
                "difference": -pair["mean_difference"],
                "half_width_targets": pair["half_width_targets"],
                "targets_better": pair["losses"],
                "p_holm": pair["p_holm"],
            }
        rows.append(row)
    table = pd.DataFrame(rows).reindex(columns=list(METHOD_COLUMNS))
    return table.astype({"targets_better": "Int64"})
