"""Training students: one loop for distillation, transfer and FixMatch.

Several students of one target and seed may train together on the same batches (a cohort). Each has
its own network, heads, optimiser and random state, so its result does not depend on its company,
and one that fails leaves the others alone.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distillweighted import losses
from distillweighted.batches.target_batches import TargetBatches
from distillweighted.networks.classifier import Classifier
from distillweighted.seeds import derive_seed
from distillweighted.training.resumption import Checkpoint

log = logging.getLogger(__name__)


class TrainingError(RuntimeError):
    """A student that cannot be trained; the message says which and why."""


@dataclass(frozen=True)
class Settings:
    """Training settings; every student of a run has the same (configuration key `training`)."""

    steps: int
    labeled_batch: int
    unlabeled_batch: int
    lam: float
    temperature: float
    learning_rate: float
    weight_decay: float
    fixmatch_threshold: float
    fixmatch_weight: float

    @property
    def images_per_step(self) -> int:
        """Images that pass through the network a step, whatever the method."""
        return self.labeled_batch + self.unlabeled_batch


@dataclass(frozen=True)
class PseudoLabels:
    """What a student is distilled from: the sources with a weight above 0.

    Attributes:
        probabilities: float32 [n, sum C_s], the sources' outputs side by side, a row an image.
        sizes: C_s of each source [S].
        weights: alpha [S], above 0, sum 1.
        names: Names of the sources [S].
    """

    probabilities: Tensor
    sizes: tuple[int, ...]
    weights: np.ndarray
    names: tuple[str, ...]


@dataclass
class Plan:
    """One student to train.

    Attributes:
        recipe: Its name, for messages and seeds.
        objective: distill, transfer or fixmatch.
        model: The initialised network, with a head for the target's classes.
        mean: Mean of the inputs, by channel, in 0..1.
        std: Their standard deviation.
        pseudo_labels: For distill.
        learning_rate: Its peak learning rate; None takes that of the settings.
    """

    recipe: str
    objective: str
    model: Classifier
    mean: Sequence[float]
    std: Sequence[float]
    pseudo_labels: PseudoLabels | None = None
    learning_rate: float | None = None


@dataclass
class Outcome:
    """What came of a plan: a trained model and its history, or an error."""

    recipe: str
    model: Classifier | None = None
    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    error: str | None = None


Objective = Callable[["_Student", TargetBatches, int], dict[str, Tensor]]


class _Student:
    def __init__(self, plan: Plan, settings: Settings, *, seed: int, device: torch.device):
        self.plan, self.settings, self.seed, self.device = plan, settings, seed, device
        self.model = plan.model.to(device).train()
        self.outcome = Outcome(plan.recipe)
        parameters = list(self.model.parameters())
        self.heads: nn.Linear | None = None
        if plan.pseudo_labels is not None:
            self.heads = _source_heads(self.model.num_features, plan.pseudo_labels, seed=seed)
            self.heads.to(device)
            parameters += list(self.heads.parameters())
        self.learning_rate = plan.learning_rate or settings.learning_rate
        self.optimizer = torch.optim.AdamW(
            parameters, lr=self.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, self.learning_rate, total_steps=settings.steps + 1
        )
        self.objective = _OBJECTIVES[plan.objective]

    def inputs(self, batches: TargetBatches, *parts: Tensor) -> Tensor:
        mean, std = self.plan.mean, self.plan.std
        return batches.normalized(*parts, mean=mean, std=std, device=self.device)

    def step(self, batches: TargetBatches, step: int) -> dict[str, Tensor]:
        # Layers such as dropout draw from the global state: set it, so that company does not
        # matter.
        torch.manual_seed(derive_seed(self.seed, "step", step))
        self.current_rate = self.schedule.get_last_lr()[0]
        amp = self.device.type == "cuda"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=amp):
            parts = self.objective(self, batches, step)
        self.optimizer.zero_grad(set_to_none=True)
        parts["loss"].backward()
        self.optimizer.step()
        self.schedule.step()
        return {name: value.detach() for name, value in parts.items()}

    def state(self) -> dict[str, Any]:
        """All that a step changes; of one that failed, why."""
        outcome = self.outcome
        state: dict[str, Any] = {
            "history": outcome.history,
            "seconds": outcome.seconds,
            "error": outcome.error,
        }
        if outcome.error is None:
            state |= {name: part.state_dict() for name, part in self._parts().items()}
        return state

    def restore(self, state: Mapping[str, Any]) -> None:
        outcome = self.outcome
        outcome.history, outcome.seconds = state["history"], state["seconds"]
        outcome.error = state["error"]
        if outcome.error is None:
            for name, part in self._parts().items():
                part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        parts = {"model": self.model, "optimizer": self.optimizer, "schedule": self.schedule}
        return parts if self.heads is None else {**parts, "heads": self.heads}


def _source_heads(width: int, pseudo_labels: PseudoLabels, *, seed: int) -> nn.Linear:
    """One linear head a source, side by side; a source's head starts alike in every student."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        heads = nn.Linear(width, sum(pseudo_labels.sizes))
        row = 0
        for name, size in zip(pseudo_labels.names, pseudo_labels.sizes, strict=True):
            torch.manual_seed(derive_seed(seed, "head", name))
            head = nn.Linear(width, size)
            heads.weight[row : row + size] = head.weight
            heads.bias[row : row + size] = head.bias
            row += size
    return heads


def _distill(student: _Student, batches: TargetBatches, step: int) -> dict[str, Tensor]:
    """Eq. 4 (eq. 1 where one source has all the weight)."""
    settings, pseudo = student.settings, student.plan.pseudo_labels
    images, labels = batches.labeled(settings.labeled_batch)
    unlabeled, rows = batches.unlabeled(settings.unlabeled_batch)
    features = student.model.backbone(student.inputs(batches, images, unlabeled))
    on_labeled, on_unlabeled = features.split([len(images), len(unlabeled)])
    labeled = losses.labeled_loss(student.model.head(on_labeled), labels.to(student.device))
    distilled = losses.weighted_distillation_loss(
        student.heads(on_unlabeled),
        pseudo.probabilities[rows].to(student.device),
        pseudo.sizes,
        pseudo.weights,
        temperature=settings.temperature,
    )
    loss = losses.single_source_loss(labeled, distilled, settings.lam)
    return {"loss": loss, "labeled_loss": labeled, "unlabeled_loss": distilled}


def _transfer(student: _Student, batches: TargetBatches, step: int) -> dict[str, Tensor]:
    """Eq. 2 alone, on as many images a step as distillation sees."""
    images, labels = batches.labeled(student.settings.images_per_step)
    logits = student.model(student.inputs(batches, images))
    loss = losses.labeled_loss(logits, labels.to(student.device))
    return {"loss": loss, "labeled_loss": loss}


def _fixmatch(student: _Student, batches: TargetBatches, step: int) -> dict[str, Tensor]:
    """FixMatch: as many unlabelled as labelled images, a third of the step's budget a view."""
    settings = student.settings
    size = settings.images_per_step // 3
    images, labels = batches.labeled(size)
    weak, _ = batches.unlabeled(size)
    strong = batches.unlabeled_strong(size, step)
    logits = student.model(student.inputs(batches, images, weak, strong))
    on_labeled, on_weak, on_strong = logits.split([len(images), len(weak), len(strong)])
    labeled = losses.labeled_loss(on_labeled, labels.to(student.device))
    unlabeled = losses.fixmatch_loss(on_weak, on_strong, threshold=settings.fixmatch_threshold)
    loss = labeled + settings.fixmatch_weight * unlabeled
    return {"loss": loss, "labeled_loss": labeled, "unlabeled_loss": unlabeled}


_OBJECTIVES: dict[str, Objective] = {
    "distill": _distill,
    "transfer": _transfer,
    "fixmatch": _fixmatch,
}


def train_students(
    plans: Sequence[Plan],
    batches: TargetBatches,
    settings: Settings,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
) -> Iterator[Outcome]:
    """Train students together on the same batches.

    Args:
        plans: The students; their models are changed in place.
        batches: Source of batches, at its first step.
        settings: Training settings.
        seed: Seed of heads and of layers that draw (dropout).
        device: Where to train.
        checkpoint: Where to save the training, and to go on from; the caller removes it once the
            outcomes are safe.

    Yields:
        One outcome a plan: failures as they happen, the trained ones at the end.

    Raises:
        TrainingStopped: Where a signal asked for it (with a checkpoint only).
    """
    everyone = [_Student(plan, settings, seed=seed, device=device) for plan in plans]
    done = _go_on(checkpoint, batches, everyone)
    yield from (student.outcome for student in everyone if student.outcome.error is not None)
    students = [student for student in everyone if student.outcome.error is None]
    interval = max(1, settings.steps // 10)
    started = time.monotonic()
    with torch.random.fork_rng(devices=[]), checkpoint or contextlib.nullcontext():
        for step in range(done + 1, settings.steps + 1):
            batches.next_step()
            for student in list(students):
                before = time.monotonic()
                try:
                    parts = student.step(batches, step)
                    if step % interval == 0 or step == settings.steps:
                        _record(student, parts, step)
                except (RuntimeError, ValueError) as error:
                    students.remove(student)
                    student.outcome.error = str(error)
                    log.error("%s stopped at step %d: %s", student.plan.recipe, step, error)
                    yield student.outcome
                student.outcome.seconds += time.monotonic() - before
            if step % interval == 0 and students:
                eta = (time.monotonic() - started) / (step - done) * (settings.steps - step)
                _report(students, step, settings.steps, eta)
            if checkpoint is not None:
                checkpoint.after_step(step, settings.steps, lambda: _state(batches, everyone))
    for student in students:
        student.outcome.model = student.model
        yield student.outcome


def _state(batches: TargetBatches, students: Sequence[_Student]) -> dict[str, Any]:
    return {"batches": batches.state(), "students": [student.state() for student in students]}


def _go_on(
    checkpoint: Checkpoint | None, batches: TargetBatches, students: Sequence[_Student]
) -> int:
    """Restore what a checkpoint holds; returns how many steps are done."""
    done, state = (0, {}) if checkpoint is None else checkpoint.load()
    if done:
        batches.restore(state["batches"])
        for student, stored in zip(students, state["students"], strict=True):
            student.restore(stored)
    return done


def _record(student: _Student, parts: dict[str, Tensor], step: int) -> None:
    values = {name: float(value) for name, value in parts.items()}
    if not np.isfinite(values["loss"]):
        rate = student.learning_rate
        raise TrainingError(
            f"the loss is {values['loss']} by step {step} ("
            + ", ".join(f"{name} {value:g}" for name, value in values.items() if name != "loss")
            + f"); lower the learning rate, now {rate:g} (training.learning_rate, or that of "
            "training.sources where a source architecture is fine-tuned)"
        )
    row = {"step": step, "learning_rate": student.current_rate, **values}
    student.outcome.history.append(row)


def _report(students: Sequence[_Student], step: int, steps: int, eta: float) -> None:
    log.info("step %d/%d, ETA %.0f s", step, steps, eta)
    for student in students:
        last = student.outcome.history[-1]
        log.info("  %-44s loss %.4f", student.plan.recipe, last["loss"])
