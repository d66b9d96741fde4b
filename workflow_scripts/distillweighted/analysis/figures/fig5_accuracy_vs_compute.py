"""Fig. 5: mean accuracy against the cost of a forward pass."""

from collections.abc import Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox, offset_copy

from distillweighted.analysis.figures import style
from distillweighted.analysis.methods_accuracy import (
    require_complete,
    student_architecture,
)
from distillweighted.analysis.statistics import mean_over_targets
from distillweighted.analysis.table1 import gmacs_of
from distillweighted.methods import BASELINES_OF_ANY_ARCHITECTURE, is_control, method_rank

#: The methods that Fig. 5 shows, with their shape and colour.
_LOOKS = {
    "in_transfer": ("s", style.BLACK),
    "in_fixmatch": ("X", style.PURPLE),
    "distill_nearest": (">", style.VERMILION),
    "distill_weighted": ("*", style.ORANGE),
    "finetune_selected_source": ("o", style.BLUE),
}


@style.styled
def fig5_accuracy_vs_compute(table: pd.DataFrame, methods: Sequence[str] = tuple(_LOOKS)) -> Figure:
    """Fig. 5: accuracy averaged over targets against multiply-accumulates, on a log axis.

    The methods of one architecture stand on one vertical line with the architecture's name, but
    that DistillNearest and DistillWeighted, often alike, are moved to its sides. The student's
    methods are named beside their points, those of all architectures in the legend.

    Args:
        table: What `accuracy_vs_compute` returns; bars are standard errors over seeds.
        methods: The methods to show.

    Returns:
        The figure, three quarters of a page wide.

    Raises:
        ValueError: None of `methods` is in `table`.
    """
    table = table[table["method"].isin(methods)]
    if table.empty:
        raise ValueError(f"Fig. 5: none of {list(methods)} was run")
    figure = style.new_figure(0.75 * style.PAGE_WIDTH, 3.1)
    axes = figure.add_subplot()
    axes.set_xscale("log")
    for architecture, points in table.groupby("student", sort=False):
        gmacs = points["gmacs"].iloc[0]
        low, high = points["accuracy"].min(), points["accuracy"].max()
        axes.plot([gmacs, gmacs], [low, high], color="0.8", linewidth=0.8, zorder=1)
        for point in points.itertuples():
            axes.errorbar(
                gmacs,
                point.accuracy,
                yerr=point.standard_error if point.n_seeds > 1 else None,
                elinewidth=0.8,
                zorder=3,
                gid=f"{architecture} {point.method}",
                transform=offset_copy(
                    axes.transData, figure, x=_aside(point.method), units="points"
                ),
                **_look(point.method),
            )
    # Small models are told in millions: 0.0013 is harder to read than 1.3.
    unit, factor = ("10⁹", 1) if table["gmacs"].max() >= 0.1 else ("10⁶", 1000)
    axes.set_xlabel(f"Multiply-accumulates of one forward pass ({unit})")
    n_targets = table["n_targets"].iloc[0]
    axes.set_ylabel(f"Mean test accuracy over {n_targets} target{'s' if n_targets > 1 else ''} (%)")
    axes.margins(x=0.12, y=0.16)
    axes.grid()
    _label_ticks(axes, table["gmacs"].min(), table["gmacs"].max(), factor)
    handles = [
        Line2D([], [], label=style.method_label(method), **_look(method))
        for method in methods
        if method in BASELINES_OF_ANY_ARCHITECTURE and method in set(table["method"])
    ]
    if handles:
        figure.legend(handles=handles, loc="outside upper center", ncols=2, handletextpad=0.3)
    _label_points(figure, axes, table)
    return figure


def _look(method: str) -> dict[str, object]:
    marker, colour = _LOOKS.get(method, ("h", style.GREEN))
    return {
        "marker": marker,
        "linestyle": "none",
        "color": colour,
        "markersize": 9 if marker == "*" else 5.5,
        "markeredgecolor": "black",
        "markeredgewidth": 0.4,
    }


def _aside(method: str) -> float:
    """Points by which a method's marker is moved sideways."""
    return {"distill_nearest": -3.5, "distill_weighted": 3.5}.get(method, 0.0)


def _label_ticks(axes: Axes, low: float, high: float, factor: float) -> None:
    """Plain numbers, times `factor`, instead of powers of ten, at 1, 2 and 5 of each decade."""
    axes.xaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5), numticks=20))
    axes.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda x, _: f"{factor * x:g}"))
    axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    if high < 3 * low:  # a narrower range can lie between two ticks
        axes.set_xlim(low / 2.6, high * 2.6)


def _label_points(figure: Figure, axes: Axes, table: pd.DataFrame) -> None:
    """Names the student's points, then every architecture, each where nothing is in the way."""
    figure.draw_without_rendering()
    per_point = figure.dpi / 72
    taken = []
    for point in table.itertuples():
        error = point.standard_error if point.n_seeds > 1 else 0.0
        x, low = axes.transData.transform((point.gmacs, point.accuracy - error))
        _, high = axes.transData.transform((point.gmacs, point.accuracy + error))
        pad = 4 * per_point
        taken.append(Bbox([[x - pad, low - pad], [x + pad, high + pad]]))

    own = table[table["is_target_architecture"]]
    heights = axes.transData.transform(own[["gmacs", "accuracy"]].to_numpy(float))[:, 1]
    shifts = (np.array(style.spread(heights, 9 * per_point)) - heights) / per_point
    for point, shift in zip(own.itertuples(), shifts, strict=True):
        choices = [
            (point.accuracy, across, shift, side) for across, side in ((11, 0.0), (-11, 1.0))
        ]
        _place(axes, point.gmacs, style.method_label(point.method), choices, taken, fontsize=7)

    for architecture, points in table.groupby("student", sort=False):
        error = points["standard_error"].fillna(0)
        top = (points["accuracy"] + error).max()
        bottom = (points["accuracy"] - error).min()
        choices = [
            (end, across, side * step, 0.5)
            for step in (10, 19, 28, 37)
            for end, side in ((top, 1), (bottom, -1))
            for across in (0, 24, -24)
        ]
        name = style.display_name(architecture)
        label = {"fontsize": 7.5, "fontweight": "bold"}
        _place(axes, points["gmacs"].iloc[0], name, choices, taken, **label)


def _place(
    axes: Axes,
    x: float,
    text: str,
    choices: Sequence[tuple[float, float, float, float]],
    taken: list[Bbox],
    **font: object,
) -> None:
    """Writes `text` at the first choice inside the axes that covers none of `taken`.

    A choice is a height in data units, a shift across and up in points, and which part of the
    text stands there (0 its left end, 0.5 its middle, 1 its right end). Where none is free the
    first is taken.
    """
    frame = axes.get_window_extent()
    label = axes.annotate(text, (x, 0), xytext=(0, 0), textcoords="offset points", **font)
    label.set_verticalalignment("center")

    def box_of(choice: tuple[float, float, float, float]) -> Bbox:
        y, across, up, part = choice
        label.xy = (x, y)
        label.set_position((across, up))
        label.set_horizontalalignment({0.0: "left", 0.5: "center", 1.0: "right"}[part])
        return label.get_window_extent()

    def is_free(box: Bbox) -> bool:
        inside = frame.x0 <= box.x0 and box.x1 <= frame.x1
        inside = inside and frame.y0 <= box.y0 and box.y1 <= frame.y1
        return inside and not any(box.overlaps(other) for other in taken)

    best = next((choice for choice in choices if is_free(box_of(choice))), choices[0])
    taken.append(box_of(best))


def accuracy_vs_compute(methods: pd.DataFrame, compute: pd.DataFrame) -> pd.DataFrame:
    """Fig. 5: accuracy averaged over targets, and the cost of a forward pass.

    Args:
        methods: What `tables.method_accuracy` returns.
        compute: Columns student and gmacs (10^9 multiply-accumulates of one forward pass).

    Returns:
        All methods but controls: columns student, is_target_architecture, method, gmacs, accuracy,
        standard_error, n_targets, n_seeds, ordered by gmacs and then as in Table 1.

    Raises:
        ValueError: A method lacks a target, or `compute` an architecture.
    """
    gmacs = gmacs_of(compute, methods["student"])
    targets = list(dict.fromkeys(methods["target"]))
    require_complete(methods, ["student", "method"], targets)
    methods = methods[~methods["method"].map(is_control).astype(bool)]
    table = mean_over_targets(methods, ["student", "method"])
    table.insert(1, "is_target_architecture", table["student"] == student_architecture(methods))
    table.insert(3, "gmacs", table["student"].map(gmacs).astype(float))
    table["rank"] = table["method"].map(method_rank)
    return table.sort_values(["gmacs", "student", "rank"], ignore_index=True).drop(columns="rank")
