"""torchvision's ImageNet weights, which students and trained sources start from."""

from __future__ import annotations

from pathlib import Path

from distillweighted.files.downloads.file_set import FileSet
from distillweighted.sources.jobs import LoadJob
from distillweighted.sources.model import Model
from distillweighted.sources.origins.origin import LoadedModel, Origin

PAGE = "torchvision's ImageNet weights of this architecture, saved under this name"

MEGABYTES = {"alexnet": 233, "googlenet": 24, "resnet18": 45, "resnet50": 98}
MEGABYTES["mobilenet_v3_large"] = 22
"""Sizes of the files, roughly."""

IMAGENET_CLASSES = 1000


def _path(architecture: str, task: str) -> str:
    return f"torchvision/{architecture}.pth"


def _locate(model: Model, models_root: Path | None) -> Path | None:
    return None if models_root is None else models_root / _path(model.architecture, model.task)


def _file_set(model: Model) -> FileSet:
    """Loads torchvision for its address."""
    from distillweighted.sources.published_weights import torchvision_weights_url

    url = torchvision_weights_url(model.architecture)
    # torchvision's file names end with the first digits of the checksum, as in resnet50-0676ba61.
    digits = url.removesuffix(".pth").rpartition("-")[2]
    size = MEGABYTES.get(model.architecture, 100) * 1_000_000
    path = _path(model.architecture, model.task)
    return FileSet(path, size, PAGE, url, f"sha256:{digits}")


def _load(job: LoadJob) -> LoadedModel:
    from distillweighted.sources.published_weights import (
        imagenet_statistics,
        load_torchvision_weights,
    )

    model = load_torchvision_weights(Path(job.checkpoint), job.architecture)
    return LoadedModel(model, *imagenet_statistics(job.architecture))


TORCHVISION = Origin(
    "torchvision", "torchvision's ImageNet weights", __name__,
    locate=_locate, file_set=_file_set, load=_load,
)  # fmt: skip
