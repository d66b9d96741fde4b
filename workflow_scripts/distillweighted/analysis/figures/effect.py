"""How a setting changes what distillation gains over transfer, as in the paper's Fig. 6."""

from collections.abc import Callable, Sequence

import pandas as pd
from matplotlib.figure import Figure

from distillweighted.analysis.figures import style


@style.styled
def draw_effect(
    table: pd.DataFrame, column: str, *, label: str, tick: Callable[[float], str]
) -> Figure:
    """The improvement over ImageNet transfer for each value of a setting, by target and on average.

    The values stand at even distances, since some (an infinite p) have no place on a number line.

    Args:
        table: Columns `column`, target (with rows `mean`), improvement (percentage points) and
            standard_error; the bars of the mean are standard errors over seeds.
        column: The setting's column.
        label: What the axis is called.
        tick: What a value is called.

    Returns:
        The figure, three quarters of a page wide.
    """
    values = sorted(set(table[column]))
    targets = [target for target in dict.fromkeys(table["target"]) if target != "mean"]
    figure = style.new_figure(0.75 * style.PAGE_WIDTH, max(2.8, 1.2 + 0.2 * len(targets)))
    axes = figure.add_subplot()
    axes.axhline(0, color=style.GREY, linewidth=0.8, linestyle="--", zorder=1)
    ends = []
    for number, target in enumerate(targets):
        rows = table[table["target"] == target].sort_values(column)
        colour = style.CATEGORIES[number % len(style.CATEGORIES)]
        axes.plot(
            [values.index(v) for v in rows[column]],
            rows["improvement"],
            color=colour,
            marker=style.MARKERS[number % len(style.MARKERS)],
            markersize=3.5,
            linewidth=0.7,
            alpha=0.55,
            zorder=2,
            gid=target,
        )
        ends.append((rows["improvement"].iloc[-1], style.wrapped_name(target, 22), colour))
    mean = table[table["target"] == "mean"].sort_values(column)
    has_error = mean["standard_error"].notna().all()
    axes.errorbar(
        [values.index(v) for v in mean[column]],
        mean["improvement"],
        yerr=mean["standard_error"] if has_error else None,
        color="black",
        marker="o",
        markersize=6,
        linewidth=1.8,
        elinewidth=1.0,
        zorder=4,
    )
    ends.append((mean["improvement"].iloc[-1], "Mean", "black"))
    axes.set_xticks(range(len(values)), [tick(value) for value in values])
    axes.set_xlabel(label)
    axes.set_ylabel("Improvement over IN+Transfer\n(percentage points)")
    axes.margins(x=0.04, y=0.08)
    axes.grid(axis="y")
    _label_ends(figure, ends, len(values) - 1)
    return figure


def _label_ends(figure: Figure, ends: list[tuple[float, str, str]], last: int) -> None:
    """Writes each line's name right of its last point, with the names moved apart."""
    axes = figure.axes[0]
    figure.draw_without_rendering()
    low, high = axes.get_ylim()
    per_point = (high - low) / (axes.get_window_extent().height / figure.dpi * 72)
    lines = max(label.count("\n") + 1 for _, label, _ in ends)
    heights = style.spread([value for value, _, _ in ends], 9 * lines * per_point)
    # Beside the axes, where they have room for all: below them are the ticks' names.
    beyond = max(0, low - min(heights)) - max(0, max(heights) - high)
    heights = [height + beyond for height in heights]
    for (value, label, colour), height in zip(ends, heights, strict=True):
        is_mean = label == "Mean" and colour == "black"
        axes.annotate(
            label,
            (last, value),
            xytext=(1.06, height),
            textcoords=axes.get_yaxis_transform(),
            va="center",
            color="black",
            fontweight="bold" if is_mean else "normal",
            fontsize=7,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 1.0,
                "relpos": (0, 0.5),  # from the name's beginning, not through it
                "shrinkA": 1,
                "shrinkB": 4,
            },
            annotation_clip=False,
        )
    axes.set_ylim(low, high)


def improvements(
    rows: pd.DataFrame, base: pd.DataFrame, column: str, targets: Sequence[str]
) -> pd.DataFrame:
    """Mean improvement over a baseline of the same target and seed, for each value of a setting.

    Args:
        rows: Columns `column`, target, seed, accuracy (percent).
        base: Columns target, seed, accuracy: the baseline's.
        column: The setting's column.
        targets: The targets, in order.

    Returns:
        Columns `column`, target, improvement (percentage points, mean over seeds), standard_error;
        for every value one row a target and one `mean` over targets.
    """
    rows = rows[[column, "target", "seed", "accuracy"]].merge(
        base[["target", "seed", "accuracy"]], on=["target", "seed"], suffixes=("", "_base")
    )
    rows["improvement"] = rows["accuracy"] - rows["accuracy_base"]
    mean = rows.groupby([column, "seed"])["improvement"].mean().reset_index()
    groups = pd.concat([rows, mean.assign(target="mean")])
    groups = groups.groupby([column, "target"])["improvement"]
    table = groups.agg(improvement="mean", standard_error="sem").reset_index()
    order = {target: position for position, target in enumerate([*targets, "mean"])}
    table["order"] = table["target"].map(order)
    return table.sort_values([column, "order"], ignore_index=True).drop(columns="order")
