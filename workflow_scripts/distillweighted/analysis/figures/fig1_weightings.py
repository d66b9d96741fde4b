"""Fig. 1: average accuracy for each way to weight the sources."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from distillweighted.analysis.figures import style
from distillweighted.analysis.methods_accuracy import (
    require_complete,
    student_architecture,
)
from distillweighted.analysis.statistics import mean_over_targets

_OURS = ("distill_nearest", "distill_weighted")


@style.styled
def fig1_weightings(weightings: pd.DataFrame, *, source_spread: float | None = None) -> Figure:
    """Fig. 1: the student's accuracy averaged over targets, one row a weighting.

    The axis does not start at 0, so the accuracies are points and not bars; the bars through them
    are standard errors over seeds.

    Args:
        weightings: What `weightings` returns.
        source_spread: Standard deviation over sources of the single-source students, in points: a
            light bar for random selection, which draws one of them, where the error bar is that of
            the mean over all. None draws none.

    Returns:
        The figure, one column wide.

    Raises:
        ValueError: There is nothing to draw.
    """
    if weightings.empty:
        raise ValueError("Fig. 1: no weighting was run")
    figure = style.new_figure(style.COLUMN_WIDTH, 0.75 + 0.22 * len(weightings))
    axes = figure.add_subplot()
    rows = range(len(weightings))
    for row, point in zip(rows, weightings.itertuples(), strict=True):
        ours, baseline = point.method in _OURS, point.method == "in_transfer"
        colour = style.VERMILION if ours else style.BLACK if baseline else style.BLUE
        marker = "D" if ours else "s" if baseline else "o"
        error = point.standard_error if point.n_seeds > 1 else None
        axes.errorbar(
            point.accuracy, row, xerr=error, fmt=marker, color=colour, markersize=5, zorder=3
        )
        spread = source_spread is not None and point.method == "distill_random_selection"
        if spread:
            axes.plot(
                [point.accuracy - source_spread, point.accuracy + source_spread],
                [row, row],
                color=style.SKY,
                linewidth=4,
                alpha=0.45,
                solid_capstyle="butt",
                zorder=2,
                gid="source_spread",
            )
        if baseline:
            axes.axvline(point.accuracy, color=style.GREY, linewidth=0.8, linestyle="--", zorder=1)
        axes.annotate(
            f"{point.accuracy:.1f}",
            (1.0, row),
            xycoords=axes.get_yaxis_transform(),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color=colour,
        )
    axes.set_yticks(rows, [style.method_label(method) for method in weightings["method"]])
    axes.invert_yaxis()
    axes.margins(x=0.12, y=0.08)
    axes.grid(axis="y")
    axes.tick_params(axis="y", length=0)
    n_targets, n_seeds = weightings["n_targets"].iloc[0], weightings["n_seeds"].max()
    targets = f"{n_targets} target{'s' if n_targets > 1 else ''}"
    lines = [f"Mean test accuracy over {targets} (%)"]
    if n_seeds > 1:
        lines.append(f"bars: standard error over {n_seeds} seeds")
    if source_spread is not None and "distill_random_selection" in set(weightings["method"]):
        lines.append("light bar: standard deviation over the sources")
    axes.set_xlabel("\n".join(lines))
    return figure


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
    require_complete(rows, ["method"], targets)
    table = mean_over_targets(rows, ["method"])
    order = {method: position for position, method in enumerate(WEIGHTINGS)}
    return table.sort_values("method", key=lambda m: m.map(order), ignore_index=True)
