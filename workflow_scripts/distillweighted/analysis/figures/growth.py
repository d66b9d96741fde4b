"""How distillation grows, drawn: each method's accuracy along a quantity, and what it costs."""

from collections.abc import Callable, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from distillweighted.analysis.figures import style
from distillweighted.analysis.growth import MEAN
from distillweighted.methods import method_rank

_LOOKS = {
    "in_transfer": ("s", style.BLACK),
    "in_fixmatch": ("X", style.PURPLE),
    "distill_nearest": (">", style.VERMILION),
    "distill_weighted": ("o", style.BLUE),
    "probe_labels": ("^", style.GREEN),
}

_ASIDE = 0.009
"""Share of the axis by which a method's points lie beside those of the one before."""

_OTHERS = (("h", style.SKY), ("D", style.ORANGE), ("v", "#882255"), ("P", "#8C8C8C"))


@style.styled
def draw_sources(table: pd.DataFrame) -> Figure:
    """Improvement over IN+Transfer and cost against the number of sources.

    Args:
        table: What `growth` returns of the column `sources`, with the columns source_gmacs and
            relative_time in the rows of all targets.

    Returns:
        The figure, a page wide; bars are 95% intervals for other targets, pale lines the targets
        of DistillWeighted, and costs are relative to those of the fewest sources.
    """
    figure = style.new_figure(style.PAGE_WIDTH, 2.9)
    left, right = figure.subplots(1, 2, width_ratios=(1.35, 1))
    _draw_methods(left, table, "sources", "difference")
    _zero_line(left)
    _draw_targets(left, table[table["method"] == "distill_weighted"], "sources")
    left.set_ylabel("Improvement over IN+Transfer\n(percentage points)")
    mean = table[(table["method"] == "distill_weighted") & (table["target"] == MEAN)]
    first = mean["source_gmacs"].iloc[0]
    for values, label, marker, colour in (
        (mean["source_gmacs"] / first, "asking the sources (MACs)", "D", style.VERMILION),
        (mean["relative_time"], "training the student (s)", "o", style.BLUE),
    ):
        right.plot(mean["sources"], values, marker=marker, color=colour, markersize=4, label=label)
    right.set_yscale("log", base=2)
    right.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    right.yaxis.set_minor_locator(NullLocator())
    right.set_ylabel(f"Cost over that of {_counted(mean['sources'].iloc[0])}")
    right.legend(loc="upper left")
    for axes in (left, right):
        _log_axis(axes, sorted(set(table["sources"])), lambda value: f"{value:g}", base=2)
        axes.set_xlabel("Sources, drawn at random")
    _legend(figure, left, ncols=4)
    return figure


@style.styled
def draw_labels(table: pd.DataFrame) -> Figure:
    """Accuracy, and improvement over IN+Transfer, against the share of labelled images.

    Args:
        table: What `growth` returns of the column `label_fraction`.

    Returns:
        The figure, a page wide; bars are 95% intervals for other targets.
    """
    figure = style.new_figure(style.PAGE_WIDTH, 3.0)
    _accuracy_and_improvement(
        figure,
        figure.subplots(1, 2),
        table,
        "label_fraction",
        label="Labelled training images (%)",
        tick=lambda share: f"{100 * share:g}",
    )
    return figure


@style.styled
def draw_students(table: pd.DataFrame) -> Figure:
    """Accuracy, improvement over IN+Transfer and training time against the student's size.

    Args:
        table: What `growth` returns of the column `mmacs`, with the column train_seconds in the
            rows of all targets.

    Returns:
        The figure, a page wide; bars are 95% intervals for other targets.
    """
    figure = style.new_figure(style.PAGE_WIDTH, 2.7)
    *both, right = figure.subplots(1, 3)
    label = "Multiply-accumulates (10⁶)"
    _accuracy_and_improvement(figure, both, table, "mmacs", label=label, tick="{:.2g}".format)
    _draw_methods(right, table, "mmacs", "train_seconds")
    right.set_yscale("log")
    right.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    right.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    right.yaxis.set_minor_locator(NullLocator())
    right.set_ylabel("Training of a student (s)")
    _log_axis(right, sorted(set(table["mmacs"])), "{:.2g}".format)
    right.set_xlabel(label)
    return figure


def _accuracy_and_improvement(
    figure: Figure,
    both: Sequence[Axes],
    table: pd.DataFrame,
    column: str,
    *,
    label: str,
    tick: Callable[[float], str],
) -> None:
    """Means over targets, and their differences to IN+Transfer with intervals."""
    left, right = both
    _draw_methods(left, table, column, "accuracy")
    _draw_methods(right, table[table["method"] != "in_transfer"], column, "difference")
    _zero_line(right)
    (count,) = set(table.loc[table["target"] == MEAN, "n_targets"])
    left.set_ylabel(f"Mean test accuracy over {count} target{'s' if count > 1 else ''} (%)")
    right.set_ylabel("Improvement over IN+Transfer\n(percentage points)")
    for axes in (left, right):
        _log_axis(axes, sorted(set(table[column])), tick)
        axes.set_xlabel(label)
    _legend(figure, left, ncols=5)


def _draw_methods(axes: Axes, table: pd.DataFrame, column: str, value: str) -> None:
    """A line a method: means over targets, with the half widths that the table has of them."""
    table = table[table["target"] == MEAN]
    methods = sorted(set(table["method"]), key=method_rank)
    unknown = iter(_OTHERS * len(methods))
    for number, method in enumerate(methods):
        rows = table[table["method"] == method].sort_values(column)
        width = f"half_width_{value}"
        marker, colour = _LOOKS.get(method) or next(unknown)
        # Moved aside, so that bars of methods that are alike do not hide each other; along a log
        # axis that is a factor.
        aside = (max(table[column]) / min(table[column])) ** (
            _ASIDE * (number - (len(methods) - 1) / 2)
        )
        axes.errorbar(
            rows[column] * aside,
            rows[value],
            yerr=rows[width] if width in rows and rows[width].notna().all() else None,
            marker=marker,
            color=colour,
            markersize=5,
            markeredgecolor="white",
            markeredgewidth=0.4,
            linewidth=1.4,
            elinewidth=0.9,
            zorder=4,
            label=style.method_label(method),
            gid=f"{method} {value}",
        )
    axes.grid(axis="y")


def _draw_targets(axes: Axes, table: pd.DataFrame, column: str) -> None:
    """A pale line a target, named where it ends."""
    names = [name for name in dict.fromkeys(table["target"]) if name != MEAN]
    ends = []
    for number, name in enumerate(names):
        rows = table[table["target"] == name].sort_values(column)
        colour = style.CATEGORIES[number % len(style.CATEGORIES)]
        axes.plot(
            rows[column], rows["difference"], color=colour, linewidth=0.7, alpha=0.6, gid=name
        )
        ends.append(rows.iloc[-1])
    axes.figure.draw_without_rendering()
    low, high = axes.get_ylim()
    per_point = (high - low) / (axes.get_window_extent().height / axes.figure.dpi * 72)
    heights = style.spread([end["difference"] for end in ends], 8 * per_point)
    for number, (name, end, height) in enumerate(zip(names, ends, heights, strict=True)):
        colour = style.CATEGORIES[number % len(style.CATEGORIES)]
        axes.annotate(
            style.display_name(name),
            (end[column], end["difference"]),
            xytext=(1.05, height),
            textcoords=axes.get_yaxis_transform(),
            va="center",
            fontsize=7,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.7, "shrinkB": 4},
            annotation_clip=False,
        )
    axes.set_ylim(low, high)


def _zero_line(axes: Axes) -> None:
    axes.axhline(0, color=style.GREY, linewidth=0.8, linestyle="--", zorder=1)


def _log_axis(
    axes: Axes, values: Sequence[float], tick: Callable[[float], str], *, base: int = 10
) -> None:
    """A log axis with a tick at each value, and room at both ends."""
    axes.set_xscale("log", base=base)
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
    room = (values[-1] / values[0]) ** 0.05
    axes.set_xlim(values[0] / room, values[-1] * room)


def _legend(figure: Figure, axes: Axes, *, ncols: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=ncols)


def _counted(sources: float) -> str:
    return f"{sources:g} source{'' if sources == 1 else 's'}"
