"""Training students: one loop for distillation, transfer and FixMatch.

Several students of one target and seed may train together on the same batches (a cohort). Each has
its own network, heads, optimiser and random state, so its result does not depend on its company,
and one that fails leaves the others alone.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distillweighted.batches.target_batches import TargetBatches
from distillweighted.training.resumption import Checkpoint
from distillweighted.training.settings import StudentSettings
from distillweighted.training.student import Outcome, Student, StudentInTraining, TrainingError

log = logging.getLogger(__name__)


def train_students(
    students: Sequence[Student],
    batches: TargetBatches,
    settings: StudentSettings,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
) -> Iterator[Outcome]:
    """Train students together on the same batches.

    Args:
        students: The students; their models are changed in place.
        batches: Source of batches, at its first step.
        settings: Training settings.
        seed: Seed of heads and of layers that draw (dropout).
        device: Where to train.
        checkpoint: Where to save the training, and to go on from; the caller removes it once the
            outcomes are safe.

    Yields:
        One outcome a student: failures as they happen, the trained ones at the end.

    Raises:
        TrainingStopped: Where a signal asked for it (with a checkpoint only).
    """
    everyone = [StudentInTraining(one, settings, seed=seed, device=device) for one in students]
    done = _go_on(checkpoint, batches, everyone)
    yield from (student.outcome for student in everyone if student.outcome.error is not None)
    training = [student for student in everyone if student.outcome.error is None]
    interval = max(1, settings.steps // 10)
    started = time.monotonic()
    with torch.random.fork_rng(devices=[]), checkpoint or contextlib.nullcontext():
        for step in range(done + 1, settings.steps + 1):
            batches.next_step()
            for student in list(training):
                before = time.monotonic()
                try:
                    parts = student.step(batches, step)
                    if step % interval == 0 or step == settings.steps:
                        _record(student, parts, step)
                except (RuntimeError, ValueError) as error:
                    training.remove(student)
                    student.outcome.error = str(error)
                    log.error("%s stopped at step %d: %s", student.recipe, step, error)
                    yield student.outcome
                student.outcome.seconds += time.monotonic() - before
            if step % interval == 0 and training:
                eta = (time.monotonic() - started) / (step - done) * (settings.steps - step)
                _report(training, step, settings.steps, eta)
            if checkpoint is not None:
                checkpoint.after_step(step, settings.steps, lambda: _state(batches, everyone))
    for student in training:
        student.outcome.model = student.model
        yield student.outcome


def _state(batches: TargetBatches, students: Sequence[StudentInTraining]) -> dict[str, Any]:
    return {"batches": batches.state(), "students": [student.state() for student in students]}


def _go_on(
    checkpoint: Checkpoint | None, batches: TargetBatches, students: Sequence[StudentInTraining]
) -> int:
    """Restore what a checkpoint holds; returns how many steps are done."""
    done, state = (0, {}) if checkpoint is None else checkpoint.load()
    if done:
        batches.restore(state["batches"])
        for student, stored in zip(students, state["students"], strict=True):
            student.restore(stored)
    return done


def _record(student: StudentInTraining, parts: dict[str, Tensor], step: int) -> None:
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


def _report(students: Sequence[StudentInTraining], step: int, steps: int, eta: float) -> None:
    log.info("step %d/%d, ETA %.0f s", step, steps, eta)
    for student in students:
        last = student.outcome.history[-1]
        log.info("  %-44s loss %.4f", student.recipe, last["loss"])
