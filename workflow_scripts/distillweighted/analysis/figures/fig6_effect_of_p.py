"""Fig. 6: the effect of p."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from distillweighted.analysis.figures import style
from distillweighted.analysis.methods_accuracy import (
    check_accuracy,
    nearest_students,
    require_complete,
    student_architecture,
    without_repeated_transfer,
)


@style.styled
def fig6_effect_of_p(table: pd.DataFrame) -> Figure:
    """Fig. 6: improvement over ImageNet transfer for each p, by target and on average.

    The values of p stand at even distances, since 0 and infinity have no place on a number line.

    Args:
        table: What `effect_of_p` returns; the bars of the mean are standard errors
            over seeds.

    Returns:
        The figure, three quarters of a page wide.

    Raises:
        ValueError: There is nothing to draw.
    """
    if table.empty:
        raise ValueError("Fig. 6: no weighted distillation was run")
    ps = sorted(set(table["p"]))
    targets = [target for target in dict.fromkeys(table["target"]) if target != "mean"]
    figure = style.new_figure(0.75 * style.PAGE_WIDTH, max(2.8, 1.2 + 0.2 * len(targets)))
    axes = figure.add_subplot()
    axes.axhline(0, color=style.GREY, linewidth=0.8, linestyle="--", zorder=1)
    ends = []
    for number, target in enumerate(targets):
        rows = table[table["target"] == target].sort_values("p")
        colour = style.CATEGORIES[number % len(style.CATEGORIES)]
        axes.plot(
            [ps.index(p) for p in rows["p"]],
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
    mean = table[table["target"] == "mean"].sort_values("p")
    has_error = mean["standard_error"].notna().all()
    axes.errorbar(
        [ps.index(p) for p in mean["p"]],
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
    axes.set_xticks(range(len(ps)), [style.p_label(p) for p in ps])
    names = {0.0: "\n(Equal)", float("inf"): "\n(Nearest)"}
    axes.set_xticklabels([style.p_label(p) + names.get(p, "") for p in ps])
    axes.set_xlabel("Power p of the similarity in the weights")
    axes.set_ylabel("Improvement over IN+Transfer\n(percentage points)")
    axes.margins(x=0.04, y=0.08)
    axes.grid(axis="y")
    _label_ends(figure, ends, len(ps) - 1)
    return figure


def _label_ends(figure: Figure, ends: list[tuple[float, str, str]], last: int) -> None:
    """Writes each line's name right of its last point, with the names moved apart."""
    axes = figure.axes[0]
    figure.draw_without_rendering()
    low, high = axes.get_ylim()
    per_point = (high - low) / (axes.get_window_extent().height / figure.dpi * 72)
    lines = max(label.count("\n") + 1 for _, label, _ in ends)
    heights = style.spread([value for value, _, _ in ends], 9 * lines * per_point)
    for (value, label, colour), height in zip(ends, heights, strict=True):
        is_mean = label == "Mean" and colour == "black"
        axes.annotate(
            label,
            (last, value),
            xytext=(1.03, height),
            textcoords=axes.get_yaxis_transform(),
            va="center",
            color="black",
            fontweight="bold" if is_mean else "normal",
            fontsize=7,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 1.0,
                "shrinkA": 1,
                "shrinkB": 4,
            },
            annotation_clip=False,
        )
    axes.set_ylim(low, high)


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
    rows = rows[["p", "target", "seed", "accuracy"]].merge(
        base[["target", "seed", "accuracy"]], on=["target", "seed"], suffixes=("", "_base")
    )
    rows["improvement"] = rows["accuracy"] - rows["accuracy_base"]
    mean = rows.groupby(["p", "seed"])["improvement"].mean().reset_index().assign(target="mean")
    groups = pd.concat([rows, mean]).groupby(["p", "target"])["improvement"]
    table = groups.agg(improvement="mean", standard_error="sem").reset_index()
    order = {target: position for position, target in enumerate([*targets, "mean"])}
    table["order"] = table["target"].map(order)
    return table.sort_values(["p", "order"], ignore_index=True).drop(columns="order")
