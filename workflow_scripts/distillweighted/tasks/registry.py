"""Every task by name: those of the embedded benchmark and the public data sets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distillweighted.tasks import embedded
from distillweighted.tasks.datasets.registry import DATASETS
from distillweighted.tasks.listing import TEST_FRACTION, DataSet

DIGITS_POOLS = {"train_images": 1100, "test_images": 697}
"""Images that there are of the embedded benchmark's real digits, by pool."""


@dataclass(frozen=True)
class Task:
    """A classification task.

    Attributes:
        name: Its name in configurations and paths.
        num_classes: Classes, as published; a copy on disk may have fewer where its counts are not
            checked.
        role: source, target, both, generalist (stands for ImageNet) or development.
        multi_label: Whether an image has several classes; such a task cannot be a target.
        data_set: Where it is on disk; None where it is generated.
    """

    name: str
    num_classes: int
    role: str
    multi_label: bool = False
    data_set: DataSet | None = None


TASKS: dict[str, Task] = {
    **{t.name: Task(t.name, t.num_classes, t.role) for t in embedded.TASKS.values()},
    **{
        d.name: Task(d.name, d.num_classes, "source" if d.multi_label else "both", d.multi_label, d)
        for d in DATASETS.values()
    },
}
"""Every task by name."""


def task_images(config: Mapping[str, Any], task: str) -> dict[str, int]:
    """How many images a task has in each pool.

    Args:
        config: A complete configuration.
        task: Name of a task.

    Returns:
        train_images and test_images; of a data set, as published.
    """
    data_set = TASKS[task].data_set
    if data_set is not None:
        if data_set.official_split:
            return {"train_images": data_set.num_train, "test_images": data_set.num_test}
        test = math.ceil(data_set.num_train * TEST_FRACTION)
        return {"train_images": data_set.num_train - test, "test_images": test}
    sizes = config["embedded"]
    counts = {
        "train_images": sizes[train_images_key(config, task)],
        "test_images": sizes["test_images"],
    }
    if embedded.TASKS[task].family == "digits":
        counts = {pool: min(size, DIGITS_POOLS[pool]) for pool, size in counts.items()}
    return counts


def train_images_key(config: Mapping[str, Any], task: str) -> str:
    """The key of `embedded` that says how many training images a generated task has."""
    if task in config["targets"]:
        return "target_images"
    return "generalist_images" if TASKS[task].role == "generalist" else "source_images"
