"""Training the source models and the initialisation, where the workflow makes them itself."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distillweighted.batches.forward import predict
from distillweighted.batches.target_batches import TargetBatches
from distillweighted.batches.views import AS_STORED, View, make_view
from distillweighted.files.checksums import fingerprint_files
from distillweighted.files.scratch import scratch_copy
from distillweighted.losses import labeled_loss, multi_label_loss
from distillweighted.networks.classifier import Classifier, build_model, replace_head
from distillweighted.networks.cost import count_macs, count_parameters
from distillweighted.networks.devices import choose_device
from distillweighted.networks.model_files import load_model, save_model
from distillweighted.seeds import derive_seed
from distillweighted.tasks.pools import Pool, as_pool, open_pool
from distillweighted.tasks.prepared import (
    read_image_names,
    read_label_matrix,
    read_labels,
    read_meta,
)
from distillweighted.training.loop import train
from distillweighted.training.resumption import Checkpoint
from distillweighted.training.source_job import SourceJob, SourceSettings
from distillweighted.training.trainee import Trainee, TrainingError


def make_source(
    job: SourceJob,
    task_folder: Path,
    initial: Path | None,
    model_path: Path,
    meta_path: Path,
    *,
    threads: int,
    code: str = "",
    checkpoint_minutes: float = math.inf,
    scratch: str | None = None,
) -> None:
    """Train a source model on a prepared task, test it, and write it.

    Args:
        job: The model and how it is trained.
        task_folder: The prepared task.
        initial: The model to start from; None for a fresh one.
        model_path: The model to write.
        meta_path: What it is, to write.
        threads: CPU threads.
        code: Fingerprint of the code that trains: a saved training of another one is not used.
        checkpoint_minutes: How often the training is saved.
        scratch: Folder for copies of the images on this machine's own disk.

    Raises:
        ValueError: Where a file is damaged.
        TrainingError: Where the loss is not finite.
        TrainingStopped: Where a signal asked for it.
    """
    torch.set_num_threads(threads)
    task = read_meta(task_folder)
    images, labels = {}, {}
    index = task_folder / "images.csv"
    for pool in ("train", "test"):
        file = scratch_copy(task_folder / f"{pool}_images.npy", index, scratch)
        images[pool] = open_pool(file, index)
        names = read_image_names(index, pool)
        if task.get("multi_label", False):
            labels[pool] = read_label_matrix(task_folder / "labels.csv", names, task["num_classes"])
        else:
            labels[pool] = read_labels(task_folder / "labels.csv", names)
    start = None
    if initial is not None:
        start_model, start_meta = load_model(initial)
        start = (start_model, start_meta["mean"], start_meta["std"])
    view, device = make_view(job.view, threads=threads), choose_device(job.device)
    params = job.as_params()
    made_from = ("name", "architecture", "settings", "view", "seed")
    facts = json.dumps([*(params[name] for name in made_from), threads, code])
    inputs = ("train_images.npy", "images.csv", "labels.csv", "meta.json")
    files = [task_folder / name for name in inputs] + ([] if initial is None else [initial])
    key = derive_seed(torch.__version__, device, facts, fingerprint_files(files))
    saved = Checkpoint(Path(job.checkpoint), f"{key:016x}", interval=60 * checkpoint_minutes)
    model, mean, std = train_source(
        job.architecture,
        images["train"],
        labels["train"],
        task["num_classes"],
        job.settings,
        seed=derive_seed(job.seed, "source", job.name),
        device=device,
        view=view,
        initial=start,
        checkpoint=saved,
    )
    percent = source_accuracy(
        model, images["test"], labels["test"], mean, std, device=device, view=view
    )
    meta = {
        "source": job.name,
        "architecture": job.architecture,
        "task": task["task"],
        "num_classes": task["num_classes"],
        "classes": task["classes"],
        "image_size": job.image_size,
        "mean": mean,
        "std": std,
        "test_accuracy": percent,
        "gmacs": count_macs(model, job.image_size) / 1e9,
        "parameters": count_parameters(model),
        "settings": params["settings"],
        "seed": job.seed,
    }
    save_model(model, model_path, meta)
    meta_path.write_text(json.dumps(meta, indent=1, ensure_ascii=False))
    saved.remove()


def train_source(
    architecture: str,
    images: Pool | np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    settings: SourceSettings,
    *,
    seed: int,
    device: torch.device,
    view: View,
    initial: tuple[Classifier, Sequence[float], Sequence[float]] | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[Classifier, list[float], list[float]]:
    """Train a source model on all labels of its task.

    Args:
        architecture: Name of the architecture.
        images: The training images; an array is uint8 [n, h, w, 3].
        labels: int [n], or of a multi-label task 0 or 1 [n, num_classes], which trains a sigmoid an
            output instead of a softmax.
        num_classes: Number of classes.
        settings: Training settings.
        view: How images become batches.
        initial: A model to start from, with a head of any size (it is replaced), and the mean and
            standard deviation of its inputs; by default a fresh model.
        seed: Seed of initialisation, order and crops.
        device: Where to train.
        checkpoint: Where to save the training, and to go on from; the caller removes it once the
            model is safe.

    Returns:
        The model, and the mean and standard deviation that its inputs are normalised with.

    Raises:
        TrainingError: Where the loss is not finite.
        TrainingStopped: Where a signal asked for it (with a checkpoint only).
    """
    images = as_pool(images)
    if initial is None:
        model = build_model(architecture, num_classes, seed=derive_seed(seed, "model"))
        mean, std = images.channel_statistics()
    else:
        model, mean, std = initial[0], list(initial[1]), list(initial[2])
        replace_head(model, num_classes, seed=derive_seed(seed, "model"))
    rows = np.arange(len(images))
    batches = TargetBatches(images, rows, labels, rows, view=view, seed=seed)
    trainee = _SourceInTraining(
        architecture,
        model,
        mean,
        std,
        settings,
        seed=seed,
        device=device,
        multi_label=labels.ndim > 1,
    )
    (outcome,) = train([trainee], batches, settings.steps, checkpoint=checkpoint)
    if outcome.error is not None:
        raise TrainingError(f"source {architecture}: {outcome.error}")
    return model, mean, std


class _SourceInTraining(Trainee):
    """A source while it trains, on all labels of its task."""

    rate_key = "training.sources.learning_rate"

    def __init__(
        self,
        architecture: str,
        model: Classifier,
        mean: Sequence[float],
        std: Sequence[float],
        settings: SourceSettings,
        *,
        seed: int,
        device: torch.device,
        multi_label: bool,
    ):
        super().__init__(
            architecture,
            model,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            steps=settings.steps,
            device=device,
            mean=mean,
            std=std,
        )
        self._seed, self._size, self._multi_label = seed, settings.batch_size, multi_label

    def losses(self, batches: TargetBatches, step: int) -> dict[str, Tensor]:
        batch, target = batches.labeled(self._size)
        loss_of = multi_label_loss if self._multi_label else labeled_loss
        logits = self.model(self.inputs(batches, batch))
        return {"loss": loss_of(logits, target.to(self.device))}

    def seed_draws(self, step: int) -> None:
        # It trains alone: one stream for all of its steps.
        if step == 1:
            torch.manual_seed(derive_seed(self._seed, "layers"))

    def state(self) -> dict[str, Any]:
        return {**super().state(), "draws": _random_state(self.device)}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        _set_random_state(state["draws"], self.device)


def _random_state(device: torch.device) -> list[Tensor]:
    """What layers that draw (dropout) draw from."""
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


def _set_random_state(states: Sequence[Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)


def source_accuracy(
    model: Classifier,
    images: Pool | np.ndarray,
    labels: np.ndarray,
    mean: list[float],
    std: list[float],
    *,
    device: torch.device,
    view: View = AS_STORED,
) -> float:
    """Share of images, in percent, that a model labels rightly.

    Of a multi-label task: share whose most probable class is one of the image's.
    """
    predicted = predict(model, images, mean, std, device=device, view=view).argmax(dim=1).numpy()
    if labels.ndim == 1:
        return 100 * float(np.mean(predicted == labels))
    return 100 * float(np.mean(labels[np.arange(len(labels)), predicted]))
