"""Fig. 4: raw similarity score against accuracy of the single-source students."""

from collections.abc import Mapping

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from distillweighted.analysis.figures import style

_PER_ROW = 4
_LEGEND_COLUMNS = 7
_LINE = 0.14  # inches that a line of the legend takes


@style.styled
def fig4_similarity_vs_accuracy(
    points: pd.DataFrame,
    correlation: Mapping[str, float],
    sources: pd.DataFrame | None = None,
    *,
    score_label: str = "PARC of the features",
) -> Figure:
    """Fig. 4: one panel a target, one point a source, each target on its own scales.

    Args:
        points: What `correlation.single_source_points` returns; bars are standard errors over
            seeds.
        correlation: By target: the Spearman correlation for the title.
        sources: Columns source, architecture, task: colour shows the task and shape the
            architecture. None draws all sources alike.
        score_label: The name of the score on the x axis.

    Returns:
        The figure, a page wide.

    Raises:
        ValueError: There is no single-source student, or `sources` lacks one.
    """
    if points.empty:
        raise ValueError("Fig. 4: no single-source student was trained")
    targets = list(dict.fromkeys(points["target"]))
    n_rows = -(-len(targets) // _PER_ROW)
    per_row = -(-len(targets) // n_rows)
    looks = _looks(points, sources)
    legends = _legend_handles(looks) if sources is not None else []
    panels_height = 0.3 + 1.6 * n_rows
    legend_height = sum(0.03 + _LINE * _legend_lines(group) for group in legends)
    figure = style.new_figure(style.PAGE_WIDTH, panels_height + legend_height)
    panels: Figure | SubFigure = figure
    if legends:
        panels, below = figure.subfigures(2, 1, height_ratios=[panels_height, legend_height])
        _add_legends(below, legends)
    grid = panels.subplots(n_rows, per_row, squeeze=False).ravel()
    for axes in grid[len(targets) :]:
        axes.remove()
    for axes, target in zip(grid, targets, strict=False):
        _draw_panel(axes, points[points["target"] == target], looks)
        name = style.wrapped_name(target, 24 if per_row == _PER_ROW else 36)
        axes.set_title(f"{name} ({style.signed(correlation[target])})")
    label = f"{score_label} (title: its Spearman correlation with the accuracy)"
    panels.supxlabel(label, fontsize=matplotlib.rcParams["axes.labelsize"])
    panels.supylabel("Test accuracy (%)", fontsize=matplotlib.rcParams["axes.labelsize"])
    return figure


def _draw_panel(axes: Axes, points: pd.DataFrame, looks: Mapping[str, Mapping[str, str]]) -> None:
    several = points[points["n_seeds"] > 1]
    axes.errorbar(
        several["score"],
        several["accuracy"],
        yerr=several["standard_error"],
        fmt="none",
        ecolor="0.6",
        elinewidth=0.6,
        zorder=2,
    )
    for marker, group in points.groupby(
        points["source"].map(lambda source: looks[source]["marker"]), sort=False
    ):
        axes.scatter(
            group["score"],
            group["accuracy"],
            s=15,
            marker=marker,
            facecolors=[looks[source]["face"] for source in group["source"]],
            edgecolors=[looks[source]["edge"] for source in group["source"]],
            linewidths=0.5,
            zorder=3,
            gid="single_source",
        )
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.margins(0.08)
    axes.grid()


def _looks(points: pd.DataFrame, sources: pd.DataFrame | None) -> dict[str, dict[str, str]]:
    """Shape, colours and display names of every source."""
    names = set(points["source"])
    if sources is None:
        return {name: {"marker": "o", "face": style.SKY, "edge": "0.25"} for name in names}
    known = {
        row.source: (row.architecture, row.task)
        for row in sources.itertuples()
        if row.source in names
    }
    if names - set(known):
        raise ValueError(f"Fig. 4: the table of sources lacks {sorted(names - set(known))}")
    architectures = list(dict.fromkeys(architecture for architecture, _ in known.values()))
    tasks = list(dict.fromkeys(task for _, task in known.values()))
    looks = {}
    for source, (architecture, task) in known.items():
        number = tasks.index(task)
        colour = style.CATEGORIES[number % len(style.CATEGORIES)]
        # Past eight tasks the colours come again, as open shapes.
        is_open = number // len(style.CATEGORIES) % 2 == 1
        looks[source] = {
            "marker": style.MARKERS[architectures.index(architecture) % len(style.MARKERS)],
            "face": "none" if is_open else colour,
            "edge": colour if is_open else "0.25",
            "architecture": style.display_name(architecture),
            "task": style.display_name(task),
        }
    return looks


def _legend_handles(looks: Mapping[str, Mapping[str, str]]) -> list[list[Line2D]]:
    """The tasks by colour, and the architectures by shape."""
    tasks = {look["task"]: look for look in looks.values()}
    architectures = {look["architecture"]: look for look in looks.values()}
    line = {"linestyle": "none", "markersize": 4.5, "markeredgewidth": 0.5}
    return [
        [
            Line2D([], [], label=name, marker="o", mfc=look["face"], mec=look["edge"], **line)
            for name, look in tasks.items()
        ],
        [
            Line2D([], [], label=name, marker=look["marker"], mfc="0.8", mec="0.25", **line)
            for name, look in architectures.items()
        ],
    ]


def _legend_columns(group: list[Line2D]) -> int:
    """As many columns as the longest name leaves room for, in lines of similar length."""
    longest = max(len(handle.get_label()) for handle in group)
    most = min(len(group), _LEGEND_COLUMNS, max(1, int(130 / (longest + 5))))
    lines = -(-len(group) // most)
    return -(-len(group) // lines)


def _legend_lines(group: list[Line2D]) -> int:
    return -(-len(group) // _legend_columns(group))


def _add_legends(below: SubFigure, legends: list[list[Line2D]]) -> None:
    for group, place in zip(legends, ("upper center", "lower center"), strict=True):
        below.legend(
            handles=group,
            loc=place,
            ncols=_legend_columns(group),
            handletextpad=0.1,
            columnspacing=1.0,
            borderaxespad=0.0,
            borderpad=0.0,
            labelspacing=0.25,
        )
