"""The files that a run needs and does not make: data sets and checkpoints, and where they lie."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from distillweighted.files.downloads.fetch import describe_missing, fetch, missing_files
from distillweighted.files.downloads.file_set import FileSet
from distillweighted.sources.model import Model
from distillweighted.sources.origins.registry import ORIGINS
from distillweighted.tasks.datasets.registry import DATASETS
from distillweighted.tasks.own.scan import scan_own_task
from distillweighted.tasks.registry import OwnTask, Task


def describe_missing_files(
    tasks: Iterable[str],
    models: Iterable[Model],
    *,
    data_root: Path | None,
    models_root: Path | None,
) -> str:
    """A message that lists the files that a run needs and that are not there; "" if all are.

    Args:
        tasks: Names of data sets.
        models: The models that are loaded, or stay outside.
        data_root: The folder that holds the data sets.
        models_root: The folder that holds the checkpoints.
    """
    missing = []
    if data_root is not None:
        missing += missing_files({task: DATASETS[task].files for task in tasks}, data_root)
    files: dict[str, list[FileSet]] = {}
    elsewhere = []
    for model in models:
        # Only of those that are absent: a file set may take torchvision to tell.
        if (file_set := _absent_file_set(model, models_root)) is not None:
            files[f"{model.architecture} trained on {model.task}"] = [file_set]
        elif not _is_there(model, models_root):
            elsewhere.append(f"  {model.name}: {ORIGINS[model.origin].advice(model)}")
        if model.text is not None and not Path(model.text).is_file():
            elsewhere.append(f"  {model.name}: {model.text} is not there (text embeddings)")
    if models_root is not None:
        missing += missing_files(files, models_root)
    lines = [describe_missing(missing)] if missing else []
    if elsewhere:
        number = f"{len(elsewhere)} models are" if len(elsewhere) > 1 else "1 model is"
        lines += [f"{number} not on this machine:", *elsewhere]
    return "\n".join(lines)


def describe_lacking_answers(pairs: Iterable[tuple[Model, Task]]) -> str:
    """A message that lists what is wrong with files of answers that pending inference needs; "" if
    nothing is.

    Of a user's own task the images are known before it is prepared. Where broken ones are left out
    they are not: then inference sees what is lacking.

    Args:
        pairs: Sources whose files are there, each with the target that it is asked about.
    """
    problems = []
    for model, task in pairs:
        origin = ORIGINS[model.origin]
        if origin.check is None or not isinstance(task, OwnTask) or task.spec.broken != "error":
            continue
        names = [image.name for image in scan_own_task(task.spec).images]
        try:
            origin.check(Path(model.file), names)
        except ValueError as error:
            problems.append(f"source {model.name} cannot serve {task.name}: {error}")
    return "\n".join(problems)


def _is_there(model: Model, models_root: Path | None) -> bool:
    path = ORIGINS[model.origin].locate(model, models_root)
    return path is not None and path.is_file()


def _absent_file_set(model: Model, models_root: Path | None) -> FileSet | None:
    """The file set of a model that is to lie under the models root and does not."""
    file_set = ORIGINS[model.origin].file_set
    if file_set is None or _is_there(model, models_root):
        return None
    return file_set(model)


def fetch_all(
    tasks: Iterable[str],
    models: Iterable[Model],
    *,
    data_root: Path | None,
    models_root: Path | None,
) -> str:
    """Download what may be downloaded automatically; returns what is missing still, as above."""
    tasks, models = list(tasks), list(models)
    if data_root is not None:
        fetch([files for task in tasks for files in DATASETS[task].files], data_root)
    file_sets = [_absent_file_set(model, models_root) for model in models]
    if models_root is not None:
        fetch([files for files in file_sets if files is not None], models_root)
    for model, files in zip(models, file_sets, strict=True):
        origin = ORIGINS[model.origin]
        if files is None and origin.fetch is not None and not _is_there(model, models_root):
            origin.fetch(model)
    return describe_missing_files(tasks, models, data_root=data_root, models_root=models_root)
