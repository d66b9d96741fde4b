"""Handing a student over: its weights, its programs, a script, and what it says of every image.

No label is read here: which student it is was decided before, without the test part.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from distillweighted import __version__
from distillweighted.batches.forward import predict
from distillweighted.batches.views import RESIZE_RATIO, View, make_view
from distillweighted.deployment.jobs import ExportJob
from distillweighted.deployment.latency import cpu_name, latency_ms
from distillweighted.deployment.programs import Deployed, largest_differences, write_programs
from distillweighted.deployment.script import standalone_script
from distillweighted.errors import DamagedError
from distillweighted.files.tables import read_table, write_table
from distillweighted.files.tensors import save_tensors
from distillweighted.networks.devices import choose_device
from distillweighted.networks.model_files import load_model
from distillweighted.tasks.own.images import colour_of
from distillweighted.tasks.pools import Pool, open_pool
from distillweighted.tasks.prepared import read_image_names, read_meta
from distillweighted.training.choice import read_deployed

log = logging.getLogger(__name__)

MOST_COMPARED = 256
"""Test images on which the programs are compared with the model, at most."""


@dataclass(frozen=True)
class TargetFiles:
    """A target's files, none of which holds a label."""

    train_images: Path
    """Its training images."""

    test_images: Path
    """Its test images."""

    index: Path
    """images.csv."""

    meta: Path
    """meta.json."""

    split: Path
    """Which images are labelled, unlabelled and for testing."""


def export_student(
    job: ExportJob,
    target: TargetFiles,
    students: Mapping[str, Path],
    choice: Path | None,
    folder: Path,
    *,
    threads: int,
) -> None:
    """Write a student's weights, programs, script, predictions and facts.

    Args:
        job: What is exported.
        target: The target's files.
        students: model.safetensors of each candidate, by recipe.
        choice: The file that says which candidate; None where there is one.
        folder: Where to; created.
        threads: CPU threads.

    Raises:
        DataError: Where the choice names no candidate.
        RuntimeError: Where a program does not agree with the model.
    """
    torch.set_num_threads(threads)
    folder.mkdir(parents=True, exist_ok=True)
    recipe = chosen_recipe(job, choice)
    path = students[recipe]
    model, facts = load_model(path)
    task = read_meta(target.meta.parent)
    if facts["num_classes"] != task["num_classes"]:
        raise DamagedError(path, f"it has {facts['num_classes']} classes, its task another number")
    device, view = choose_device(job.device), make_view(job.view, threads=threads)
    train, test = (open_pool(p, target.index) for p in (target.train_images, target.test_images))

    def probabilities(images: Pool) -> np.ndarray:
        logits = predict(model, images, facts["mean"], facts["std"], device=device, view=view)
        return logits.softmax(dim=1).numpy()

    of_train, of_test = probabilities(train), probabilities(test)
    unlabeled = unlabeled_rows(target)
    outputs = {"unlabeled": of_train[unlabeled], "test": of_test, "unlabeled_rows": unlabeled}
    save_tensors(folder / "probabilities.safetensors", outputs, {"recipe": recipe})
    names = np.array(read_image_names(target.index, "train"), object)[unlabeled]
    write_predictions(folder / "predictions.csv", names, outputs["unlabeled"], task["classes"])

    programs = {"onnx": folder / "model.onnx", "pt2": folder / "model.pt2"}
    said = {
        "name": f"{job.run}/{job.target}",
        "task": job.target,
        "recipe": recipe,
        "architecture": facts["architecture"],
        "classes": task["classes"],
        "image_size": job.image_size,
        "preparation": preparation_of(job, task),
        "made_by": f"distillweighted {__version__}",
    }
    deployed = Deployed(model.cpu(), facts["mean"], facts["std"])
    write_programs(deployed, job.image_size, said, **programs)
    differences = largest_differences(deployed, _some_images(test, view), **programs)
    log.info("largest difference of a probability: %s", differences)
    # No link: that has the time of the other file, and would look out of date.
    shutil.copyfile(path, folder / "model.safetensors")
    (folder / "predict.py").write_text(standalone_script(), encoding="utf-8")
    facts = {
        **said,
        "replicate": job.replicate,
        "differences": differences,
        "images_compared": min(MOST_COMPARED, len(test)),
        "cpu": cpu_name(),
        "latency_ms": {
            str(n): latency_ms(programs["onnx"], job.image_size, threads=n)
            for n in dict.fromkeys((1, threads))
        },
        "bytes": {name: (folder / name).stat().st_size for name in _SIZED},
        "versions": {p: importlib.metadata.version(p) for p in ("torch", "onnx", "onnxruntime")},
    }
    (folder / "export.json").write_text(
        json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8"
    )


_SIZED = ("model.safetensors", "model.onnx", "model.pt2")


def chosen_recipe(job: ExportJob, choice: Path | None) -> str:
    """The recipe of the student that is exported.

    Raises:
        DamagedError: Where the file of the choice names no candidate.
    """
    if choice is None:
        (recipe,) = job.candidates
        return recipe
    recipe = read_deployed(choice)
    if recipe not in job.candidates:
        raise DamagedError(
            choice, f"it chooses '{recipe}', and the students are {', '.join(job.candidates)}"
        )
    return recipe


def unlabeled_rows(target: TargetFiles) -> np.ndarray:
    """Rows of the unlabelled images among the training images, int64 [u], in order."""
    parts = dict(read_table(target.split, ("image", "split"), unique=("image",)))
    names = read_image_names(target.index, "train")
    if missing := [name for name in names if name not in parts]:
        raise DamagedError(target.split, f"it lacks the image '{missing[0]}'")
    return np.array([i for i, name in enumerate(names) if parts[name] == "unlabeled"], np.int64)


def write_predictions(
    path: Path, names: np.ndarray, probabilities: np.ndarray, classes: list[str]
) -> None:
    """Write image, label and confidence of every image: the class with the largest probability."""
    rows = (
        (name, classes[int(row.argmax())], round(float(row.max()), 6))
        for name, row in zip(names, probabilities, strict=True)
    )
    write_table(path, ("image", "label", "confidence"), rows)


def preparation_of(job: ExportJob, task: Mapping[str, Any]) -> dict[str, Any]:
    """How an image file becomes what the network sees, as `deployment.predict` reads it."""
    view, size = job.view, job.image_size
    shorter = None
    if view["kind"] != "padded_crop":
        shorter = size if view.get("whole") else round(size * RESIZE_RATIO)
    return {
        "size": size,
        "stored_side": task.get("longest_shorter_side"),
        "shorter_side": shorter,
        "background": list(colour_of(task.get("background", "white"))),
    }


def _some_images(test: Pool, view: View) -> np.ndarray:
    """Test images as the network sees them, evenly over the pool, uint8 [n, 3, size, size]."""
    count = min(MOST_COMPARED, len(test))
    rows = np.linspace(0, len(test) - 1, count).round().astype(np.int64)
    return view.plain(test, rows).numpy()
