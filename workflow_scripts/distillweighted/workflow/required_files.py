"""The files that a run needs and does not make: data sets and checkpoints, and where they lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from distillweighted.files.downloads.fetch import describe_missing, fetch, missing_files
from distillweighted.files.downloads.file_set import FileSet
from distillweighted.tasks.datasets.registry import DATASETS

MEGABYTES = {"alexnet": 233, "googlenet": 24, "resnet18": 45, "resnet50": 98}
MEGABYTES["mobilenet_v3_large"] = 22

BANK_PAGE = (
    "the PARC model bank (https://github.com/dbolya/parc, 'All Trained Models'): unpack models.zip "
    "so that its folder models/ lies there. Where it cannot be had: train the sources instead "
    "(in the configuration, sources: from: trained)"
)

TORCHVISION_PAGE = "torchvision's ImageNet weights of this architecture, saved under this name"


def checkpoint_path(architecture: str, task: str) -> str:
    """Where the checkpoint of an architecture trained on a task lies under the models root."""
    if task == "imagenet":
        return f"torchvision/{architecture}.pth"
    return f"models/{architecture}/{architecture}_{task}.pth"


def checkpoint_files(architecture: str, task: str) -> FileSet:
    """The checkpoint of an architecture trained on a task. Imports torchvision for its address."""
    path = checkpoint_path(architecture, task)
    size = MEGABYTES.get(architecture, 100) * 1_000_000
    if task != "imagenet":
        return FileSet(path, size, BANK_PAGE)
    from distillweighted.sources.published_weights import torchvision_weights_url

    url = torchvision_weights_url(architecture)
    # torchvision's file names end with the first digits of the checksum, as in resnet50-0676ba61.
    digits = url.removesuffix(".pth").rpartition("-")[2]
    return FileSet(path, size, TORCHVISION_PAGE, url, f"sha256:{digits}")


def missing_text(
    tasks: Iterable[str],
    checkpoints: Iterable[tuple[str, str]],
    *,
    data_root: Path | None,
    models_root: Path | None,
) -> str:
    """What of the needed files is missing, for a person; "" where nothing is.

    Args:
        tasks: Names of data sets.
        checkpoints: Architecture and task of each checkpoint.
        data_root: The folder that holds the data sets.
        models_root: The folder that holds the checkpoints.
    """
    missing = []
    if data_root is not None:
        missing += missing_files({task: DATASETS[task].files for task in tasks}, data_root)
    if models_root is not None:
        absent = [
            (architecture, task)
            for architecture, task in checkpoints
            if not (models_root / checkpoint_path(architecture, task)).is_file()
        ]
        files: Mapping = {
            f"{architecture} trained on {task}": [checkpoint_files(architecture, task)]
            for architecture, task in absent
        }
        missing += missing_files(files, models_root)
    return describe_missing(missing)


def fetch_all(
    tasks: Iterable[str],
    checkpoints: Iterable[tuple[str, str]],
    *,
    data_root: Path | None,
    models_root: Path | None,
) -> str:
    """Download what may be downloaded automatically; returns what is missing still, as above."""
    tasks, checkpoints = list(tasks), list(checkpoints)
    if data_root is not None:
        fetch([files for task in tasks for files in DATASETS[task].files], data_root)
    if models_root is not None:
        fetch([checkpoint_files(*checkpoint) for checkpoint in checkpoints], models_root)
    return missing_text(tasks, checkpoints, data_root=data_root, models_root=models_root)
