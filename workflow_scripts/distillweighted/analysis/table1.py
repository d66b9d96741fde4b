"""Table 1: the accuracy of every method for every target."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from distillweighted.analysis.methods_accuracy import CELL, require_columns, student_architecture
from distillweighted.methods import method_rank


def table1_accuracy(
    methods: pd.DataFrame,
    compute: pd.DataFrame,
    *,
    student: str | None = None,
    value: str = "accuracy",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Table 1: the accuracy of every architecture and method for each target.

    Args:
        methods: What `method_accuracy` returns.
        compute: Columns student and gmacs (10^9 multiply-accumulates of one forward pass; the
            paper calls them GFLOPs).
        student: The target architecture; None finds it by its methods.
        value: accuracy or balanced_accuracy.

    Returns:
        Two tables with the columns student, gflops, method, one a target, mean: the means over
        seeds, and their standard errors (NaN for one seed). The standard error of the mean column
        is that over seeds of the mean over targets. First the student's rows, in the order of
        `METHOD_ORDER`, then the source architectures by multiply-accumulates. A row that lacks a
        target has no mean.

    Raises:
        ValueError: `compute` lacks an architecture or has it twice.
    """
    require_columns(methods, [*CELL, value], "the table of methods")
    gmacs = gmacs_of(compute, methods["student"])
    student = student_architecture(methods) if student is None else student
    targets = list(dict.fromkeys(methods["target"]))
    keys = sorted(
        set(zip(methods["student"], methods["method"], strict=True)),
        key=lambda k: (k[0] != student, gmacs[k[0]], k[0], method_rank(k[1])),
    )
    means, errors = [], []
    for architecture, method in keys:
        rows = methods[(methods["student"] == architecture) & (methods["method"] == method)]
        cells = rows.pivot(index="seed", columns="target", values=value).reindex(columns=targets)
        head = {"student": architecture, "gflops": gmacs[architecture], "method": method}
        average = cells.mean()
        by_seed = cells.mean(axis=1, skipna=False)
        means.append({**head, **average, "mean": average.mean(skipna=False)})
        errors.append({**head, **cells.sem(), "mean": by_seed.sem()})
    columns = ["student", "gflops", "method", *targets, "mean"]
    return pd.DataFrame(means, columns=columns), pd.DataFrame(errors, columns=columns)


def gmacs_of(compute: pd.DataFrame, students: Iterable[str]) -> dict[str, float]:
    """The multiply-accumulates (10^9) of each of `students`; ValueError where one is missing."""
    require_columns(compute, ("student", "gmacs"), "the compute table")
    twice = sorted(set(compute.loc[compute["student"].duplicated(), "student"]))
    missing = sorted(set(students) - set(compute["student"]))
    if twice or missing:
        raise ValueError(f"the compute table lacks {missing} and has more than once {twice}")
    return dict(zip(compute["student"], compute["gmacs"], strict=True))
