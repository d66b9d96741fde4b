"""How distillation grows: accuracy for each value of what there is more or less of.

That is the sources, the labels or the student. Methods are compared with IN+Transfer on the same
targets and seeds; intervals are over targets, on the means over seeds.
"""

from __future__ import annotations

import pandas as pd

from distillweighted.analysis.methods_accuracy import require_columns, require_complete
from distillweighted.analysis.paired_tests import half_width

MEAN = "mean"
"""The target of the rows of all targets."""

EXPLANATION = (
    "accuracy: mean over seeds of the test accuracy, in percent, of a target or the mean over "
    "targets. difference: that minus IN+Transfer's{beside}, in points, paired by target and seed. "
    "growth: accuracy minus that of the method's first row{first}. half_width: of the 95% "
    "t-interval of the column before for other targets."
)
"""What the columns are, for above a table."""


def growth_columns(column: str) -> list[str]:
    """The columns of `growth` for a quantity."""
    values = ["accuracy", "difference", "half_width_difference", "growth", "half_width_growth"]
    return ["method", column, "target", *values, "n_seeds", "n_targets"]


def growth(rows: pd.DataFrame, column: str, *, baseline: str = "in_transfer") -> pd.DataFrame:
    """Accuracy for each value of a quantity, and what it gains over the baseline and over the
    method's smallest value.

    Args:
        rows: Columns method, `column`, target, seed, accuracy (percent); one row a student. A
            baseline that does not depend on the quantity has one row a target and seed, without a
            value of it, and stands for all values.
        column: The quantity, a number.
        baseline: The method that the others are compared with.

    Returns:
        The columns `growth_columns`, by method in the order of `rows`, by value and by target, for
        each value one row a target and then one of all, `mean`; without the baseline where it does
        not depend on the quantity. Half widths are of 95% t-intervals of the mean over targets:
        NaN for a single target and in the rows of one. Differences of the baseline are 0.

    Raises:
        ValueError: A method lacks a value for a target or seed, or there is no baseline.
    """
    require_columns(rows, ["method", column, "target", "seed", "accuracy"], "the table of students")
    targets, seeds = list(dict.fromkeys(rows["target"])), sorted(set(rows["seed"]))
    base = rows[rows["method"] == baseline]
    if base.empty:
        raise ValueError(f"there is no {baseline} to compare with")
    own = not base[column].isna().any()
    require_complete(base.fillna({column: 0}), ["method", column], targets, seeds)
    shown = rows if own else rows[rows["method"] != baseline]
    require_complete(shown, ["method", column], targets, seeds)
    keys = [column, "target", "seed"] if own else ["target", "seed"]
    base = base[[*keys, "accuracy"]].rename(columns={"accuracy": "base"})
    shown = shown.merge(base, on=keys, how="left")
    if shown["base"].isna().any():
        value = shown.loc[shown["base"].isna(), column].iloc[0]
        raise ValueError(f"there is no {baseline} at {column} {value:g} to compare with")
    shown["difference"] = shown["accuracy"] - shown["base"]
    table = []
    for method, students in shown.groupby("method", sort=False):
        means = students.groupby([column, "target"])[["accuracy", "difference"]].mean()
        first = means.loc[min(students[column]), "accuracy"]
        for value in sorted(set(students[column])):
            at = means.loc[value].loc[targets]
            at = at.assign(growth=at["accuracy"] - first)
            facts = {"method": method, column: value, "n_seeds": len(seeds)}
            for target, row in at.iterrows():
                table.append({**facts, "target": target, **row, "n_targets": 1})
            widths = {f"half_width_{name}": half_width(at[name]) for name in at if name in _PAIRED}
            table.append(
                {**facts, "target": MEAN, **at.mean(), **widths, "n_targets": len(targets)}
            )
    return pd.DataFrame(table).reindex(columns=growth_columns(column))


_PAIRED = ("difference", "growth")


def relative(rows: pd.DataFrame, column: str, value: str) -> pd.Series:
    """A cost for each value of a quantity over that at its smallest: the median over pairs.

    Args:
        rows: Columns `column`, target, seed and `value`; one row a student.
        column: The quantity.
        value: The cost.

    Returns:
        The ratios by the quantity.
    """
    costs = rows.pivot(index=["target", "seed"], columns=column, values=value)
    return costs.div(costs[min(costs)], axis=0).median()
