"""The ranking of a target's sources as a figure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from distillweighted.analysis.figures.style import (
    BLUE,
    GREY,
    ORANGE,
    PAGE_WIDTH,
    VERMILION,
    display_name,
    new_figure,
    styled,
)

SHOWN = 30
"""How many sources the figure shows at most."""


@styled
def ranking_figure(
    rows: pd.DataFrame,
    *,
    target: str,
    metric: str,
    probes: Mapping[str, tuple[float, float, float]],
    constant: float,
    start: tuple[float, float, float] | None,
    shuffled: tuple[float, float],
) -> Figure:
    """Draw the sources of a target, the nearest one on top: similarity, and what features tell.

    Args:
        rows: The ranking's rows of one metric and representation, by rank.
        target: Name of the target.
        metric: What the similarity is, for its axis.
        probes: For each source, the linear probe's accuracy with its interval, in percent.
        constant: Accuracy of a constant answer, in percent.
        start: As `probes`, of the student's start; None without one.
        shuffled: Mean and standard deviation of a score where the labels are shuffled.
    """
    shown = rows.head(SHOWN)
    heights = np.arange(len(shown))[::-1]
    figure = new_figure(PAGE_WIDTH, 1.2 + 0.18 * max(len(shown), 2))
    left, right = figure.subplots(1, 2, sharey=True)
    low, high = (shown["score"] - shown["low"]).abs(), (shown["high"] - shown["score"]).abs()
    left.errorbar(
        shown["score"], heights, xerr=[low.fillna(0), high.fillna(0)], fmt="o", ms=3.5, color=BLUE
    )
    middle, spread = shuffled
    left.axvspan(middle - 2 * spread, middle + 2 * spread, color="0.85", lw=0)
    left.set_yticks(heights, [_short(name) for name in shown["source"]])
    left.set_ylim(-0.6, len(shown) - 0.4)
    left.set_xlabel(f"similarity: {metric}")
    accuracy = np.array([probes[name] for name in shown["source"]])
    reach = np.abs(accuracy[:, 1:] - accuracy[:, :1]).T
    bars = {"fmt": "o", "ms": 3.5, "color": BLUE, "label": "linear probe"}
    # Side by side: the two are often equally accurate.
    right.errorbar(accuracy[:, 0], heights + 0.12, xerr=reach, **bars)
    neighbour = {"ms": 3, "color": ORANGE, "label": "nearest neighbour"}
    right.plot(shown["knn"], heights - 0.18, "s", **neighbour)
    right.axvline(constant, color=GREY, lw=0.8, ls=":", label="constant answer")
    if start is not None:
        label = "linear probe on the student's start"
        right.axvspan(*start[1:], color=VERMILION, alpha=0.12, lw=0)
        right.axvline(start[0], color=VERMILION, lw=0.8, ls="--", label=label)
    right.set_xlabel("accuracy (%), cross-validated")
    for axes in (left, right):
        axes.grid(axis="x")
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        axes.tick_params(axis="y", length=0)
    by_label = dict(zip(*reversed(right.get_legend_handles_labels()), strict=True))
    # The bars of the sources come first, then what they are compared with.
    handles = {"linear probe": by_label.pop("linear probe"), **by_label}
    handles["similarity with shuffled labels"] = Patch(color="0.85", lw=0)
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=3)
    title = f"{display_name(target)}: "
    if len(rows) > len(shown):
        title += f"the {len(shown)} nearest of {len(rows)} sources"
    else:
        title += f"{len(rows)} source{'s' if len(rows) > 1 else ''}"
    figure.suptitle(f"{title}, with 95% intervals", fontsize=8.5)
    return figure


def _short(name: str) -> str:
    """A source's name, cut in its middle where it is long."""
    text = display_name(name)
    return text if len(text) <= 38 else f"{text[:24]}…{text[-13:]}"
