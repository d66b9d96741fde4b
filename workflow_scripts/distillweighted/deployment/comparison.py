"""The comparison that a user needs: every method on the same test images, against transfer.

A method's students of several seeds count as one: an image is right for it to the share of seeds
that get it right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from distillweighted.analysis.intervals import (
    bootstrap_interval,
    exact_mcnemar,
    wilson_interval,
)
from distillweighted.deployment.wording import against_forecast

COLUMNS = [
    *("method", "label", "network", "accuracy", "low", "high", "difference"),
    *("difference_low", "difference_high", "wins", "losses", "p_mcnemar", "seeds", "sd_seeds"),
    *("gmacs", "parameters", "train_seconds", "distils", "deployed"),
]
"""Columns of the comparison. Accuracies and differences are percent and points; the intervals have
95 %; wins and losses count images that this method gets right more often, or less, than the
reference; p_mcnemar is NaN where there are several seeds, sd_seeds where there is one."""

LEVEL = 0.95


@dataclass(frozen=True)
class Answers:
    """What a method says of the test images, and what it costs."""

    method: str
    """Its name."""

    label: str
    """Its name for a reader."""

    network: str
    """The network that has to be deployed."""

    right: np.ndarray
    """float64 [seeds, n]: 1 where a seed's student gets the image right."""

    gmacs: float
    """10^9 multiply-accumulates for one image; NaN if unknown."""

    parameters: float
    """Parameters of the network; NaN if unknown."""

    train_seconds: float
    """Seconds that training one student took; NaN where nothing is trained but a linear map."""

    distils: bool
    """Whether it distils."""


def compare(
    answers: Sequence[Answers], reference: str | None, deployed: str | None, *, draws: int
) -> pd.DataFrame:
    """The comparison, one row a method, in the order given.

    Args:
        answers: The methods, all of the same n test images.
        reference: The method that the others are compared with; None for none.
        deployed: The method whose student is handed over; None for none of them.
        draws: Bootstrap samples of the intervals.

    Returns:
        `COLUMNS`.
    """
    base = next((a.right.mean(axis=0) for a in answers if a.method == reference), None)
    rows = []
    for answer in answers:
        right = answer.right.mean(axis=0)
        seeds, images = answer.right.shape
        if seeds == 1:
            low, high = wilson_interval(int(right.sum()), images)
        else:
            low, high = bootstrap_interval(right, draws=draws, seed=0)
        by_seed = answer.right.mean(axis=1)
        row = {
            "method": answer.method,
            "label": answer.label,
            "network": answer.network,
            "accuracy": 100 * right.mean(),
            "low": 100 * low,
            "high": 100 * high,
            "seeds": seeds,
            "sd_seeds": 100 * by_seed.std(ddof=1) if seeds > 1 else np.nan,
            "gmacs": answer.gmacs,
            "parameters": answer.parameters,
            "train_seconds": answer.train_seconds,
            "distils": answer.distils,
            "deployed": answer.method == deployed,
        }
        if base is not None and answer.method != reference:
            row |= _paired(right - base, LEVEL, draws=draws, single=seeds == 1)
        rows.append(row)
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.astype({"wins": "Int64", "losses": "Int64"})


def _paired(
    differences: np.ndarray, level: float, *, draws: int, single: bool
) -> dict[str, float | int]:
    low, high = bootstrap_interval(differences, draws=draws, seed=0, level=level)
    wins, losses = int((differences > 1e-9).sum()), int((differences < -1e-9).sum())
    return {
        "difference": 100 * differences.mean(),
        "difference_low": 100 * low,
        "difference_high": 100 * high,
        "wins": wins,
        "losses": losses,
        "p_mcnemar": exact_mcnemar(wins, losses) if single else np.nan,
    }


def clearly_better(
    answers: Sequence[Answers], reference: str | None, *, draws: int
) -> dict[str, float]:
    """The methods that are better than the reference whatever the number of looks.

    Of m other methods, each interval has 1 - 0.05 / m (Bonferroni): that of the best of many on one
    test part would lie above 0 by chance too often.

    Returns:
        The difference in points by method, those whose interval lies above 0, best first.
    """
    base = next((a.right.mean(axis=0) for a in answers if a.method == reference), None)
    others = [a for a in answers if a.method != reference]
    if base is None or not others:
        return {}
    level = 1 - (1 - LEVEL) / len(others)
    found = {}
    for answer in others:
        differences = answer.right.mean(axis=0) - base
        if bootstrap_interval(differences, draws=draws, seed=0, level=level)[0] > 0:
            found[answer.method] = 100 * float(differences.mean())
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def verdict(
    table: pd.DataFrame,
    better: dict[str, float],
    reference: str | None,
    rivals: Mapping[str, float] | None = None,
    *,
    chosen: bool = False,
    forecast: str | None = None,
) -> str:
    """Whether distillation helped, and what did, in plain sentences.

    Args:
        table: What `compare` returns.
        better: What `clearly_better` returns.
        reference: The method that all are compared with.
        rivals: What `clearly_better` returns of the student that is handed over.
        chosen: Whether validation images chose that student.
        forecast: What the ranking of the sources said of distillation before: likely, unclear or
            unlikely; None for nothing.
    """
    rows = table.set_index("method")
    distilled = table[table["distils"]]
    if reference is None or reference not in rows.index:
        return (
            "Whether distillation helped cannot be said: transfer from the same start was not "
            "trained (baselines.in_transfer)."
        )
    if distilled.empty:
        return "Nothing was distilled: no distillation method is switched on."
    # The one that was chosen beforehand, not the best of them on the test part.
    handed = distilled[distilled["deployed"]]
    weighted = distilled[distilled["method"] == "distill_weighted"]
    main = next(part for part in (handed, weighted, distilled) if len(part)).iloc[0]
    base = rows.loc[reference]
    size = f"{abs(main['difference']):.1f} points"
    ends = [_signed(main[f"difference_{end}"]) for end in ("low", "high")]
    interval = f"95 % interval {' to '.join(ends)}"
    which = "better" if main["difference"] > 0 else "worse"
    compared = " and ".join(
        f"{row['label']} {verb}{row['accuracy']:.1f} %"
        for row, verb in ((main, "reaches "), (base, ""))
    )
    if main["seeds"] > 1:
        compared += f", in the mean of {main['seeds']} seeds"
    if main["difference_low"] > 0:
        first = f"Distillation helped: {compared}: it is {size} better ({interval})."
    elif main["difference_high"] < 0:
        first = (
            f"Distillation did not help, it harmed: {compared}: it is {size} worse ({interval})."
        )
    elif abs(main["difference"]) < 0.05:
        first = f"Distillation did not clearly help: {compared}, which is level ({interval})."
    else:
        first = (
            f"Distillation did not clearly help: {compared}: it is {size} {which}, which this "
            f"test part cannot tell from no difference ({interval})."
        )
    ends = main["difference_low"], main["difference_high"]
    told = [
        first,
        *against_forecast(forecast, *ends),
        *_what_did(rows, better, main),
        *_rivals(rows, rivals or {}, chosen),
    ]
    return " ".join([*told, *_probe(rows, main)])


def _rivals(rows: pd.DataFrame, rivals: Mapping[str, float], chosen: bool) -> list[str]:
    students = {method: by for method, by in rivals.items() if method != "linear_probe"}
    if not students:
        return []
    named = [f"{rows.loc[m, 'label']} ({_signed(by)})" for m, by in students.items()]
    said = f"Clearly better than the student that is handed over: {', '.join(named)}."
    if chosen:
        return [f"{said} Validation images chose that student, and are few enough to err."]
    return [
        f"{said} To hand over what is best on labelled images that are kept for it, set "
        "student.deploy: auto and choice."
    ]


def _what_did(rows: pd.DataFrame, better: dict[str, float], main: pd.Series) -> list[str]:
    own = main["method"] in better
    others = {m: by for m, by in better.items() if m not in (main["method"], "linear_probe")}
    compared = len(rows) - 1
    if not others:
        return [] if compared < 2 else [
            f"No {'other ' if own else ''}student was clearly better than transfer, of {compared} "
            "methods compared."
        ]  # fmt: skip
    named = [
        f"{rows.loc[m, 'label']} ({_signed(by)}{_cost(rows.loc[m], main)})"
        for m, by in others.items()
    ]
    what = "Also clearly better than transfer" if own else "What did help"
    return [f"{what}, allowing for the {compared} methods compared: {', '.join(named)}."]


def _probe(rows: pd.DataFrame, main: pd.Series) -> list[str]:
    if "linear_probe" not in rows.index:
        return []
    probe = rows.loc["linear_probe"]
    return [f"{probe['label']} itself reaches {probe['accuracy']:.1f} %{_cost(probe, main)}."]


def _cost(row: pd.Series, main: pd.Series) -> str:
    """What a method of another network costs to use, by what the student costs."""
    ratio = row["gmacs"] / main["gmacs"]
    if row["network"] == main["network"] or not np.isfinite(ratio):
        return ""
    return f", at {_times(ratio)} the multiply-accumulates"


def _times(ratio: float) -> str:
    return f"{ratio:.0f} times" if ratio >= 9.5 else f"{ratio:.1f} times"


def _signed(points: float) -> str:
    return f"{round(points, 1) + 0.0:+.1f}".replace("-", "−")


def what_intervals_cover(table: pd.DataFrame, images: int) -> str:
    """What the intervals of a comparison are about, in words."""
    seeds = int(table["seeds"].max())
    trained = (
        "not another training: one seed was trained"
        if seeds == 1
        else f"not another training: {seeds} seeds, of which the first is handed over, are "
        "averaged for each image first"
    )
    return (
        f"Accuracies in percent of {images} test images; differences, in points, are paired with "
        "transfer from the same start, image by image. Intervals have 95 % and cover which images "
        f"happened to be in the test part, {trained}. Cost is of one image."
    )
