"""One training loop, for students of any objective and for sources.

Several students of one target and seed may train together on the same batches (a cohort). Each has
its own network, heads, optimiser and random state, so its result does not depend on its company,
and one that fails leaves the others alone.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distillweighted.batches.target_batches import TargetBatches
from distillweighted.training.recorder import Recorder
from distillweighted.training.resumption import Checkpoint
from distillweighted.training.settings import StudentSettings
from distillweighted.training.student import Student, StudentInTraining
from distillweighted.training.trainee import Outcome, Trainee, TrainingError

log = logging.getLogger(__name__)

PREPARES_AHEAD = ("cuda",)
"""Types of device for which batches are prepared in a thread while a step is computed. Not the CPU:
there both would want the cores, which jobs side by side use already, and preparing 48 images of 24
pixels takes a twentieth of one step of one student, of which a cohort has 28."""


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
    everyone = [
        StudentInTraining(one, settings, seed=seed, device=device)
        for one in _with_lessons_on(device, students)
    ]
    yield from train(everyone, batches, settings.steps, checkpoint=checkpoint)


def _with_lessons_on(device: torch.device, students: Sequence[Student]) -> Iterator[Student]:
    """The students with what they are taught on a device, what several are taught once.

    In the precision of its file: half of it would do for eq. 3, but not for losses of logarithms.
    """
    moved: dict[int, Tensor] = {}

    def there(lessons: Tensor | None) -> Tensor | None:
        if lessons is None:
            return None
        if id(lessons) not in moved:
            moved[id(lessons)] = lessons.to(device)
        return moved[id(lessons)]

    for one in students:
        pseudo = one.pseudo_labels
        if pseudo is not None:
            pseudo = replace(pseudo, probabilities=there(pseudo.probabilities))
        yield replace(one, pseudo_labels=pseudo, probe_labels=there(one.probe_labels))


def train(
    trainees: Sequence[Trainee],
    batches: TargetBatches,
    steps: int,
    *,
    checkpoint: Checkpoint | None = None,
) -> Iterator[Outcome]:
    """Train networks together on the same batches, a step of each in turn.

    Args:
        trainees: The networks, at their first step.
        batches: Source of batches, at its first step.
        steps: How many steps.
        checkpoint: As of `train_students`.

    Yields:
        As `train_students`.

    Raises:
        TrainingStopped: Where a signal asked for it (with a checkpoint only).
    """
    interval = max(1, steps // 10)
    with (
        torch.random.fork_rng(devices=[]),
        checkpoint or contextlib.nullcontext(),
        _waiting_for_nothing(batches, trainees),
    ):
        done = _go_on(checkpoint, batches, trainees)
        yield from (one.outcome for one in trainees if one.outcome.error is not None)
        training = [one for one in trainees if one.outcome.error is None]
        started = time.monotonic()
        for step in range(done + 1, steps + 1):
            batches.next_step()
            for trainee in list(training):
                trainee.clock.start()
                try:
                    parts = trainee.step(batches, step)
                    if step % interval == 0 or step == steps:
                        _record(trainee, parts, step)
                except (RuntimeError, ValueError) as error:
                    training.remove(trainee)
                    trainee.outcome.error = str(error)
                    log.error("%s stopped at step %d: %s", trainee.recipe, step, error)
                    yield trainee.outcome
                trainee.clock.stop()
            if step % interval == 0 and training:
                eta = (time.monotonic() - started) / (step - done) * (steps - step)
                _report(training, step, steps, eta)
            if checkpoint is not None:
                checkpoint.after_step(step, steps, lambda: _state(batches, trainees))
    for trainee in training:
        trainee.outcome.seconds += trainee.clock.take()
        trainee.outcome.model = trainee.model
        yield trainee.outcome


@contextlib.contextmanager
def _waiting_for_nothing(batches: TargetBatches, trainees: Sequence[Trainee]) -> Iterator[None]:
    """While it is open, a GPU has its batches ready, and the networks' kernels recorded."""
    device = next((one.device for one in trainees if one.device.type in PREPARES_AHEAD), None)
    if device is None:
        yield
        return
    recorder = Recorder() if device.type == "cuda" else None
    for trainee in trainees:
        trainee.recorder = recorder
    try:
        with batches.ahead(device):
            yield
    finally:
        if recorder is not None:
            recorder.forget()


def _state(batches: TargetBatches, trainees: Sequence[Trainee]) -> dict[str, Any]:
    return {"batches": batches.state(), "trainees": [trainee.state() for trainee in trainees]}


def _go_on(
    checkpoint: Checkpoint | None, batches: TargetBatches, trainees: Sequence[Trainee]
) -> int:
    """Restore what a checkpoint holds; returns how many steps are done."""
    done, state = (0, {}) if checkpoint is None else checkpoint.load()
    if done:
        batches.restore(state["batches"])
        for trainee, stored in zip(trainees, state["trainees"], strict=True):
            trainee.restore(stored)
    return done


def _record(trainee: Trainee, parts: dict[str, Tensor], step: int) -> None:
    values = {name: float(value) for name, value in parts.items()}
    if not np.isfinite(values["loss"]):
        others = [f"{name} {value:g}" for name, value in values.items() if name != "loss"]
        raise TrainingError(
            f"the loss is {values['loss']} by step {step}"
            + (f" ({', '.join(others)})" if others else "")
            + f"; lower the learning rate, now {trainee.learning_rate:g} ({trainee.rate_key})"
        )
    row = {"step": step, "learning_rate": trainee.current_rate, **values}
    trainee.outcome.history.append(row)


def _report(trainees: Sequence[Trainee], step: int, steps: int, eta: float) -> None:
    log.info("step %d/%d, ETA %.0f s", step, steps, eta)
    for trainee in trainees:
        last = trainee.outcome.history[-1]
        log.info("  %-44s loss %.4f", trainee.recipe, last["loss"])
