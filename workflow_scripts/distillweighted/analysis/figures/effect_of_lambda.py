"""The effect of lambda, drawn as the paper's Fig. 6 draws that of p."""

import pandas as pd
from matplotlib.figure import Figure

from distillweighted.analysis.figures.effect import draw_effect, improvements
from distillweighted.analysis.methods_accuracy import require_complete


def fig_effect_of_lambda(table: pd.DataFrame) -> Figure:
    """Improvement over ImageNet transfer for each lambda, by target and on average.

    Args:
        table: What `effect_of_lambda` returns.

    Returns:
        The figure (`effect.draw_effect`).
    """
    names = {0.0: "\n(distilled alone)", 1.0: "\n(nothing distilled)"}
    return draw_effect(
        table,
        "lambda",
        label="λ, the weight of the labelled loss",
        tick=lambda lam: f"{lam:g}" + names.get(lam, ""),
    )


def effect_of_lambda(students: pd.DataFrame) -> pd.DataFrame:
    """Improvement of DistillWeighted over ImageNet transfer, for each lambda.

    Args:
        students: Columns target, seed, lambda, accuracy (percent); lambda is NaN for IN+Transfer.

    Returns:
        Columns lambda, target, improvement (percentage points, mean over seeds), standard_error;
        for every lambda one row a target and one `mean` over targets.

    Raises:
        ValueError: There is no IN+Transfer, or a lambda lacks a target or seed.
    """
    rows, base = students[students["lambda"].notna()], students[students["lambda"].isna()]
    if base.empty:
        raise ValueError("no in_transfer student to compare with")
    targets, seeds = list(dict.fromkeys(students["target"])), sorted(set(students["seed"]))
    require_complete(base.assign(all="in_transfer"), ["all"], targets, seeds)
    require_complete(rows, ["lambda"], targets, seeds)
    return improvements(rows, base, "lambda", targets)
