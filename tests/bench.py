"""Speed of training and reading as ratios, each measured in one run: `make bench`.

Absolute times say more about the machine than about the code; every pair below is timed in turns,
and the median of the ratios is printed with its range, and with the goal that it has. A goal is
missed where no turn reached it: then the command fails, after all ratios.

Times are of the processor; with `--device cuda` (`make bench DEVICE=cuda`), which measures training
alone, of the clock, until the GPU has nothing left to do.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from distillweighted.batches.forward import Network, forward_together
from distillweighted.batches.target_batches import TargetBatches
from distillweighted.batches.views import PaddedCrop, ResizedCrop
from distillweighted.losses import distillation_loss, weighted_distillation_loss
from distillweighted.networks.classifier import build_model
from distillweighted.tasks.pools import Pool, RaggedPool, write_ragged
from distillweighted.training.loop import train_students
from distillweighted.training.settings import StudentSettings
from distillweighted.training.student import PseudoLabels, Student
from distillweighted.workflow.run import Run

MINI_PAPER = Path(__file__).resolve().parent.parent / "configs/mini_paper.yaml"
SIZES = (42, 32, 39, 48, 24, 16, 8) * 4  # the mini paper's 28 sources
REPEATS = 5


MISSED: list[str] = []
"""The ratios whose goal no turn reached."""

device = torch.device("cpu")
"""Where everything is measured."""


def seconds(work: Callable[[], object]) -> float:
    """Of the processor, or until a GPU has done what it was given."""
    if device.type == "cpu":
        start = time.process_time()
        work()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def compare(
    name: str,
    first: Callable[[], object],
    second: Callable[[], object],
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    repeats: int | None = None,
) -> None:
    """Print how many times longer `first` takes than `second`, and the goal that this has."""
    ratios = []
    for turn in range((repeats or REPEATS) + 1):
        pair = [seconds(first), seconds(second)]
        if turn > 0:  # the first turn warms up
            ratios.append(pair[0] / pair[1])
    low, high, goal = min(ratios), max(ratios), ""
    if at_least is not None:
        goal = f"  goal: at least {at_least}"
    if at_most is not None:
        goal = f"  goal: at most {at_most}"
    if high < (at_least or 0) or low > (at_most or high):
        MISSED.append(name)
        goal += ", missed"
    median = statistics.median(ratios)
    print(f"{name}: {median:.2f} ({low:.2f} to {high:.2f}){goal}", flush=True)


def exit_if_missed() -> None:
    """Fail where a goal was missed."""
    if MISSED:
        sys.exit("missed: " + "; ".join(MISSED))


def pseudo_labels(images: int, sizes: tuple[int, ...]) -> PseudoLabels:
    """Random ones of sources with so many classes, of equal weights."""
    logits = torch.randn(images, sum(sizes), generator=torch.Generator().manual_seed(0))
    probabilities = torch.cat([part.softmax(1) for part in logits.split(sizes, 1)], 1)
    names = tuple(map(str, range(len(sizes))))
    return PseudoLabels(probabilities, sizes, np.full(len(sizes), 1 / len(sizes)), names)


def bare_steps(
    name: str, size: int, classes: int, settings: StudentSettings, source_classes: int = 0
) -> None:
    """What no training can do without: a network's steps on one batch that lies there ready.

    Args:
        source_classes: Classes of one source, for eq. 1 with a second head; 0 for eq. 2 alone.
    """
    model = build_model(name, classes, seed=0).train().to(device)
    heads = torch.nn.Linear(model.num_features, max(source_classes, 1), device=device)
    parameters = [*model.parameters(), *(heads.parameters() if source_classes else ())]
    optimizer = torch.optim.AdamW(parameters, lr=0.001, fused=True)
    images = torch.randn(settings.images_per_step, 3, size, size, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    count = settings.labeled_batch if source_classes else len(images)
    labels = torch.randint(0, classes, (count,), device=device)
    targets = torch.randn(len(images) - count, max(source_classes, 1), device=device).softmax(1)
    for _ in range(settings.steps):
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            features = model.backbone(images)
            loss = functional.cross_entropy(model.head(features[:count]), labels)
            if source_classes:
                distilled = functional.cross_entropy(heads(features[count:]), targets)
                loss = 0.8 * loss + 0.2 * distilled
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


def embedded() -> None:
    """Students of the embedded benchmark: many small steps."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (1000, 24, 24, 3), dtype=np.uint8)
    labels = rng.integers(0, 32, 200)
    settings = replace(Run.read(MINI_PAPER).made_from.settings, steps=20, learning_rate=0.015)

    def train(*plans: tuple[str, PseudoLabels | None, str], settings=settings) -> None:
        batches = TargetBatches(
            images, np.arange(200), labels, np.arange(200, 1000), view=PaddedCrop(2), seed=0
        )
        students = [
            Student(f"{i}", objective, build_model(name, 32, seed=0), [0.5] * 3, [0.2] * 3, pseudo)
            for i, (name, pseudo, objective) in enumerate(plans)
        ]
        for _ in train_students(students, batches, settings, seed=0, device=device):
            pass

    one, many = pseudo_labels(1000, SIZES[:1]), pseudo_labels(1000, SIZES)
    single, multi = ("convnet_tiny", one, "distill"), ("convnet_tiny", many, "distill")
    transfer = ("convnet_tiny", None, "transfer")
    longer = replace(settings, steps=100)  # so that steps are nearly all of it
    for name, plans, classes in (
        ("a transferred student", [transfer], 0),
        ("a single-source student", [single], SIZES[0]),
        ("8 single-source students in a cohort", [single] * 8, SIZES[0]),
    ):
        compare(
            f"bare steps / steps of {name}",
            lambda plans=plans, classes=classes: [
                bare_steps("convnet_tiny", 24, 32, longer, classes) for _ in plans
            ],
            lambda plans=plans: train(*plans, settings=longer),
            at_least=0.85,
        )
    compare(
        "28 sources / one source, bare steps",
        lambda: bare_steps("convnet_tiny", 24, 32, longer, sum(SIZES)),
        lambda: bare_steps("convnet_tiny", 24, 32, longer, SIZES[0]),
    )
    compare(
        "28 sources / one source, steps of a student",
        lambda: train(multi, settings=longer),
        lambda: train(single, settings=longer),
        at_most=1.05,
    )
    for objective, loss in (("distill_decoupled", "DKD"), ("distill_standardized", "standardised")):
        other = [("convnet_tiny", many, objective)]
        compare(
            f"{loss} / eq. 3, steps of a student of 28 sources",
            lambda other=other: train(*other, settings=longer),
            lambda: train(multi, settings=longer),
        )
    compare("single-source student / transfer", lambda: train(single), lambda: train(transfer))
    compare(
        "8 students one after the other / the 8 in one cohort",
        lambda: [train(single) for _ in range(8)],
        lambda: train(*[single] * 8),
    )
    if device.type == "cpu":
        import_ratio(lambda: train(single))


def losses() -> None:
    """Eq. 4's sum over 28 sources."""
    logits = torch.randn(32, sum(SIZES), requires_grad=True)
    targets = pseudo_labels(32, SIZES).probabilities
    weights = torch.full((28,), 1 / 28)

    def loop() -> None:
        parts = zip(logits.split(SIZES, 1), targets.split(SIZES, 1), weights, strict=True)
        sum(w * distillation_loss(z, q) for z, q, w in parts).backward()

    def together() -> None:
        weighted_distillation_loss(logits, targets, SIZES, weights).backward()

    compare(
        "eq. 4's sum, source by source / in one function",
        lambda: [loop() for _ in range(20)],
        lambda: [together() for _ in range(20)],
    )


def photographs(folder: Path) -> tuple[Pool, np.ndarray]:
    """48 of 375 x 500 pixels, prepared and as JPEG files, of two classes."""
    rng = np.random.default_rng(0)
    images = []
    for i in range(48):
        coarse = Image.fromarray(rng.integers(0, 255, (24, 32, 3), dtype=np.uint8))
        images.append(np.asarray(coarse.resize((500, 375))))
        file = folder / f"jpeg/{i % 2}/{i}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[-1]).save(file, quality=90)
    facts = write_ragged(folder / "images.npy", images)
    return RaggedPool(folder / "images.npy", facts), np.arange(48) % 2


def full_size(pool: Pool, labels: np.ndarray) -> None:
    """Students of photographs, seen at 224 pixels."""
    small, on_cpu = Run.read(MINI_PAPER).made_from.settings, device.type == "cpu"
    # On a GPU as many as in the paper's grid.
    steps, labeled, unlabeled = (3, 8, 16) if on_cpu else (200, 32, 64)
    settings = replace(
        small, steps=steps, labeled_batch=labeled, unlabeled_batch=unlabeled, learning_rate=0.001
    )

    def train(sizes: tuple[int, ...]) -> None:
        full_size_student(pool, labels, sizes, settings)

    compare(
        "bare steps / steps with 28 sources, at 224 pixels",
        lambda: bare_steps("mobilenet_v3_large", 224, 2, settings),
        lambda: train(SIZES),
        at_least=0.95 if on_cpu else 0.90,
    )
    compare(
        "28 sources / one source, at 224 pixels",
        lambda: train(SIZES),
        lambda: train(SIZES[:1]),
        at_most=1.05,
    )


def full_size_student(
    pool: Pool, labels: np.ndarray, sizes: tuple[int, ...], settings: StudentSettings, **view: int
) -> None:
    """Train one student on photographs."""
    rows = np.arange(len(pool))
    crop = ResizedCrop(224, 0.2, True, **view)
    batches = TargetBatches(pool, rows, labels, rows, view=crop, seed=0)
    model = build_model("mobilenet_v3_large", 2, seed=0)
    pseudo = pseudo_labels(len(pool), sizes)
    student = Student("student", "distill", model, [0.5] * 3, [0.2] * 3, pseudo)
    for outcome in train_students([student], batches, settings, seed=0, device=device):
        if outcome.error is not None:
            sys.exit(outcome.error)


def reading(jpegs: Path, pool: Pool, labels: np.ndarray) -> None:
    """What the usual loader needs for an epoch, over what prepared images need."""
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    augment = [
        transforms.RandomResizedCrop(224, scale=(0.2, 1)),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(mean, std),
    ]
    usual = DataLoader(ImageFolder(str(jpegs), transforms.Compose(augment)), 24, shuffle=True)
    rows = np.arange(len(labels))
    batches = TargetBatches(pool, rows, labels, rows, view=ResizedCrop(224, 0.2, True), seed=0)

    def prepared() -> None:
        for _ in range(len(labels) // 24):
            batches.next_step()
            images, _ = batches.labeled(24)
            batches.normalized(images, mean=mean, std=std, device=torch.device("cpu"))

    compare(
        "ImageFolder and DataLoader / prepared images, on one core",
        lambda: list(usual),
        prepared,
        at_least=5,
    )


def asking(pool: Pool) -> None:
    """What the images of six sources take beside the networks: a pass each, and one for all."""
    view, cpu = ResizedCrop(224, 0.2, True), torch.device("cpu")
    network = Network(lambda batch: (batch[:, :, 0, 0].clone(),), [0.5] * 3, [0.2] * 3)
    compare(
        "images of 6 sources, in a pass each / in one pass",
        lambda: [forward_together({"": network}, pool, device=cpu, view=view) for _ in range(6)],
        lambda: forward_together(dict.fromkeys("abcdef", network), pool, device=cpu, view=view),
        at_least=4,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    torch.set_num_threads(1)
    if parser.parse_args().device == "cuda":
        import bench_gpu

        bench_gpu.main()
        return
    with tempfile.TemporaryDirectory() as folder:
        pool, labels = photographs(Path(folder))
        reading(Path(folder) / "jpeg", pool, labels)
        asking(pool)
        full_size(pool, labels)
    embedded()
    losses()
    exit_if_missed()


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
