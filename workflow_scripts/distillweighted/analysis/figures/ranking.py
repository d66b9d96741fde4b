"""The ranking of a target's sources as a figure."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

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
    rows: pd.DataFrame, *, target: str, metric: str, chance: float, start: float | None
) -> Figure:
    """Draw the sources of a target, the nearest one on top: similarity, and what features tell.

    Args:
        rows: The ranking's rows of one metric and representation, by rank.
        target: Name of the target.
        metric: What the similarity is, for its axis.
        chance: Accuracy of a constant answer, in percent.
        start: Accuracy of a linear probe on the student's start, in percent; None without one.
    """
    shown = rows.head(SHOWN)
    heights = np.arange(len(shown))[::-1]
    figure = new_figure(PAGE_WIDTH, 1.15 + 0.17 * len(shown))
    left, right = figure.subplots(1, 2, sharey=True)
    low, high = (shown["score"] - shown["low"]).abs(), (shown["high"] - shown["score"]).abs()
    left.errorbar(
        shown["score"], heights, xerr=[low.fillna(0), high.fillna(0)], fmt="o", ms=3.5, color=BLUE
    )
    left.axvline(0, color=GREY, lw=0.6)
    left.set_yticks(heights, [_short(name) for name in shown["source"]])
    left.set_xlabel(f"similarity: {metric}, with 95% interval")
    right.plot(shown["linear_probe"], heights, "o", ms=3.5, color=BLUE, label="linear probe")
    right.plot(shown["knn"], heights, "s", ms=3, color=ORANGE, label="nearest neighbour")
    right.axvline(chance, color=GREY, lw=0.8, ls=":", label="constant answer")
    if start is not None:
        label = "linear probe on the student's start"
        right.axvline(start, color=VERMILION, lw=0.8, ls="--", label=label)
    right.set_xlabel("accuracy on labelled images, cross-validated (%)")
    for axes in (left, right):
        axes.grid(axis="x")
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    title = f"{display_name(target)}: "
    count = f"{len(shown)} nearest of {len(rows)}" if len(rows) > len(shown) else f"{len(rows)}"
    figure.suptitle(f"{title}{count} sources", fontsize=8.5)
    return figure


def _short(name: str) -> str:
    """A source's name, cut in its middle where it is long."""
    text = display_name(name)
    return text if len(text) <= 38 else f"{text[:24]}…{text[-13:]}"
