"""A task of the embedded benchmark as ordinary image files, as people have them in folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from distillweighted.seeds import derive_seed
from distillweighted.tasks import embedded
from distillweighted.tasks.prepared import POOLS
from distillweighted.tasks.registry import KNOWN_TASKS
from distillweighted.tasks.splits import split_labeled

SIZES = {"target_images": 1000, "test_images": 1000}
"""Images of a target of the demo; the real digits have fewer."""

BENCHMARK = {"seed": 2024, "image_size": 24}
"""Seed and side of the images, as of the demo."""


def export_task(task: str, folder: Path, *, labeled: float = 0.2, seed: int = 0) -> dict[str, int]:
    """Write a task as PNG files: labeled/<class>/, unlabeled/ and test/<class>/.

    Args:
        task: Name of a task of the embedded benchmark.
        folder: Where to; must be empty or not there.
        labeled: Share of the training images that are labelled, in (0, 1).
        seed: Seed of their choice: they are those that a run with this seed labels.

    Returns:
        How many images each part has.

    Raises:
        ValueError: Where there is no such task, or too few images would be labelled.
        FileExistsError: Where the folder is not empty.
    """
    from PIL import Image

    if task not in embedded.TASKS:
        known = ", ".join(embedded.TASKS)
        raise ValueError(f"'{task}' is no task of the embedded benchmark (allowed: {known})")
    if not 0 < labeled < 1:
        raise ValueError(f"--labeled is {labeled:g} (allowed: a number above 0 and below 1)")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is there already, and not an empty folder")
    classes = embedded.class_names(task)
    counts = dict.fromkeys(("labeled", "unlabeled", "test"), 0)
    sizes = KNOWN_TASKS[task].sizes({"embedded": SIZES, "targets": [task]})
    for pool in POOLS:
        size = sizes[f"{pool}_images"]
        images, labels = embedded.generate(task, num_images=size, pool=pool, **BENCHMARK)
        mask = np.ones(len(images), bool)
        if pool == "train":
            split_seed = derive_seed(seed, task, "split") % 2**32
            mask = split_labeled(labels, labeled, seed=split_seed)
        for row, (image, label, known) in enumerate(zip(images, labels.tolist(), mask.tolist())):
            part = "test" if pool == "test" else "labeled" if known else "unlabeled"
            place = folder / part / (classes[label] if part != "unlabeled" else "")
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place / f"{row:04d}.png")
            counts[part] += 1
    return counts
