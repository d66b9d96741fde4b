"""What a run says, in sentences: which method is best, and which differences are more than luck."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping, Sequence

import pandas as pd

from distillweighted.analysis.methods_accuracy import student_architecture
from distillweighted.analysis.paired_tests import least_holm_p
from distillweighted.methods import METHODS, is_control

LEVEL = 0.05
"""A Holm-adjusted p above it does not tell two methods apart."""

FEWEST_TARGETS = 6
"""With fewer targets no sign-flip test reaches 5%, not even one alone: 2^(1 - 5) = 0.0625."""


def answer(table1: pd.DataFrame, paired: pd.DataFrame | None) -> list[str]:
    """The sentences that a person reads first.

    Args:
        table1: The means of `table1.table1_accuracy`.
        paired: The first table of `paired.table1_paired`; None where there is no reference.

    Returns:
        Which of the student's methods is best on average; what the run can tell at all; the
        reference against each method, with the half widths and the Holm-adjusted p; what the
        half widths are of. One paragraph each, without markup.

    Raises:
        ValueError: No method of the student has a mean over all targets.
    """
    own = table1[table1["student"] == student_architecture(table1)]
    own = own[own["mean"].notna()].sort_values("mean", ascending=False, kind="stable")
    if paired is not None and not paired.empty:
        # What Table 1 has beyond methods, such as bounds, is not compared with.
        own = own[own["method"].isin({*paired["method"], *paired["reference"]})]
    methods = own[~own["method"].map(is_control).astype(bool)]
    if methods.empty:
        raise ValueError("Table 1 has no method with a mean over all targets")
    means = dict(zip(own["method"], own["mean"], strict=True))
    best = dict(zip(methods["method"], methods["mean"], strict=True))
    sentences = [_best(best, own["student"].iloc[0], len(table1.columns) - 4)]
    if paired is None or paired.empty:
        return [*sentences, "No reference method was run: nothing is compared in pairs."]
    own_rows = ~paired["method"].map(is_control).astype(bool)
    if own_rows.any():
        sentences.append(_strength(paired))
    sentences += [_comparison(row, means) for row in paired.to_dict("records")]
    sentences.append(
        "± are half widths of 95% t-intervals of a mean of paired differences; p is that of the "
        "exact sign-flip test over targets, corrected for the number of comparisons (Holm). Other "
        "seeds are other labelled images, initial heads and batches; the images and the source "
        "models of a run are the same for all its seeds."
    )
    return sentences


def answer_rst(sentences: Sequence[str], figure: bytes, *, shows: str) -> str:
    """The sentences as reStructuredText, comparisons as a list, with a picture below them.

    Args:
        sentences: What `answer` gives.
        figure: A PNG file, which is embedded.
        shows: What the picture shows, for who cannot see it.
    """
    head, listed, tail = sentences[:2], sentences[2:-1], sentences[-1:] if sentences[2:] else []
    blocks = [f"**{_rst(head[0])}**", *map(_rst, head[1:])]
    if listed:
        blocks.append("\n".join(f"- {_rst(sentence)}" for sentence in listed))
    # docutils takes no line of more than 10,000 characters.
    encoded = re.findall(".{1,96}", base64.b64encode(figure).decode())
    lines = [".. image:: data:image/png;base64,", *(f"   {line}" for line in encoded)]
    blocks.append("\n".join([*lines, f"   :alt: {shows}"]))
    return "\n\n".join([*blocks, *map(_rst, tail)]) + "\n"


def method_name(method: str) -> str:
    """A method's name for a reader."""
    return METHODS[method].label if method in METHODS else method.replace("_", " ")


def _best(means: Mapping[str, float], student: str, targets: int) -> str:
    """The two best of the methods, which are given with the best one first."""
    names, shown = list(means), [f"{mean:.1f}%" for mean in means.values()]
    over = f"on average over {targets} targets" if targets > 1 else "on the one target"
    best = f"The most accurate method {over}: {method_name(names[0])}, {shown[0]} of the test "
    best += f"images (student {student})"
    if len(names) > 1:
        place = "is level with it" if shown[1] == shown[0] else f"comes next with {shown[1]}"
        best += f"; {method_name(names[1])} {place}"
    return best + "."


def _strength(paired: pd.DataFrame) -> str:
    """What the number of targets and seeds allows to say."""
    targets, seeds = int(paired["n_targets"].max()), int(paired["n_seeds"].max())
    paired = paired[~paired["method"].map(is_control).astype(bool)]
    rows = len(paired)
    size = f"{_count(seeds, 'seed')} and {_count(targets, 'target')}"
    least = least_holm_p(targets, rows)
    if targets < FEWEST_TARGETS:
        return (
            f"{size[0].upper()}{size[1:]}: an illustration, no evidence. With fewer than "
            f"{FEWEST_TARGETS} targets no test can tell two methods apart at 5%."
        )
    text = ""
    if seeds == 1:
        text = (
            "One seed: what other labelled images and initial weights would give on these targets "
            "is not known, so that this is an illustration, no evidence. "
        )
    if least > LEVEL:
        return (
            f"{text}With {_count(targets, 'target')} and {_count(rows, 'comparison')} the "
            f"smallest Holm-adjusted p that there can be is {_p(least)}: no method can be told "
            "apart at 5% here, whatever the difference."
        )
    apart = int((paired["p_holm"] <= LEVEL).sum())
    told = "none" if not apart else "all" if apart == rows else str(apart)
    return (
        f"{text}Of {_count(rows, 'comparison')} over {_count(targets, 'target')}, {told} "
        f"{'is' if told == '1' else 'are'} told apart at 5%."
    )


def _comparison(row: dict, means: Mapping[str, float]) -> str:
    difference, method = row["mean_difference"], method_name(row["method"])
    if row["method"] in means:
        method += f" ({means[row['method']]:.1f}%)"
    reference, targets = method_name(row["reference"]), int(row["n_targets"])
    shown = f"{abs(difference):.1f}"
    if float(shown) == 0:
        relation = f"is level with {method}, less than 0.05 points apart"
    else:
        points = "point" if shown == "1.0" else "points"
        side = "above" if difference > 0 else "below"
        relation = f"is {shown} {points} {side} {method}"
    details = []
    if not math.isnan(row["half_width_targets"]):
        details.append(f"± {row['half_width_targets']:.1f} for new targets")
    if not math.isnan(row["half_width_seeds"]):
        seeds = _count(int(row["n_seeds"]), "seed")
        details.append(f"± {row['half_width_seeds']:.1f} for these targets, {seeds}")
    details.append(f"better on {int(row['wins'])} of {targets}")
    if row["ties"]:
        details[-1] += f", equal on {int(row['ties'])}"
    verdict = "told apart" if row["p_holm"] <= LEVEL else "not told apart"
    return f"{reference} {relation}: {'; '.join(details)}; Holm p = {_p(row['p_holm'])}: {verdict}."


def _count(number: int, what: str) -> str:
    words = ("no", "one")
    return f"{words[number] if number < 2 else number} {what}{'' if number == 1 else 's'}"


def _p(value: float) -> str:
    """A p-value with two digits that count, never rounded to 0.05 from above."""
    if value < 0.001:
        return "less than 0.001"
    text = f"{value:.3f}" if value < 0.1 else f"{value:.2f}"
    return f"{value:.4f}" if value > LEVEL and float(text) == LEVEL else text


def _rst(text: str) -> str:
    """`text` as reStructuredText shows it literally."""
    # A character that is no letter can make a list or a title of a line that it begins.
    return re.sub(r"(^\W|[\\*`|_<>])", r"\\\1", " ".join(text.split()))
