"""Where the time goes, in a training step, an inference job and the demo: `make profiles`.

Times are of the processor. A stage's time is its own, without that of stages within it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from bench import MINI_PAPER, SIZES, full_size_student, photographs, pseudo_labels

from distillweighted import losses
from distillweighted.batches import forward
from distillweighted.batches.forward import Network
from distillweighted.batches.target_batches import TargetBatches
from distillweighted.batches.views import PaddedCrop, ResizedCrop
from distillweighted.networks.classifier import build_model
from distillweighted.tasks.pools import Pool
from distillweighted.training import loop
from distillweighted.training.optimizer import AdamW
from distillweighted.training.settings import StudentSettings
from distillweighted.training.student import Student, StudentInTraining
from distillweighted.training.trainee import Trainee
from distillweighted.workflow.run import Run

ROOT = Path(__file__).resolve().parents[1]
TRAINING_JOBS = ("train_source", "train_students")


class Stages:
    """The time of functions, each by itself."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._within: list[float] = []

    def timed(self, stage: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its time added to a stage."""

        @functools.wraps(work)
        def timed_work(*args: Any, **named: Any) -> Any:
            start = time.process_time()
            self._within.append(0.0)
            try:
                return work(*args, **named)
            finally:
                spent = time.process_time() - start
                self.seconds[stage] += spent - self._within.pop()
                if self._within:
                    self._within[-1] += spent

        return timed_work

    @contextlib.contextmanager
    def of(self, *places: tuple[str, Any, str]) -> Iterator[None]:
        """While it is open, functions are timed, each given as stage, owner and name."""
        with ExitStack() as stack:
            for stage, owner, name in places:
                work = self.timed(stage, getattr(owner, name))
                stack.enter_context(mock.patch.object(owner, name, work))
            yield

    def print(self, title: str) -> None:
        """Print each stage's share."""
        whole = sum(self.seconds.values())
        print(f"\n{title}")
        for stage, seconds in self.seconds.most_common():
            print(f"  {seconds / whole:6.1%}  {stage}")


def training_step(title: str, train: Callable[[StudentSettings], None], steps: int) -> None:
    """The stages of a student's steps; the first student warms up."""
    settings = replace(Run.read(MINI_PAPER).student_settings, learning_rate=0.001)
    train(replace(settings, steps=2))
    stages = Stages()
    with stages.of(
        ("images drawn and cut", TargetBatches, "_batch"),
        ("images normalised", TargetBatches, "normalized"),
        ("pseudo-labels gathered", StudentInTraining, "lessons"),
        ("losses", losses, "labeled_loss"),
        ("losses", losses, "weighted_distillation_loss"),
        ("losses", losses, "single_source_loss"),
        ("forward pass, heads too", StudentInTraining, "losses"),
        ("backward pass", torch.Tensor, "backward"),
        ("optimiser and learning rate", AdamW, "step"),
        ("optimiser and learning rate", AdamW, "zero_grad"),
        ("optimiser and learning rate", torch.optim.lr_scheduler.OneCycleLR, "step"),
        ("the rest of a step", Trainee, "step"),
        ("the loop, and what precedes it", loop, "train"),
    ):
        train(replace(settings, steps=steps))
    stages.print(title)


def embedded_student(settings: StudentSettings) -> None:
    """Train a student of the embedded benchmark on 28 sources."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (1000, 24, 24, 3), dtype=np.uint8)
    rows, labels = np.arange(1000), rng.integers(0, 32, 200)
    batches = TargetBatches(images, rows[:200], labels, rows[200:], view=PaddedCrop(2), seed=0)
    model, pseudo = build_model("convnet_tiny", 32, seed=0), pseudo_labels(1000, SIZES)
    student = Student("student", "distill", model, [0.5] * 3, [0.2] * 3, pseudo)
    for outcome in loop.train_students(
        [student], batches, settings, seed=0, device=torch.device("cpu")
    ):
        if outcome.error is not None:
            sys.exit(outcome.error)


def inference_pass(pool: Pool) -> None:
    """The stages of one source's pass over photographs."""
    model = build_model("resnet18", 101, seed=0).eval()
    stages = Stages()
    network = Network(stages.timed("network", lambda x: (model(x),)), [0.5] * 3, [0.2] * 3)

    def ask() -> None:
        forward.forward_together(
            {"source": network}, pool, device=torch.device("cpu"), view=ResizedCrop(224, 0.2, True)
        )

    ask()
    stages.seconds.clear()
    with stages.of(
        ("images read, resized and cut", ResizedCrop, "plain"),
        ("images normalised", forward, "normalize"),
        ("the rest", forward, "forward_together"),
    ):
        ask()
    stages.print("One source asked, ResNet-18 at 224 pixels, photographs of 375 x 500")


def demo() -> None:
    """The demo's processes by rule, and the share of those that do not train."""
    spent: Counter[str] = Counter()
    jobs: Counter[str] = Counter()

    def wait(process: subprocess.Popen, flags: int) -> tuple[int, int]:
        """As `Popen._try_wait`, which asks for no usage."""
        try:
            pid, status, used = os.wait4(process.pid, flags)
        except ChildProcessError:
            return process.pid, 0
        script = re.search(r"scripts/tmp\w+\.(\w+)\.py", str(process.args))
        if pid and script:
            spent[script[1]] += used.ru_utime + used.ru_stime
            jobs[script[1]] += 1
        return pid, status

    def used(who: int) -> float:
        usage = resource.getrusage(who)
        return usage.ru_utime + usage.ru_stime

    from snakemake.cli import main

    results = ROOT / "results/profiles"
    shutil.rmtree(results, ignore_errors=True)
    before = used(resource.RUSAGE_SELF), used(resource.RUSAGE_CHILDREN)
    os.chdir(ROOT)
    try:
        with mock.patch.object(subprocess.Popen, "_try_wait", wait):
            main(["--cores", "all", "--quiet", "all", "--config", f"name={results.name}"])
    except SystemExit as ended:
        if ended.code:
            raise
    own, children = used(resource.RUSAGE_SELF), used(resource.RUSAGE_CHILDREN)
    shutil.rmtree(results)
    spent["shell commands, and the report"] = children - before[1] - sum(spent.values())
    spent["Snakemake"] = own - before[0]
    whole = sum(spent.values())
    print(f"\nThe demo, {whole:.0f} CPU seconds, by rule")
    for rule, seconds in spent.most_common():
        count = f" ({jobs[rule]})" if jobs[rule] else ""
        print(f"  {seconds / whole:6.1%}  {rule}{count}")
    outside = 1 - sum(spent[rule] for rule in TRAINING_JOBS) / whole
    print(f"  {outside:6.1%}  all but the jobs that train (goal: at most 25%)")


def main() -> None:
    torch.set_num_threads(1)
    training_step(
        "A training step, convnet_tiny at 24 pixels, 28 sources", embedded_student, steps=200
    )
    with tempfile.TemporaryDirectory() as folder:
        pool, labels = photographs(Path(folder))
        training_step(
            "A training step, MobileNetV3-Large at 224 pixels, 28 sources",
            lambda settings: full_size_student(pool, labels, SIZES, settings),
            steps=5,
        )
        inference_pass(pool)
    demo()


if __name__ == "__main__":
    main()
