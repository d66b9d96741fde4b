"""The model card of a student, in Markdown."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence

from distillweighted.analysis.printed import markdown_escape
from distillweighted.deployment.description import Description
from distillweighted.deployment.wording import (
    caution,
    comparison_rows,
    count,
    counts,
    interval,
    macs,
    milliseconds,
    number,
    size,
)

INTENDED_USE = (
    "For images like those that it was tested on, of its classes, where a share of mistakes as "
    "measured here can be borne."
)
LIMITS = (
    "It gives one of its classes to every image, also to one that shows none of them; on other "
    "cameras, places or times its accuracy can be lower than measured, and it may have taken over "
    "the mistakes and leanings of the models that taught it."
)
NO_SOURCE = "No source: it was trained on the target's own images alone."
LICENCES = (
    "A source teaches only while the student is trained. Whether a licence of its weights bears on "
    "a student is for you to judge."
)
LEAST_WEIGHT = 0.001
"""Weight from which a source is shown."""


def model_card(of: Description) -> str:
    """The card: task, counts, sources, accuracy, classes, calibration, cost, use and limits."""
    evaluation, export = of.evaluation, of.export
    low, high = evaluation.interval
    parts = [
        f"# {_text(export['task'])}: {_text(export['architecture'])}, {_text(of.label)}",
        f"An image classifier with {len(export['classes'])} classes, trained by distillweighted. "
        f"**{number(evaluation.accuracy)} %** of {evaluation.images} test images are recognised "
        f"(95 % interval {interval(low, high)}).",
        *filter(None, [caution(of.meta)]),
        _text(of.verdict["verdict"]),
        "## Task",
        _list([("classes", ", ".join(export["classes"])), *counts(of.metrics, of.meta)]),
        "## Sources",
        _sources(of),
        "## Accuracy",
        _list(_accuracy(of)),
        markdown_table(
            ["class", "test images", "recognised (%)", "95 % interval", "precision (%)"],
            [
                [row.name, str(row.images), number(row.recall), interval(row.low, row.high),
                 number(row.precision)]
                for row in evaluation.rows
            ],
        ),
        "![confusion matrix](figures/confusion.png)",
        "![reliability](figures/reliability.png)",
        "## Against other methods",
        markdown_table(*comparison_rows(of.comparison)),
        _text(of.verdict["intervals"]),
        "![comparison](figures/comparison.png)",
        "## Cost",
        _list(cost_rows(of)),
        "## Use and limits",
        f"{INTENDED_USE}\n\n{LIMITS}",
        "    pip install onnxruntime numpy pillow\n    python predict.py FOLDER --csv answers.csv",
        "## How it was made",
        _list(
            [
                ("command", of.job.command),
                ("recipe", f"{of.recipe}, replicate {export['replicate']}"),
                ("start", of.job.initialization),
                ("training", training(of)),
                ("versions", versions(of)),
            ]
        ),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def cost_rows(of: Description) -> list[tuple[str, str]]:
    """What the student costs: names and values."""
    export, metrics = of.export, of.metrics
    times = [
        f"{milliseconds(ms)} on {threads} thread{'s' if threads != '1' else ''}"
        for threads, ms in export["latency_ms"].items()
    ]
    files = [f"{name} {size(bytes_)}" for name, bytes_ in export["bytes"].items()]
    differences = [f"{name} {value:.1g}" for name, value in export["differences"].items()]
    return [
        ("multiply-accumulates of an image", macs(metrics["gmacs"])),
        ("parameters", count(metrics["parameters"])),
        ("input", f"{export['image_size']} x {export['image_size']} pixels, RGB"),
        (
            "latency of one image",
            f"{', '.join(times)} ({export['cpu']}, ONNX Runtime, median of 50; other work on "
            "the machine may have slowed it)",
        ),
        ("files", ", ".join(files)),
        (
            "programs beside the model",
            f"largest difference of a probability on {export['images_compared']} test images: "
            f"{', '.join(differences)}",
        ),
    ]


def training(of: Description) -> str:
    """What it was trained with."""
    metrics = of.metrics
    said = [f"{metrics['steps']} steps"]
    if (rate := metrics.get("learning_rate")) is not None:
        said.append(f"learning rate {rate:g}")
    if (lam := metrics.get("lambda")) is not None:
        said.append(f"lambda {lam:g}")
    return ", ".join(said)


def versions(of: Description) -> str:
    """What it was made with."""
    known = {"python": platform.python_version(), **of.export["versions"]}
    return ", ".join([of.export["made_by"], *(f"{name} {v}" for name, v in known.items())])


def _accuracy(of: Description) -> Iterable[tuple[str, str]]:
    evaluation = of.evaluation
    yield (
        "accuracy",
        f"{number(evaluation.accuracy)} % ({evaluation.right} of {evaluation.images}; 95 % "
        f"interval {interval(*evaluation.interval)}, Wilson)",
    )
    yield "balanced accuracy", f"{number(evaluation.balanced_accuracy)} %"
    yield (
        "calibration",
        f"mean confidence {number(evaluation.mean_confidence)} %, expected calibration error "
        f"{number(evaluation.ece)} points ({len(evaluation.bins)} bins)",
    )
    pairs = [f"{a} taken for {b} ({n})" for a, b, n in evaluation.most_confused()]
    if pairs:
        yield "most frequent confusions", ", ".join(pairs)


def source_rows(of: Description) -> tuple[list[str], list[list[str]], str]:
    """The sources that taught the student: a head, rows, and what is not shown in words."""
    head = ["source", "weight", "network", "multiply-accumulates", "licence"]
    shown = [s for s in of.sources if s.weight >= LEAST_WEIGHT]
    rows = [[s.name, number(s.weight, 3), s.architecture, macs(s.gmacs), s.licence] for s in shown]
    rest = len(of.sources) - len(shown)
    left = f"{rest} more have a weight below {LEAST_WEIGHT:g} each. " if rest else ""
    return head, rows, left


def _sources(of: Description) -> str:
    if not of.sources:
        return NO_SOURCE
    head, rows, left = source_rows(of)
    return f"{markdown_table(head, rows)}\n\n{left}{LICENCES}"


def _list(rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- {name}: {_text(value)}" for name, value in rows)


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; names to the left, numbers to the right."""
    rule = [":---", *["---:"] * (len(head) - 1)]
    lines = [head, rule, *([_text(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(text: str) -> str:
    return markdown_escape(text)
