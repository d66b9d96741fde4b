"""The PARC model bank: 4 architectures trained on 8 tasks (Bolya et al. 2021)."""

from __future__ import annotations

from pathlib import Path

from distillweighted.files.downloads.file_set import FileSet
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


def _file_set(architecture: str, task: str) -> FileSet:
    size = MEGABYTES.get(architecture, 100) * 1_000_000
    return FileSet(_path(architecture, task), size, PAGE)


def _load(path: Path, architecture: str, task: str, num_outputs: int) -> LoadedModel:
    from distillweighted.sources.published_weights import load_parc_checkpoint

    model = load_parc_checkpoint(path, architecture, num_outputs)
    return LoadedModel(model, *training_statistics(task))


BANK = Origin(
    "bank", "a checkpoint of the PARC model bank", __name__,
    path=_path, file_set=_file_set, load=_load,
)  # fmt: skip
