"""Methods by mean rank over targets, bars joining those that tests do not tell apart."""

from __future__ import annotations

from matplotlib.figure import Figure

from distillweighted.analysis.figures import style
from distillweighted.analysis.ranks import LEVEL, MeanRanks, fewest_targets

_OURS = ("distill_nearest", "distill_weighted")


@style.styled
def critical_difference(ranking: MeanRanks) -> Figure:
    """One row a method, its mean rank over the targets as a dot (1 is the best, on the left).

    To the right, a bar for every set of methods of which no pair is told apart, with a dot at each
    of its methods (Demsar, JMLR 2006, with pairwise tests). Where the targets are too few for any
    pair to be told apart there is no bar, and the figure says so.

    Args:
        ranking: What `ranks.mean_ranks` returns.

    Returns:
        The figure, one column wide, or for many methods two.

    Raises:
        ValueError: There is nothing to draw.
    """
    names = list(ranking.ranks)
    if len(names) < 2:
        raise ValueError("Critical differences: there are no two methods to compare")
    many = len(names) > 10
    width = style.PAGE_WIDTH if many else style.COLUMN_WIDTH
    figure = style.new_figure(width, 1.05 + 0.2 * len(names))
    axes = figure.add_subplot()
    for row, name in enumerate(names):
        colour = style.VERMILION if name in _OURS else style.BLUE
        colour = style.BLACK if name == "in_transfer" else colour
        rank = ranking.ranks[name]
        axes.plot(rank, row, "o", color=colour, markersize=5, zorder=3)
        axes.annotate(
            f"{rank:.2f}",
            (rank, row),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color=colour,
        )
    for number, group in enumerate(ranking.groups):
        rows = [names.index(name) for name in group]
        x = 1.03 + (0.02 if many else 0.035) * number
        axes.plot(
            [x] * len(rows),
            rows,
            "-o",
            color=style.GREY,
            linewidth=2,
            markersize=3.5,
            transform=axes.get_yaxis_transform(),
            clip_on=False,
            gid="group",
        )
    axes.set_yticks(range(len(names)), [style.method_label(name) for name in names])
    axes.invert_yaxis()
    # Room for the number beside the last dot.
    axes.set_xlim(0.8, len(names) + 0.9)
    axes.set_xticks(range(1, len(names) + 1))
    axes.grid(axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("\n".join([f"Mean rank over {ranking.n_targets} targets", *_note(ranking)]))
    return figure


def _note(ranking: MeanRanks) -> list[str]:
    pairs = len(ranking.p_holm)
    if not ranking.can_tell:
        return [
            "Too few to tell any pair apart at 5%:",
            f"Wilcoxon, Holm for {pairs} pairs: p ≥ {ranking.least_p:.2g};",
            f"it takes {fewest_targets(pairs)} targets or more",
        ]
    if not ranking.groups:
        return [f"every pair is told apart (Wilcoxon, Holm, {LEVEL:.0%})"]
    return ["Bars: methods not told apart", f"(Wilcoxon, Holm for {pairs} pairs, {LEVEL:.0%})"]
