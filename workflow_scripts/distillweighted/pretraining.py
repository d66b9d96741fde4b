"""Training the source models and the initialisation, where the workflow makes them itself."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import numpy as np
import torch

from distillweighted.batches import TargetBatches, normalize
from distillweighted.losses import labeled_loss
from distillweighted.models import Classifier, build_model
from distillweighted.seeds import derive_seed
from distillweighted.training import TrainingError, predict

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SourceSettings:
    """Settings of source training (configuration key `training.sources`)."""

    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    crop_padding: int


def channel_statistics(images: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel, in 0..1, of images uint8 [n, h, w, 3]."""
    pixels = np.asarray(images, np.float64).reshape(-1, 3) / 255
    return pixels.mean(axis=0).tolist(), pixels.std(axis=0).tolist()


def train_source(
    architecture: str,
    images: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    settings: SourceSettings,
    *,
    seed: int,
    device: torch.device,
) -> tuple[Classifier, list[float], list[float]]:
    """Train a source model on all labels of its task.

    Args:
        architecture: Name of the architecture.
        images: uint8 [n, h, w, 3].
        labels: int [n].
        num_classes: Number of classes.
        settings: Training settings.
        seed: Seed of initialisation, order and crops.
        device: Where to train.

    Returns:
        The model, and the mean and standard deviation that its inputs are normalised with.

    Raises:
        TrainingError: Where the loss is not finite.
    """
    model = build_model(architecture, num_classes, seed=derive_seed(seed, "model")).to(device)
    mean, std = channel_statistics(images)
    rows = np.arange(len(images))
    batches = TargetBatches(
        images, rows, labels, rows, crop_padding=settings.crop_padding, seed=seed
    )
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=settings.steps + 1
    )
    interval = max(1, settings.steps // 10)
    started = time.monotonic()
    model.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "layers"))
        for step in range(1, settings.steps + 1):
            batches.next_step()
            batch, target = batches.labeled(settings.batch_size)
            logits = model(normalize(batch.to(device), mean, std))
            loss = labeled_loss(logits, target.to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            if step % interval == 0 or step == settings.steps:
                value = float(loss.detach())
                if not np.isfinite(value):
                    raise TrainingError(
                        f"the loss of source {architecture} is {value} by step {step}; lower "
                        f"training.sources.learning_rate (now {settings.learning_rate:g})"
                    )
                elapsed = time.monotonic() - started
                eta = elapsed / step * (settings.steps - step)
                log.info("step %d/%d loss %.4f, ETA %.0f s", step, settings.steps, value, eta)
    return model, mean, std


def accuracy(
    model: Classifier,
    images: np.ndarray,
    labels: np.ndarray,
    mean: list[float],
    std: list[float],
    *,
    device: torch.device,
) -> float:
    """Share of images, in percent, that a model labels rightly."""
    predicted = predict(model, images, mean, std, device=device).argmax(dim=1).numpy()
    return 100 * float(np.mean(predicted == labels))
