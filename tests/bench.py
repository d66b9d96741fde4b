"""Speed as ratios, each measured in one run: `make bench`.

Absolute times say more about the machine than about the code; every pair below is timed in turns,
and the median of the ratios is printed with its range. `python tests/bench.py similarity` measures
the similarity alone.
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
from scipy.stats import spearmanr

from distillweighted.batches.target_batches import TargetBatches
from distillweighted.batches.views import PaddedCrop
from distillweighted.losses import distillation_loss, weighted_distillation_loss
from distillweighted.networks.classifier import build_model
from distillweighted.similarity.metrics.parc import parc
from distillweighted.similarity.scores import score_sources
from distillweighted.training.loop import train_students
from distillweighted.training.student import PseudoLabels, Student
from distillweighted.workflow.run import Run

MINI_PAPER = Path(__file__).resolve().parent.parent / "configs/mini_paper.yaml"
SIZES = (42, 32, 39, 48, 24, 16, 8) * 4  # the mini paper's 28 sources
REPEATS = 5


def compare(
    name: str, first: Callable[[], object], second: Callable[[], object], *, repeats: int = REPEATS
) -> None:
    """Print how many times longer `first` takes than `second`."""
    ratios = []
    for turn in range(repeats + 1):
        seconds = []
        for work in (first, second):
            start = time.process_time()
            work()
            seconds.append(time.process_time() - start)
        if turn > 0:  # the first turn warms up
            ratios.append(seconds[0] / seconds[1])
    low, high = min(ratios), max(ratios)
    print(f"{name}: {statistics.median(ratios):.2f} ({low:.2f} to {high:.2f})", flush=True)


def similarity() -> None:
    """PARC against the public code, and all scores against the implementation before this one."""
    rng = np.random.default_rng(0)
    for n, d in ((2000, 64), (2000, 512), (5000, 64)):
        labels = rng.permutation(np.arange(n) % 37)
        features = 0.3 * rng.normal(size=(37, d))[labels] + rng.normal(size=(n, d))
        compare(
            f"PARC of {n:,} images, {d} features: the public code's time / ours",
            lambda x=features, y=labels: public_parc(x, y),
            lambda x=features, y=labels: parc(x, y, standardize=True),
            repeats=REPEATS if n < 5000 else 3,
        )

    labels = rng.integers(0, 32, 1110)
    for name, widths in (
        ("the mini paper's", (64, 128, 96, 128)),
        ("one of 2,048 features", (2048,)),
    ):
        bank = {}
        for i, size in enumerate(SIZES if len(widths) > 1 else SIZES[:1]):
            features = rng.normal(size=(1110, widths[i % len(widths)])) + labels[:, None] % 2
            logits = np.exp(2 * rng.normal(size=(1110, size)))
            bank[f"{i}"] = {
                "features": features.astype(np.float32),
                "pseudo_labels": (logits / logits.sum(axis=1, keepdims=True)).astype(np.float32),
            }

        def former(bank: dict = bank) -> list[float]:
            arrays = [x.astype(np.float64) for outputs in bank.values() for x in outputs.values()]
            every = (former_parc, lambda x, y: former_parc(standardized(x), y), former_cka)
            return [score(x, labels) for x in arrays for score in every]

        def ours(bank: dict = bank) -> list[float]:
            rows, metrics = np.arange(len(labels)), ("parc", "rsa", "cka")
            table = score_sources(bank, labels, rows, metrics=metrics, target="t", seed=0)
            return table["score"].tolist()

        np.testing.assert_allclose(ours(), former(), rtol=0, atol=1e-12)
        compare(
            f"{6 * len(bank)} scores of 1,110 images, sources: {name}, formerly / now",
            former,
            ours,
            repeats=3,
        )


def standardized(features: np.ndarray) -> np.ndarray:
    return (features - features.mean(axis=0)) / features.std(axis=0)


def public_parc(features: np.ndarray, labels: np.ndarray) -> float:
    """PARC as its authors' code computes it, step by step."""
    triangle = np.triu_indices(len(features), 1)
    of_features = (1 - np.corrcoef(standardized(features)))[triangle]
    of_labels = (1 - np.corrcoef(np.eye(labels.max() + 1)[labels]))[triangle]
    return spearmanr(of_features, of_labels).statistic


def former_parc(features: np.ndarray, labels: np.ndarray) -> float:
    """PARC by ranking both sides: the exact score, before one sort gave it."""
    triangle = np.triu_indices(len(features), 1)
    rows = features - features.mean(axis=1, keepdims=True)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    of_features = np.round(1 - rows @ rows.T, 12)[triangle]
    of_labels = (labels[:, None] != labels).astype(np.float64)[triangle]
    return spearmanr(of_features, of_labels).statistic


def former_cka(features: np.ndarray, labels: np.ndarray) -> float:
    """CKA by products of features, or by kernels where they are smaller."""
    x = features - features.mean(axis=0)
    y = np.eye(labels.max() + 1)[labels]
    y -= y.mean(axis=0)

    def product(a: np.ndarray, b: np.ndarray) -> float:
        if a.shape[1] * b.shape[1] <= len(a) * (a.shape[1] + b.shape[1]):
            return np.square(a.T @ b).sum()
        kernel = a @ a.T
        return (kernel * (kernel if b is a else b @ b.T)).sum()

    return product(x, y) / np.sqrt(product(x, x) * product(y, y))


def main() -> None:
    torch.set_num_threads(1)
    similarity()
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
    similarity() if sys.argv[1:] == ["similarity"] else main()
