"""Programs of networks that others wrote: ONNX, TorchScript and torch.export."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillweighted.sources.jobs import InferenceJob, LoadJob
from distillweighted.sources.model import Model
from distillweighted.sources.origins.origin import Origin
from distillweighted.sources.origins.outside import (
    advice,
    locate,
    outside_models,
    outside_problems,
)
from distillweighted.tasks.published_statistics import IMAGENET
from distillweighted.tasks.registry import Task

if TYPE_CHECKING:
    import numpy as np

    from distillweighted.tasks.pools import Pool

ENDINGS = (".onnx", ".pt2", ".pt", ".pth", ".ts", ".torchscript")
"""Endings of the files; what one holds is seen by its contents."""


def _models(group: Mapping[str, Any], tasks: Mapping[str, Task]) -> list[Model]:
    outputs = group.get("outputs", {})
    # Which outputs there are is seen when the program is opened.
    none = bool(outputs) and {*outputs} == {"features"}
    return outside_models(group, 0 if none else None, {"outputs": outputs} if outputs else {})


def _problems(group: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from outside_problems(group, ENDINGS)
    outputs = group.get("outputs", {})
    if {"logits", "probabilities"} <= {*outputs}:
        yield "outputs", "has logits and probabilities (allowed: one of them, and features)"
    if group.get("head") == "own" and {*outputs} == {"features"}:
        text = "own needs logits or probabilities, and outputs has features alone"
        yield "head", f"{text} (allowed: kmeans, prototypes, features)"


def _parts(path: Path) -> list[Path]:
    """A program's file and the weights beside it, as torch names those of an ONNX file."""
    weights = path.with_name(path.name + ".data")
    return [path, weights] if weights.is_file() else [path]


def _describe(job: LoadJob) -> dict[str, Any]:
    from distillweighted.sources.programs import describe_program

    facts = describe_program(
        Path(job.checkpoint),
        size=job.image_size,
        outputs=job.settings.get("outputs", {}),
        head=job.head,
    )
    size = facts["image_size"]
    mean, std = IMAGENET
    return {
        **facts,
        "mean": job.mean or mean,
        "std": job.std or std,
        "input": {
            "size": size,
            "shorter_side": size,
            "interpolation": "bilinear",
            "mode": "center",
        },
    }


def _outputs(
    file: Path,
    job: InferenceJob,
    facts: Mapping[str, Any],
    images: Pool,
    names: Sequence[str],
    *,
    threads: int,
) -> dict[str, np.ndarray]:
    from distillweighted.batches.views import make_view
    from distillweighted.sources.programs import run_program

    view = make_view({"kind": "model_input", **facts["input"]}, threads=threads)
    return run_program(file, images, facts, view=view, threads=threads)


PROGRAM = Origin(
    "program", "a program: ONNX, TorchScript or torch.export", __name__,
    ("file",), ("name", "head", "size", "mean", "std", "outputs"), outside=True, own_input=True,
    models=_models, problems=_problems, locate=locate, advice=advice, parts=_parts,
    describe=_describe, outputs=_outputs,
)  # fmt: skip
