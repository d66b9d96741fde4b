"""The files that a run needs and does not make: data sets and checkpoints, and where they lie."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from distillweighted.files.downloads.fetch import describe_missing, fetch, missing_files
from distillweighted.sources.origins.registry import ORIGINS
from distillweighted.tasks.datasets.registry import DATASETS


def describe_missing_files(
    tasks: Iterable[str],
    models: Iterable[tuple[str, str, str]],
    *,
    data_root: Path | None,
    models_root: Path | None,
) -> str:
    """A message that lists the files that a run needs and that are not there; "" if all are.

    Args:
        tasks: Names of data sets.
        models: Origin, architecture and task of each model that is loaded.
        data_root: The folder that holds the data sets.
        models_root: The folder that holds the checkpoints.
    """
    missing = []
    if data_root is not None:
        missing += missing_files({task: DATASETS[task].files for task in tasks}, data_root)
    if models_root is not None:
        # Only of those that are absent: a file set may take torchvision to tell.
        files = {
            f"{architecture} trained on {task}": [ORIGINS[origin].file_set(architecture, task)]
            for origin, architecture, task in models
            if not (models_root / ORIGINS[origin].path(architecture, task)).is_file()
        }
        missing += missing_files(files, models_root)
    return describe_missing(missing)


def fetch_all(
    tasks: Iterable[str],
    models: Iterable[tuple[str, str, str]],
    *,
    data_root: Path | None,
    models_root: Path | None,
) -> str:
    """Download what may be downloaded automatically; returns what is missing still, as above."""
    tasks, models = list(tasks), list(models)
    if data_root is not None:
        fetch([files for task in tasks for files in DATASETS[task].files], data_root)
    if models_root is not None:
        fetch([ORIGINS[origin].file_set(*facts) for origin, *facts in models], models_root)
    return describe_missing_files(tasks, models, data_root=data_root, models_root=models_root)
