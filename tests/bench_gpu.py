"""What a GPU does while a student trains as in the paper's grid: `make bench DEVICE=cuda`."""

import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import bench
import numpy as np
import torch

from distillweighted.tasks.pools import Pool
from distillweighted.training.recorder import Recorder
from distillweighted.workflow.run import Run

PAPER = bench.MINI_PAPER.parent / "paper.yaml"


def main() -> None:
    # A machine with a GPU is less noisy than it is dear.
    bench.device, bench.REPEATS = torch.device("cuda"), 3
    with tempfile.TemporaryDirectory() as folder:
        pool, labels = bench.photographs(Path(folder))
        bench.full_size(pool, labels)
        gpu(pool, labels)
    bench.embedded()
    bench.exit_if_missed()


def gpu(pool: Pool, labels: np.ndarray) -> None:
    """Students an hour, images a second, utilisation and memory; what each part of it brings."""
    paper = Run.read(PAPER).made_from.settings
    settings = replace(paper, steps=200)

    def train(**view: int) -> None:
        bench.full_size_student(pool, labels, bench.SIZES, settings, **view)

    def with_threads(threads: int) -> None:
        with patch("distillweighted.batches.target_batches.makes_parts", lambda view: False):
            train(threads=threads)

    def unrecorded() -> None:
        with patch.object(Recorder, "record", lambda self, network, images: None):
            train()

    for threads in (1, 8):
        name = (
            f"images cut by {threads} threads / cut on the GPU, a step of 28 sources at 224 pixels"
        )
        bench.compare(name, lambda n=threads: with_threads(n), train)
    bench.compare("kernels started one by one / recorded, the same step", unrecorded, train)

    name = torch.cuda.get_device_name()
    torch.cuda.reset_peak_memory_stats()
    longer = replace(settings, steps=4 * settings.steps)
    spent = bench.seconds(train)
    more, busy = _watched(lambda: bench.full_size_student(pool, labels, bench.SIZES, longer))
    # Without what a training needs before its first step.
    steps = (longer.steps - settings.steps) / (more - spent)
    print(
        f"{name}: MobileNetV3-Large at 224 pixels with 28 sources, "
        f"{settings.labeled_batch} + {settings.unlabeled_batch} images a step: "
        f"{settings.images_per_step * steps:.0f} images a second, "
        f"{3600 * steps / paper.steps:.1f} students of {paper.steps} steps an hour; "
        f"utilisation {busy}; at most {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB of its "
        f"memory and {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB of the "
        "machine's"
    )


def _watched(work: Callable[[], None]) -> tuple[float, str]:
    """Seconds that work takes, and the median of the GPU's utilisation meanwhile."""
    done, seen = threading.Event(), []

    def watch() -> None:
        while not done.is_set():
            seen.append(torch.cuda.utilization())
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    try:
        torch.cuda.utilization()
    except (RuntimeError, ModuleNotFoundError) as error:
        return bench.seconds(work), f"unknown ({error})"
    watcher.start()
    spent = bench.seconds(work)
    done.set()
    watcher.join()
    return spent, f"{statistics.median(seen):.0f}%"
