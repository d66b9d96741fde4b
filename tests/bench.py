"""Speed as ratios, each measured in one run: `make bench`.

Absolute times say more about the machine than about the code; every pair below is timed in turns,
and the median of the ratios is printed with its range.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from distillweighted.batches.target_batches import TargetBatches
from distillweighted.batches.views import PaddedCrop
from distillweighted.losses import distillation_loss, weighted_distillation_loss
from distillweighted.networks.classifier import build_model
from distillweighted.training.loop import train_students
from distillweighted.training.student import PseudoLabels, Student
from distillweighted.workflow.run import Run

MINI_PAPER = Path(__file__).resolve().parent.parent / "configs/mini_paper.yaml"
SIZES = (42, 32, 39, 48, 24, 16, 8) * 4  # the mini paper's 28 sources
REPEATS = 5


def compare(name: str, first: Callable[[], object], second: Callable[[], object]) -> None:
    """Print how many times longer `first` takes than `second`."""
    ratios = []
    for turn in range(REPEATS + 1):
        seconds = []
        for work in (first, second):
            start = time.process_time()
            work()
            seconds.append(time.process_time() - start)
        if turn > 0:  # the first turn warms up
            ratios.append(seconds[0] / seconds[1])
    low, high = min(ratios), max(ratios)
    print(f"{name}: {statistics.median(ratios):.2f} ({low:.2f} to {high:.2f})", flush=True)


def main() -> None:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (1000, 24, 24, 3), dtype=np.uint8)
    labels = rng.integers(0, 32, 200)
    settings = replace(Run.read(MINI_PAPER).student_settings, steps=20, learning_rate=0.015)

    def pseudo_labels(sizes: tuple[int, ...]) -> PseudoLabels:
        logits = torch.randn(1000, sum(sizes), generator=torch.Generator().manual_seed(0))
        probabilities = torch.cat([part.softmax(1) for part in logits.split(sizes, 1)], 1)
        names = tuple(map(str, range(len(sizes))))
        return PseudoLabels(probabilities, sizes, np.full(len(sizes), 1 / len(sizes)), names)

    def train(*plans: tuple[str, PseudoLabels | None, str]) -> None:
        batches = TargetBatches(
            images, np.arange(200), labels, np.arange(200, 1000), view=PaddedCrop(2), seed=0
        )
        students = [
            Student(f"{i}", objective, build_model(name, 32, seed=0), [0.5] * 3, [0.2] * 3, pseudo)
            for i, (name, pseudo, objective) in enumerate(plans)
        ]
        for _ in train_students(students, batches, settings, seed=0, device=torch.device("cpu")):
            pass

    one, many = pseudo_labels(SIZES[:1]), pseudo_labels(SIZES)
    single, multi = ("convnet_tiny", one, "distill"), ("convnet_tiny", many, "distill")
    transfer = ("convnet_tiny", None, "transfer")
    compare("28 sources / one source, a student", lambda: train(multi), lambda: train(single))
    compare("single-source student / transfer", lambda: train(single), lambda: train(transfer))
    compare(
        "8 students one after the other / the 8 in one cohort",
        lambda: [train(single) for _ in range(8)],
        lambda: train(*[single] * 8),
    )
    import_ratio(lambda: train(single))
    logits = torch.randn(32, sum(SIZES), requires_grad=True)
    weights = torch.full((28,), 1 / 28)

    def loop() -> None:
        parts = zip(
            logits.split(SIZES, 1), many.probabilities[:32].split(SIZES, 1), weights, strict=True
        )
        sum(w * distillation_loss(z, q) for z, q, w in parts).backward()

    def together() -> None:
        loss = weighted_distillation_loss(logits, many.probabilities[:32], SIZES, weights)
        loss.backward()

    compare(
        "eq. 4's sum, source by source / in one function",
        lambda: [loop() for _ in range(20)],
        lambda: [together() for _ in range(20)],
    )


def import_ratio(train: Callable[[], None]) -> None:
    """Print the CPU time of importing torch over that of training one student."""
    code = "import time, torch; print(time.process_time())"
    ratios = []
    for _ in range(REPEATS):
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        start = time.process_time()
        train()
        ratios.append(float(done.stdout) / ((time.process_time() - start) * 400 / 20))
    low, high = min(ratios), max(ratios)
    median = statistics.median(ratios)
    print(f"importing torch / a student of 400 steps: {median:.2f} ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
