"""Fig. 1: average accuracy for each way to weight the sources."""

import pandas as pd
from matplotlib.figure import Figure

from distillweighted.figures import style

_OURS = ("distill_nearest", "distill_weighted")


@style.styled
def fig1_weightings(weightings: pd.DataFrame) -> Figure:
    """Fig. 1: the student's accuracy averaged over targets, one row a weighting.

    The axis does not start at 0, so the accuracies are points and not bars; the bars through them
    are standard errors over seeds.

    Args:
        weightings: What `figure_data.weightings` returns.

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
    bars = f"\nbars: standard error over {n_seeds} seeds" if n_seeds > 1 else ""
    axes.set_xlabel(f"Mean test accuracy over {targets} (%){bars}")
    return figure
