"""Writes the miniature data sets and models that `make paper-check` runs on."""

import sys
from pathlib import Path

from tests.miniature import write_all
from tests.miniature.bank import write_bank, write_torchvision_weights

from distillweighted.tasks.datasets.registry import PAPER

SOURCE_ARCHITECTURES = ("alexnet", "googlenet", "resnet18", "resnet50")
SOURCE_TASKS = (
    "nabird",
    "oxford_pets",
    "cub200",
    "caltech101",
    "stanford_dogs",
    "voc2007",
    "cifar10",
)


def main(folder: Path) -> None:
    """Write data sets under `folder`/data and checkpoints under `folder`/checkpoints."""
    if (folder / "finished").is_file():
        return
    write_all(folder / "data", classes=4, per_class=12, seed=0)
    classes = {data_set.name: data_set.num_classes for data_set in PAPER}
    counts = {task: classes[task] for task in SOURCE_TASKS}
    bank = folder / "checkpoints"
    write_bank(bank, architectures=SOURCE_ARCHITECTURES, class_counts=counts, seed=0)
    write_torchvision_weights(bank, ("mobilenet_v3_large", *SOURCE_ARCHITECTURES), seed=0)
    (folder / "finished").touch()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
