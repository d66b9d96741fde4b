"""One style for all figures: sizes in print, colours, markers, names, and how a file is saved.

Figures are made at the size they are printed at (a column or a page of a two-column paper), so
the font sizes below are what a reader sees. No global state of matplotlib is touched.
"""

import functools
import math
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from distillweighted.methods import METHODS

COLUMN_WIDTH = 3.4  # inches: one column
PAGE_WIDTH = 7.0  # inches: both columns

_STYLE = {
    "font.family": "DejaVu Sans",  # bundled with matplotlib: the same figure everywhere
    "font.size": 7.5,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.linewidth": 0.4,
    "grid.color": "0.88",
    "lines.linewidth": 1.0,
    "errorbar.capsize": 0,
    "text.parse_math": False,  # a `$` in a name is a dollar sign
    "pdf.fonttype": 42,  # TrueType: text stays text, as publishers ask
    "savefig.dpi": 200,
}

# Okabe and Ito's palette, which colour-blind readers can tell apart.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
GREY = "0.45"
# Its yellow is too pale for a line on white, and black stands for means and baselines.
CATEGORIES = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, "#882255", "#8C8C8C")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h")


def styled(function: Callable[..., Figure]) -> Callable[..., Figure]:
    """Runs a figure function in this project's style."""

    @functools.wraps(function)
    def with_style(*args: object, **kwargs: object) -> Figure:
        with matplotlib.rc_context({**matplotlib.rcParamsDefault, **_STYLE}):
            return function(*args, **kwargs)

    return with_style


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of `width` x `height` inches that fits its axes to their labels."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, stem: str | Path) -> tuple[Path, Path]:
    """Writes `stem`.png (200 dpi) and `stem`.pdf; the same figure gives the same bytes.

    Args:
        figure: What a function of `distillweighted.figures` returns.
        stem: The path without an ending. Missing folders are made.

    Returns:
        The two paths.
    """
    stem = Path(stem)
    stem.parent.mkdir(parents=True, exist_ok=True)
    # with_suffix would cut a name at its last dot.
    png, pdf = (stem.with_name(stem.name + ending) for ending in (".png", ".pdf"))
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **_STYLE}):
        figure.savefig(png)
        figure.savefig(pdf, metadata={"CreationDate": None, "ModDate": None})
    return png, pdf


def display_name(name: object) -> str:
    """A target's, source's or architecture's name for a reader: blanks for underscores.

    Control characters, line breaks among them, are shown as Python writes them.
    """
    text = str(name).replace("_", " ")
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return "".join(shown)


def wrapped_name(name: object, width: int) -> str:
    """`display_name` broken into lines of at most `width` characters."""
    return "\n".join(textwrap.wrap(display_name(name), width, break_on_hyphens=False))


def method_label(method: str) -> str:
    """The paper's name of a method, or the readable name of one that the paper lacks."""
    return METHODS[method].label if method in METHODS else display_name(method)


def p_label(p: float) -> str:
    """12.0 as 12, inf as the sign for infinity."""
    return "∞" if p == float("inf") else f"{p:g}"


def signed(value: float) -> str:
    """A correlation with two decimals and a proper minus sign, never "−0.00"; NaN is a dash."""
    if math.isnan(value):
        return "–"
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def spread(values: Iterable[float], gap: float) -> list[float]:
    """Moves numbers apart to at least `gap`, keeping their order and centre as far as possible.

    Args:
        values: Positions of labels along one axis.
        gap: The least distance between two labels.

    Returns:
        The new positions, in the order of `values`.
    """
    values = list(values)
    order = sorted(range(len(values)), key=lambda i: values[i])
    # Labels that would touch form a block around the mean of where they want to be.
    blocks: list[list[int]] = []

    def start(block: list[int]) -> float:
        return sum(values[i] for i in block) / len(block) - gap * (len(block) - 1) / 2

    for index in order:
        blocks.append([index])
        while len(blocks) > 1:
            below, above = blocks[-2:]
            if start(below) + gap * len(below) <= start(above):
                break
            blocks[-2:] = [below + above]
    moved = [0.0] * len(values)
    for block in blocks:
        for position, index in enumerate(block):
            moved[index] = start(block) + gap * position
    return moved
