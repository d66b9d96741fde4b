"""The figures of a student's card and page."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from distillweighted.analysis.figures import style
from distillweighted.analysis.intervals import wilson_interval
from distillweighted.deployment.evaluation import Evaluation

MOST_NAMED, MOST_COUNTED = 40, 16
"""Classes up to which a confusion matrix names them, and writes its counts."""


@style.styled
def draw_comparison(table: pd.DataFrame, reference: str | None) -> Figure:
    """Accuracy of every method, and its paired difference to the reference, with intervals.

    Args:
        table: What `comparison.compare` returns.
        reference: The method that the others are compared with; None draws accuracies alone.
    """
    rows = len(table)
    figure = style.new_figure(style.PAGE_WIDTH, 0.75 + 0.27 * rows)
    paired = reference is not None and rows > 1
    panels = figure.subplots(1, 2 if paired else 1, sharey=True, squeeze=False)[0]
    heights = np.arange(rows)[::-1]
    colours = [_colour(row, reference) for row in table.itertuples()]
    for height, row, colour in zip(heights, table.itertuples(), colours, strict=True):
        _interval(panels[0], height, row.accuracy, row.low, row.high, colour, row.deployed)
        if paired and not np.isnan(row.difference):
            _interval(
                panels[1], height, row.difference, row.difference_low, row.difference_high,
                colour, row.deployed,
            )  # fmt: skip
    panels[0].set_yticks(heights, [style.wrapped_name(label, 34) for label in table["label"]])
    panels[0].set_ylim(-0.6, rows - 0.4)
    panels[0].set_xlabel("Accuracy on the test part (%)")
    panels[0].grid(axis="x")
    for label, deployed in zip(panels[0].get_yticklabels(), table["deployed"], strict=True):
        label.set_fontweight("bold" if deployed else "normal")
    if paired:
        name = table.loc[table["method"] == reference, "label"].iloc[0]
        for panel in panels:
            panel.xaxis.set_major_locator(MaxNLocator(6))
        panels[1].axvline(0, color=style.GREY, linewidth=0.8)
        panels[1].set_xlabel(f"Difference to {style.display_name(name)} (points)")
        panels[1].grid(axis="x")
        panels[1].tick_params(axis="y", length=0)
    return figure


def _interval(axes, height, value, low, high, colour, deployed) -> None:
    axes.plot([low, high], [height, height], color=colour, linewidth=1.6, solid_capstyle="butt")
    axes.plot(
        [value], [height], marker="o", color=colour, markersize=5.5,
        markerfacecolor=colour if deployed else "white", markeredgewidth=1.2,
    )  # fmt: skip


def _colour(row, reference: str | None) -> str:
    if row.method == reference:
        return style.BLACK
    return style.BLUE if row.distils else style.VERMILION


@style.styled
def draw_confusion(evaluation: Evaluation) -> Figure:
    """The confusion matrix: of the images of each class, the share taken for each."""
    counts = evaluation.confusion
    classes = len(counts)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(100 * counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    side = float(np.clip(1.6 + 0.22 * classes, 3.0, style.PAGE_WIDTH))
    figure = style.new_figure(side + 0.5, side)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100, interpolation="nearest")
    bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.02)
    bar.set_label("Share of the class's images (%)")
    bar.outline.set_visible(False)
    if classes <= MOST_NAMED:
        names = [_short(name) for name in evaluation.classes]
        size = 7 if classes <= 25 else 5.5
        axes.set_xticks(range(classes), names, rotation=90, fontsize=size)
        axes.set_yticks(range(classes), names, fontsize=size)
    else:
        axes.set_xticks([])
        axes.set_yticks([])
    axes.tick_params(length=0)
    if classes <= MOST_COUNTED:
        for i, j in zip(*np.nonzero(counts), strict=True):
            colour = "white" if shares[i, j] > 55 else "black"
            axes.text(j, i, str(counts[i, j]), ha="center", va="center", color=colour, fontsize=6.5)
    axes.set_xlabel("What the student says")
    axes.set_ylabel("What it is")
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color("0.8")
    return figure


def _short(name: str, longest: int = 24) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


@style.styled
def draw_reliability(evaluation: Evaluation) -> Figure:
    """Accuracy by confidence with 95 % intervals, and how many images are where."""
    figure = style.new_figure(style.COLUMN_WIDTH, 3.5)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    bins = evaluation.bins
    width = 100 / len(bins)
    middles = width * (np.arange(len(bins)) + 0.5)
    axes.plot(
        [0, 100], [0, 100], color=style.GREY, linewidth=0.8, linestyle="--", label="calibrated"
    )
    for count, confidence, accuracy in bins[bins[:, 0] > 0]:
        ends = wilson_interval(round(accuracy * count), int(count))
        axes.plot([100 * confidence] * 2, [100 * end for end in ends], color=style.BLUE)
        axes.plot([100 * confidence], [100 * accuracy], color=style.BLUE, marker="o", markersize=4)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    axes.set_ylabel("Accuracy (%)")
    axes.grid()
    # Where it is in the way of no bin: overconfident models lie below the line, others above.
    axes.legend(loc="best")
    below.bar(middles, bins[:, 0], width=0.9 * width, color=style.SKY)
    below.set_xlabel("Confidence (%)")
    below.set_ylabel("Images")
    below.grid(axis="y")
    figure.align_ylabels()
    return figure
