"""Tables of the paper's supplement: fewer labels, and groups of targets such as VTAB's.

The supplement is not public; the main text says what its tables show, not how they look.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from distillweighted.analysis.methods_accuracy import (
    method_accuracy,
    methods_by_fraction,
    student_architecture,
)
from distillweighted.methods import method_rank


def table_label_fractions(
    accuracy: pd.DataFrame, nearest: pd.DataFrame, *, default_p: float = 12.0
) -> pd.DataFrame:
    """The accuracy of each of the student's methods for every label fraction.

    Args:
        accuracy: One row a student, with the column label_fraction too.
        nearest: Columns target, seed, source, label_fraction: the source that ranks first.
        default_p: The p of DistillWeighted.

    Returns:
        Columns label_fraction, method, one a target (means over seeds, percent), mean (over
        targets), improvement (of the mean over in_transfer's; NaN where that was not run), ordered
        by label fraction and method.
    """
    parts = []
    for fraction, methods in methods_by_fraction(accuracy, nearest, default_p=default_p):
        means = _means(methods)
        means.insert(0, "label_fraction", fraction)
        parts.append(means)
    return pd.concat(parts, ignore_index=True)


def table_target_groups(
    accuracy: pd.DataFrame,
    nearest: pd.DataFrame,
    groups: Mapping[str, Sequence[str]],
    *,
    default_p: float = 12.0,
) -> pd.DataFrame:
    """The mean accuracy of each of the student's methods over groups of targets.

    Args:
        accuracy: One row a student.
        nearest: Columns target, seed, source: the source that ranks first.
        groups: The targets of each group.
        default_p: The p of DistillWeighted.

    Returns:
        Columns group, method, mean (percent, over the group's targets), improvement (over
        in_transfer), in the order of the groups and methods.
    """
    parts = []
    for group, targets in groups.items():
        methods = method_accuracy(accuracy, nearest, default_p=default_p, targets=targets)
        means = _means(methods)[["method", "mean", "improvement"]]
        means.insert(0, "group", group)
        parts.append(means)
    return pd.concat(parts, ignore_index=True)


def _means(methods: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds of the student's methods, by target, and their mean over targets."""
    targets = list(dict.fromkeys(methods["target"]))
    rows = methods[methods["student"] == student_architecture(methods)]
    table = rows.pivot_table(index="method", columns="target", values="accuracy", sort=False)
    table = table.reindex(columns=targets, index=sorted(table.index, key=method_rank))
    table["mean"] = table[targets].mean(axis=1, skipna=False)
    start = table["mean"].get("in_transfer", float("nan"))
    table["improvement"] = table["mean"] - start
    return table.reset_index().rename_axis(columns=None)
