"""A ranking in words: the sentence that a person reads first, and the table below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

SHOWN = 50
"""How many sources the table for people has at most; the CSV file has all."""


def ranking_page(
    rows: pd.DataFrame,
    *,
    title: str,
    sentences: Sequence[str],
    shares: Mapping[str, float],
    probes: Mapping[str, tuple[float, float, float]],
) -> str:
    """A ranking as Markdown.

    Args:
        rows: The ranking's rows of the metric that selects sources, by rank.
        title: Its heading.
        sentences: What it says, in words.
        shares: For each source, in how many half-samples it is the nearest one, 0 to 1.
        probes: For each source, the linear probe's accuracy with its interval, in percent.
    """
    lines = [f"# {title}", "", " ".join(sentences), ""]
    heads = ["rank", "source", "similarity", "95% interval", "nearest in", "linear probe"]
    heads += ["nearest neighbour", "GMACs", "parameters"]
    lines += [
        "| " + " | ".join(heads) + " |",
        "|" + " ---: | :--- |" + " ---: |" * (len(heads) - 2),
    ]
    for row in rows.head(SHOWN).itertuples():
        accuracy, low, high = probes[row.source]
        cells = [
            str(row.rank),
            row.source.replace("|", "\\|"),
            f"{row.score:.3f}",
            "" if pd.isna(row.low) else f"{row.low:.3f} to {row.high:.3f}",
            "" if pd.isna(shares[row.source]) else f"{shares[row.source]:.0%}",
            f"{accuracy:.1f} ({low:.1f} to {high:.1f})",
            f"{row.knn:.1f}",
            "" if pd.isna(row.gmacs) else f"{row.gmacs:.3g}",
            "" if pd.isna(row.parameters) else f"{row.parameters / 1e6:.3g} M",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    if len(rows) > SHOWN:
        lines += ["", f"({SHOWN} of {len(rows)} sources; the CSV file has all.)"]
    return "\n".join(lines) + "\n"
