"""Arrays of features and probabilities, of models that can only be called elsewhere."""

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
from distillweighted.tasks.registry import Task

if TYPE_CHECKING:
    import numpy as np

    from distillweighted.tasks.pools import Pool


def _models(group: Mapping[str, Any], tasks: Mapping[str, Task]) -> list[Model]:
    settings = {"target": group["target"]} if "target" in group else {}
    if group.get("head") == "own":
        settings["probabilities"] = "needed"
    return outside_models(group, None, settings)


def _problems(group: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    return outside_problems(group, (".npz", ".parquet"))


def _check(path: Path, names: Sequence[str]) -> None:
    from distillweighted.sources.arrays import read_arrays

    read_arrays(path, names)


def _describe(job: LoadJob) -> dict[str, Any]:
    from distillweighted.errors import DataError
    from distillweighted.sources.arrays import load_arrays

    arrays = load_arrays(Path(job.checkpoint))
    if arrays.probabilities is None and "probabilities" in job.settings:
        raise DataError(
            f"{job.checkpoint} has no probabilities, which `head: own` of source {job.name} needs; "
            "give it another head: kmeans, prototypes or features"
        )
    classes = 0 if arrays.probabilities is None else arrays.probabilities.shape[1]
    shown = {"image_size": None, "mean": None, "std": None, "input": None}
    return {"num_classes": classes, "images": len(arrays.images), **shown}


def _outputs(
    file: Path,
    job: InferenceJob,
    facts: Mapping[str, Any],
    images: Pool,
    names: Sequence[str],
    *,
    threads: int,
) -> dict[str, np.ndarray]:
    from distillweighted.sources.arrays import read_arrays

    return read_arrays(file, names)


ARRAYS = Origin(
    "arrays", "arrays of features and probabilities", __name__,
    ("file",), ("name", "head", "target"), outside=True, own_input=True,
    models=_models, problems=_problems, locate=locate, advice=advice,
    describe=_describe, outputs=_outputs, check=_check,
)  # fmt: skip
