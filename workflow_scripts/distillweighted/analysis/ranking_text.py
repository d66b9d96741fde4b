"""A ranking in words: the sentences that a person reads first, and the tables below them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from distillweighted.analysis.printed import markdown_escape

SHOWN = 50
"""How many sources the table for people has at most; the CSV file has all."""

Interval = tuple[float, float, float]
"""A number with the ends of its interval."""


def ranking_page(
    rows: pd.DataFrame,
    metrics: pd.DataFrame,
    *,
    title: str,
    sentences: Sequence[str],
    shares: Mapping[str, float],
    probes: Mapping[str, Interval],
    above_start: Mapping[str, Interval] | None,
) -> str:
    """A ranking as Markdown.

    Args:
        rows: The ranking's rows of the metric that selects sources, by rank.
        metrics: Columns metric, representation, source, score, low, high, shuffled, shuffled_sd.
        title: Its heading.
        sentences: What it says, in words.
        shares: For each source, in how many half-samples it is the nearest one, 0 to 1.
        probes: For each source, the linear probe's accuracy with its interval, in percent.
        above_start: For each source, the accuracy of its linear probe above that on the student's
            start, in points; None where it starts from no model.
    """
    lines = [f"# {markdown_escape(title)}", "", *(markdown_escape(text) for text in sentences), ""]
    heads = ["rank", "source", "similarity", "95% interval", "nearest in", "linear probe"]
    heads += [] if above_start is None else ["above the start"]
    heads += ["nearest neighbour", "GMACs", "parameters"]
    lines += _head(heads, ["rank", *heads[2:]])
    for row in rows.head(SHOWN).itertuples():
        accuracy, low, high = probes[row.source]
        cells = [
            str(row.rank),
            markdown_escape(row.source),
            f"{row.score:.3f}",
            _range(row),
            "" if pd.isna(shares[row.source]) else f"{shares[row.source]:.0%}",
            f"{accuracy:.1f} ({low:.1f} to {high:.1f})",
        ]
        if above_start is not None:
            cells.append("{:+.1f} ({:+.1f} to {:+.1f})".format(*above_start[row.source]))
        cells += [
            f"{row.knn:.1f}",
            "" if pd.isna(row.gmacs) else f"{row.gmacs:.3g}",
            "" if pd.isna(row.parameters) else f"{row.parameters / 1e6:.3g} M",
        ]
        lines.append(_line(cells))
    if len(rows) > SHOWN:
        lines += ["", f"({SHOWN} of {len(rows)} sources; the CSV file has all.)"]
    heads = ["metric", "of", "nearest source", "similarity", "95% interval", "with shuffled labels"]
    lines += ["", "The nearest source by every metric:", "", *_head(heads, heads[3:])]
    for row in metrics.itertuples():
        cells = [row.metric, row.representation.replace("_", " "), markdown_escape(row.source)]
        cells += [f"{row.score:.3f}", _range(row), f"{row.shuffled:.3f} ± {row.shuffled_sd:.3f}"]
        lines.append(_line(cells))
    return "\n".join(lines) + "\n"


def _range(row) -> str:
    return "" if pd.isna(row.low) else f"{row.low:.3f} to {row.high:.3f}"


def _head(heads: Sequence[str], numbers: Sequence[str]) -> list[str]:
    return [_line(heads), _line(["---:" if head in numbers else ":---" for head in heads])]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
