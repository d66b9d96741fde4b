"""torchvision's ImageNet weights, which students and trained sources start from."""

from __future__ import annotations

from pathlib import Path

from distillweighted.files.downloads.file_set import FileSet
from distillweighted.sources.origins.origin import LoadedModel, Origin

PAGE = "torchvision's ImageNet weights of this architecture, saved under this name"

MEGABYTES = {"alexnet": 233, "googlenet": 24, "resnet18": 45, "resnet50": 98}
MEGABYTES["mobilenet_v3_large"] = 22
"""Sizes of the files, roughly."""

IMAGENET_CLASSES = 1000


def _path(architecture: str, task: str) -> str:
    return f"torchvision/{architecture}.pth"


def _file_set(architecture: str, task: str) -> FileSet:
    """Loads torchvision for its address."""
    from distillweighted.sources.published_weights import torchvision_weights_url

    url = torchvision_weights_url(architecture)
    # torchvision's file names end with the first digits of the checksum, as in resnet50-0676ba61.
    digits = url.removesuffix(".pth").rpartition("-")[2]
    size = MEGABYTES.get(architecture, 100) * 1_000_000
    return FileSet(_path(architecture, task), size, PAGE, url, f"sha256:{digits}")


def _load(path: Path, architecture: str, task: str, num_outputs: int) -> LoadedModel:
    from distillweighted.sources.published_weights import (
        imagenet_statistics,
        load_torchvision_weights,
    )

    model = load_torchvision_weights(path, architecture)
    return LoadedModel(model, *imagenet_statistics(architecture))


TORCHVISION = Origin(
    "torchvision", "torchvision's ImageNet weights", __name__, serves_sources=False,
    path=_path, file_set=_file_set, load=_load,
)  # fmt: skip
