"""Numbers and facts of a student in words, for its card and its page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd


def number(value: float | int | None, decimals: int = 1) -> str:
    """A number with a true minus sign; a dash for one that is not there."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{round(value, decimals) + 0.0:,.{decimals}f}".replace("-", "−").replace(",", " ")


def signed(value: float) -> str:
    """A difference, with its sign."""
    return "–" if math.isnan(value) else f"{'+' if round(value, 1) > 0 else ''}{number(value)}"


def count(value: float | None) -> str:
    """A number of parameters: 63.8 k, 11.7 M."""
    if value is None or math.isnan(value):
        return "–"
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value:.0f}"


def macs(gmacs: float | None) -> str:
    """Multiply-accumulates of one image: 1.83 G, 0.42 M."""
    if gmacs is None or math.isnan(gmacs):
        return "–"
    return f"{gmacs:.2f} G" if gmacs >= 0.1 else f"{1000 * gmacs:.2f} M"


def size(bytes_: int) -> str:
    """The size of a file."""
    return f"{bytes_ / 1e6:.1f} MB" if bytes_ >= 1e5 else f"{bytes_ / 1e3:.0f} kB"


def milliseconds(value: float) -> str:
    """A latency, to two digits."""
    return f"{value:.2g} ms" if value < 10 else f"{value:.0f} ms"


def interval(low: float, high: float) -> str:
    """Both ends of an interval."""
    return f"{number(low)} to {number(high)}"


def comparison_rows(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """The comparison as it is shown: a head and rows of cells, the first a name."""
    several = int(table["seeds"].max()) > 1
    head = ["method", "accuracy (%)", "difference (points)", "wins : losses"]
    head += ["sd over seeds"] if several else ["p (McNemar)"]
    head += ["multiply-accumulates", "parameters", "training"]
    rows = []
    for row in table.to_dict("records"):
        difference = wins = "–"
        if not math.isnan(row["difference"]):
            ends = [signed(row[f"difference_{end}"]) for end in ("low", "high")]
            difference = f"{signed(row['difference'])} ({' to '.join(ends)})"
            wins = f"{row['wins']:.0f} : {row['losses']:.0f}"
        seconds = row["train_seconds"]
        rows.append(
            [
                row["label"] + (" (handed over)" if row["deployed"] else ""),
                f"{number(row['accuracy'])} ({interval(row['low'], row['high'])})",
                difference,
                wins,
                number(row["sd_seeds"]) if several else _p_text(row["p_mcnemar"]),
                macs(row["gmacs"]),
                count(row["parameters"]),
                "–" if math.isnan(seconds) else f"{seconds:.3g} s",
            ]
        )
    return head, rows


def _p_text(p: float) -> str:
    if math.isnan(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def against_forecast(forecast: str | None, low: float, high: float) -> list[str]:
    """A sentence where the ranking foretold something else than the test images show; else none.

    Args:
        forecast: likely, unclear or unlikely; None for no forecast.
        low: Lower end of the interval of what distillation gained, in points.
        high: Upper end.
    """
    if forecast == "likely" and low <= 0:
        shown = "show that it does harm" if high < 0 else "do not show that it clearly helps"
        return [
            "The ranking of the sources foretold that it is likely to pay; the test images "
            f"{shown}, and count more than a forecast."
        ]
    if forecast == "unlikely" and low > 0:
        return [
            "The ranking of the sources foretold that it is unlikely to pay; it did, and the test "
            "images count more than a forecast."
        ]
    return []


def counts(metrics: Mapping[str, Any], meta: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How many images of which kind there are, and what was done to them: names and values."""
    rows = [
        ("labelled images", f"{metrics['n_labeled']}"),
        ("unlabelled images", f"{metrics['n_unlabeled']}"),
        ("test images", f"{metrics['n_test']} ({meta.get('split', 'generated')})"),
    ]
    if (found := meta.get("duplicates")) is not None:
        near = "near ones not looked for" if found["near"] is None else f"{found['near']} near"
        text = f"{found['exact']} exact, {near}; {_both_sides(found)}"
        if different := found["different_labels"]:
            text += f"; of their groups, {len(different)} with different labels"
        rows.append(("duplicates", text))
    if (left_out := meta.get("left_out")) is not None:
        names = ", ".join(f"{image} ({reason})" for image, reason in left_out[:10])
        more = f", and {len(left_out) - 10} more" if len(left_out) > 10 else ""
        rows.append(("images left out", f"{len(left_out)}{f': {names}{more}' if names else ''}"))
    return rows


def _both_sides(found: Mapping[str, Any]) -> str:
    if found["kind"] != "allow":
        return "never on both sides of the split"
    seen = found["test_images_in_training"]
    return f"allowed on both sides of the split: {seen} of the test images are training images too"


def caution(meta: Mapping[str, Any]) -> str:
    """That test images were seen in training, and what that makes of the accuracies; "" if not."""
    seen = meta.get("duplicates", {}).get("test_images_in_training", 0)
    if not seen:
        return ""
    which = "1 is a training image too" if seen == 1 else f"{seen} are training images too"
    return (
        f"Of the {meta['test']} test images {which} (duplicates: allow), so that every accuracy "
        "here flatters."
    )
