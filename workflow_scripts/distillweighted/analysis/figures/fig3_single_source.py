"""Fig. 3: every single-source student, target by target."""

from collections.abc import Mapping

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from distillweighted.analysis.figures import style
from distillweighted.analysis.methods_accuracy import (
    check_accuracy,
    nearest_students,
    student_architecture,
    without_repeated_transfer,
)

# Light to dark for small to large similarity; the pale end is cut, as it vanishes on white.
_COLOURS = matplotlib.colors.LinearSegmentedColormap.from_list(
    "similarity", matplotlib.colormaps["YlGnBu"](np.linspace(0.18, 1.0, 256))
)
_PER_ROW = 8


@style.styled
def fig3_single_source(
    points: pd.DataFrame, references: pd.DataFrame, correlation: Mapping[str, float]
) -> Figure:
    """Fig. 3: accuracy of the single-source students, coloured by similarity, and the methods.

    Each target has its own scale. Sideways placement only keeps dots apart.

    Args:
        points: What `correlation.single_source_points` returns.
        references: What `reference_points` returns.
        correlation: By target: the Spearman correlation to print under its name.

    Returns:
        The figure, a page wide.

    Raises:
        ValueError: There is no single-source student.
    """
    if points.empty:
        raise ValueError("Fig. 3: no single-source student was trained")
    targets = list(dict.fromkeys(points["target"]))
    n_rows = -(-len(targets) // _PER_ROW)
    per_row = -(-len(targets) // n_rows)
    # Few strips would be drawn out over a page.
    width = min(style.PAGE_WIDTH, 1.0 + 1.25 * max(per_row, 2))
    figure = style.new_figure(width, 0.9 + 2.35 * n_rows)
    grid = figure.subplots(n_rows, per_row, squeeze=False).ravel()
    for axes in grid[len(targets) :]:
        axes.remove()
    for axes, target in zip(grid, targets, strict=False):
        _draw_strip(
            axes, points[points["target"] == target], references[references["target"] == target]
        )
        name = style.wrapped_name(target, 12 if per_row > 5 else 18)
        axes.set_xlabel(f"{name}\n({style.signed(correlation[target])})")
    grid[0].set_ylabel("Test accuracy (%)")
    _add_legend(figure, list(grid[: len(targets)]), references)
    return figure


def _draw_strip(axes: Axes, points: pd.DataFrame, references: pd.DataFrame) -> None:
    """One target: the dots in the middle, DistillNearest left of them, the mixtures right."""
    every = np.concatenate([points["accuracy"], references["accuracy"]])
    margin = 0.06 * max(np.ptp(every), 1e-6)
    axes.set_ylim(every.min() - margin, every.max() + margin)
    axes.scatter(
        _sideways(points["accuracy"].to_numpy(float), gap=np.ptp(axes.get_ylim()) / 26),
        points["accuracy"],
        c=points["rank"],
        cmap=_COLOURS,
        vmin=0,
        vmax=1,
        s=17,
        edgecolors="0.25",
        linewidths=0.35,
        zorder=3,
        gid="single_source",
    )
    for line in references.itertuples():
        if line.method == "in_transfer":
            axes.axhline(line.accuracy, color=style.GREY, linewidth=1.0, linestyle="--", zorder=1)
            continue
        look = _look(line.method, line.p)
        axes.plot(look["x"], line.accuracy, zorder=4, **_marker(look))
    axes.set_xlim(-1.2, 1.6)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.tick_params(axis="y", pad=1.5)


def _look(method: str, p: float) -> dict[str, object]:
    """Where a method stands beside the dots, its shape, colour and name."""
    if method == "distill_nearest":
        return {"x": -0.82, "marker": ">", "colour": style.VERMILION, "label": "DistillNearest"}
    if method == "distill_equal":
        return {"x": 0.85, "marker": "s", "colour": style.BLUE, "label": "DistillEqual"}
    label = f"DistillWeighted({style.p_label(p)})"
    if p == 1:
        return {"x": 1.11, "marker": "^", "colour": style.GREEN, "label": label}
    return {"x": 1.37, "marker": "*", "colour": style.ORANGE, "label": label}


def _marker(look: Mapping[str, object]) -> dict[str, object]:
    return {
        "marker": look["marker"],
        "linestyle": "none",
        "color": look["colour"],
        "markersize": 8 if look["marker"] == "*" else 5,
        "markeredgecolor": "black",
        "markeredgewidth": 0.4,
    }


def _sideways(values: np.ndarray, gap: float) -> np.ndarray:
    """x positions in [-0.5, 0.5] that keep dots of similar height from covering each other."""
    lanes = np.array([0, 0.25, -0.25, 0.5, -0.5])
    x = np.zeros(len(values))
    last = np.full(len(lanes), -np.inf)
    for index in np.argsort(values, kind="stable"):
        free = np.flatnonzero(values[index] - last >= gap)
        lane = free[0] if len(free) else int(np.argmin(last))
        x[index], last[lane] = lanes[lane], values[index]
    return x


def _add_legend(figure: Figure, axes: list[Axes], references: pd.DataFrame) -> None:
    handles = []
    if (references["method"] == "in_transfer").any():
        handles.append(Line2D([], [], color=style.GREY, linestyle="--", label="IN+Transfer"))
    looks = [
        _look(method, p)
        for method, p in dict.fromkeys(zip(references["method"], references["p"], strict=True))
        if method != "in_transfer"
    ]
    for look in sorted(looks, key=lambda look: look["x"]):
        handles.append(Line2D([], [], label=look["label"], **_marker(look)))
    dot = {"marker": "o", "linestyle": "none", "markerfacecolor": _COLOURS(0.5)}
    dot |= {"markeredgecolor": "0.25", "markeredgewidth": 0.35, "markersize": 4.5}
    handles.append(Line2D([], [], label="one source", **dot))
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=max(2, min(len(handles), int(figure.get_figwidth() / 1.12))),
        handletextpad=0.3,
        columnspacing=1.0,
    )
    colours = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(0, 1), _COLOURS)
    bar = figure.colorbar(colours, ax=axes, fraction=0.02, pad=0.01, aspect=30)
    bar.set_ticks([])
    bar.set_label("Similarity rank within the target: small → large", labelpad=4)
    bar.outline.set_linewidth(0.4)


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
