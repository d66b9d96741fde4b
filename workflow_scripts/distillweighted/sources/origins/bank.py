"""The PARC model bank: 4 architectures trained on 8 tasks (Bolya et al. 2021)."""

from __future__ import annotations

from pathlib import Path

from distillweighted.files.downloads.file_set import FileSet
from distillweighted.sources.jobs import LoadJob
from distillweighted.sources.model import Model
from distillweighted.sources.origins.grid import OPTIONAL, REQUIRED, grid_models
from distillweighted.sources.origins.origin import LoadedModel, Origin
from distillweighted.tasks.published_statistics import training_statistics

PAGE = (
    "the PARC model bank (https://github.com/dbolya/parc, 'All Trained Models'): unpack models.zip "
    "so that its folder models/ lies there. Where it cannot be had: train the sources instead "
    "(in the configuration, sources: from: trained)"
)

MEGABYTES = {"alexnet": 233, "googlenet": 24, "resnet18": 45, "resnet50": 98}
"""Sizes of the bank's files, roughly."""


def _path(architecture: str, task: str) -> str:
    return f"models/{architecture}/{architecture}_{task}.pth"


def _locate(model: Model, models_root: Path | None) -> Path | None:
    return None if models_root is None else models_root / _path(model.architecture, model.task)


def _file_set(model: Model) -> FileSet:
    size = MEGABYTES.get(model.architecture, 100) * 1_000_000
    return FileSet(_path(model.architecture, model.task), size, PAGE)


def _load(job: LoadJob) -> LoadedModel:
    from distillweighted.sources.published_weights import load_parc_checkpoint

    model = load_parc_checkpoint(Path(job.checkpoint), job.architecture, job.num_classes)
    return LoadedModel(model, *training_statistics(job.task))


BANK = Origin(
    "bank", "a checkpoint of the PARC model bank", __name__, REQUIRED, OPTIONAL,
    models=grid_models, locate=_locate, file_set=_file_set, load=_load,
)  # fmt: skip
