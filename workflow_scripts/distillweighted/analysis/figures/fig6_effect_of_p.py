"""Fig. 6: the effect of p."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from distillweighted.analysis.figures import style
from distillweighted.analysis.figures.effect import draw_effect, improvements
from distillweighted.analysis.methods_accuracy import (
    check_accuracy,
    nearest_students,
    require_complete,
    student_architecture,
    without_repeated_transfer,
)


def fig6_effect_of_p(table: pd.DataFrame) -> Figure:
    """Fig. 6: improvement over ImageNet transfer for each p, by target and on average.

    Args:
        table: What `effect_of_p` returns.

    Returns:
        The figure (`effect.draw_effect`).

    Raises:
        ValueError: There is nothing to draw.
    """
    if table.empty:
        raise ValueError("Fig. 6: no weighted distillation was run")
    names = {0.0: "\n(Equal)", float("inf"): "\n(Nearest)"}
    return draw_effect(
        table,
        "p",
        label="Power p of the similarity in the weights",
        tick=lambda p: style.p_label(p) + names.get(p, ""),
    )


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
    return improvements(rows, base, "p", targets)
