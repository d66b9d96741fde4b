"""The page of a student: one HTML file without scripts or links, which opens on the answer."""

from __future__ import annotations

import html
from pathlib import Path

import numpy as np

from distillweighted.deployment.card import (
    INTENDED_USE,
    LICENCES,
    LIMITS,
    NO_SOURCE,
    cost_rows,
    source_rows,
    training,
    versions,
)
from distillweighted.deployment.description import Description
from distillweighted.deployment.page_style import CSS
from distillweighted.deployment.pictures import Shown, figure, sheet, table
from distillweighted.deployment.wording import (
    caution,
    comparison_rows,
    counts,
    interval,
    macs,
    milliseconds,
    number,
    size,
)
from distillweighted.tasks.pools import Pool

ON_A_SHEET = 18
"""Images on a sheet, at most."""


def student_page(of: Description, pools: dict[str, Pool], figures: Path) -> str:
    """The page.

    Args:
        of: What is known of the student.
        pools: Images of the target by pool, train and test.
        figures: Folder of comparison.png, confusion.png and reliability.png.
    """
    sections = [_answer(of), _comparison(of, figures), _ranking(of), _unlabeled(of, pools["train"])]
    sections += [_mistakes(of, pools["test"]), _classes(of, figures), _calibration(of, figures)]
    sections += [_facts(of)]
    title = f"{of.export['task']}: a small model"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{CSS}</style></head><body><main>"
        f"{''.join(sections)}</main></body></html>\n"
    )


def _answer(of: Description) -> str:
    evaluation, export, metrics = of.evaluation, of.export, of.metrics
    low, high = evaluation.interval
    threads, ms = next(iter(export["latency_ms"].items()))
    tiles = [
        ("of test images recognised", f"{number(evaluation.accuracy)} %",
         f"95 % interval {interval(low, high)}"),
        ("classes", str(len(export["classes"])),
         f"{metrics['n_labeled']} labelled, {metrics['n_unlabeled']} unlabelled images"),
        ("model.onnx", size(export["bytes"]["model.onnx"]),
         f"{macs(metrics['gmacs'])} multiply-accumulates"),
        ("an image", milliseconds(ms), f"on {threads} CPU thread of this machine"),
    ]  # fmt: skip
    boxes = "".join(
        f'<div class="tile"><b>{_text(value)}</b>{_text(name)}<small>{_text(note)}</small></div>'
        for name, value, note in tiles
    )
    return (
        f"<header><h1>{_text(export['task'])}</h1><p>The student that is handed over is "
        f"<b>{_text(export['architecture'])}</b>, trained by <b>{_text(of.label)}</b>.</p>"
        f'<div class="tiles">{boxes}</div>'
        f"{_note(caution(of.meta))}"
        f'<p class="verdict">{_text(of.verdict["verdict"])}</p></header>'
    )


def _comparison(of: Description, figures: Path) -> str:
    head, rows = comparison_rows(of.comparison)
    handed = np.flatnonzero(of.comparison["deployed"].to_numpy(bool))
    picture = figure(figures / "comparison.png", "accuracy of every method, with intervals", 760)
    legend = (
        "Filled: the student that is handed over. Black: transfer; blue: distillation; orange: "
        "others."
    )
    return _section(
        "Did distillation help?",
        f'{picture}<p class="note">{_text(legend)}</p>'
        f"{table(head, rows, bold=int(handed[0]) if len(handed) else None)}"
        f'<p class="note">{_text(of.verdict["intervals"])}</p>',
    )


def _ranking(of: Description) -> str:
    if of.ranking is None:
        return ""
    lines = of.ranking.read_text(encoding="utf-8").splitlines()
    # The table of hundreds of sources stays where it is: sentence and figure are the answer.
    prose = [line.strip() for line in lines if line.strip() and line.strip()[0] not in "|#!"]
    said = "".join(f"<p>{_text(line.replace(chr(92), ''))}</p>" for line in prose)
    picture = of.ranking.with_suffix(".png")
    shown = figure(picture, "sources by similarity", 760) if picture.is_file() else ""
    return _section("Which source suits this task?", said + shown)


def _unlabeled(of: Description, train: Pool) -> str:
    said = of.probabilities["unlabeled"]
    if not len(said):
        return _section("Unlabelled images", "<p>There are none.</p>")
    order = np.argsort(-said.max(axis=1), kind="stable")
    some = min(ON_A_SHEET, max(1, len(order) // 2))
    rows = of.probabilities["unlabeled_rows"]

    def shown(chosen: np.ndarray) -> str:
        pixels = train.load(rows[chosen])
        names = of.names["train"]
        return sheet(
            Shown(image, names[rows[i]], _says(of, said[i]))
            for i, image in zip(chosen, pixels, strict=True)
        )

    return _section(
        "Unlabelled images",
        f"<p>What it says of all {len(said)} is in <code>predictions.csv</code>. It is most "
        f"certain of these:</p>{shown(order[:some])}<p>It is least certain of these, which are "
        f"worth a label of yours most:</p>{shown(order[::-1][:some])}",
    )


def _mistakes(of: Description, test: Pool) -> str:
    said = of.probabilities["test"]
    wrong = np.flatnonzero(said.argmax(axis=1) != of.labels)
    if not len(wrong):
        return _section("Mistakes", "<p>It recognises every test image.</p>")
    chosen = wrong[np.argsort(-said[wrong].max(axis=1), kind="stable")][:ON_A_SHEET]
    classes = of.export["classes"]
    cards = sheet(
        Shown(image, of.names["test"][i], _says(of, said[i]), classes[of.labels[i]])
        for i, image in zip(chosen, test.load(chosen), strict=True)
    )
    which = "all of them" if len(chosen) == len(wrong) else "those that it is most certain of"
    return _section(
        "Mistakes",
        f"<p>It mistakes {len(wrong)} of {len(said)} test images; {which}, the most certain first. "
        f"A wrong label of the data would show here.</p>{cards}",
    )


def _classes(of: Description, figures: Path) -> str:
    rows = [
        [row.name, str(row.images), number(row.recall), interval(row.low, row.high),
         number(row.precision)]
        for row in of.evaluation.rows
    ]  # fmt: skip
    head = ["class", "test images", "recognised (%)", "95 % interval", "precision (%)"]
    picture = figure(figures / "confusion.png", "confusion matrix", 640)
    pairs = of.evaluation.most_confused()
    often = "; ".join(f"{a} taken for {b}, {n} times" for a, b, n in pairs)
    said = f"<p>Most frequent: {_text(often)}.</p>" if pairs else ""
    return _section("Class by class", f"{picture}{said}{table(head, rows)}")


def _calibration(of: Description, figures: Path) -> str:
    evaluation = of.evaluation
    gap = evaluation.mean_confidence - evaluation.accuracy
    feeling = "more" if gap > 0 else "less"
    text = (
        f"Its mean confidence is {number(evaluation.mean_confidence)} %, its accuracy "
        f"{number(evaluation.accuracy)} %: it is {number(abs(gap))} points {feeling} certain than "
        f"right. The expected calibration error is {number(evaluation.ece)} points "
        f"({len(evaluation.bins)} bins)."
    )
    picture = figure(figures / "reliability.png", "accuracy by confidence", 400)
    return _section("Can its confidence be believed?", f"<p>{_text(text)}</p>{picture}")


def _facts(of: Description) -> str:
    use = "pip install onnxruntime numpy pillow\npython predict.py FOLDER --csv answers.csv"
    task = counts(of.metrics, of.meta)
    how = [
        ("command", of.job.command),
        ("recipe", f"{of.recipe}, replicate {of.export['replicate']}"),
        ("start", of.job.initialization),
        ("training", training(of)),
        ("versions", versions(of)),
    ]
    taught = NO_SOURCE
    if of.sources:
        head, rows, left = source_rows(of)
        taught = f"{table(head, rows)}<p>{_text(left + LICENCES)}</p>"
    return (
        _section("To use it", f"<pre>{_text(use)}</pre><p>{INTENDED_USE}</p><p>{LIMITS}</p>")
        + _section("Data", _definitions(task))
        + _section("Sources that taught it", taught)
        + _section("Cost", _definitions(cost_rows(of)))
        + _section("How it was made", _definitions(how))
    )


def _says(of: Description, row: np.ndarray) -> str:
    return f"{of.export['classes'][int(row.argmax())]}, {100 * float(row.max()):.0f}\u00a0%"


def _definitions(rows: list[tuple[str, str]]) -> str:
    said = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in rows)
    return f"<dl>{said}</dl>"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{_text(title)}</h2>{content}</section>"


def _note(text: str) -> str:
    return f"<p><b>{_text(text)}</b></p>" if text else ""


def _text(text: object) -> str:
    return html.escape(str(text))
