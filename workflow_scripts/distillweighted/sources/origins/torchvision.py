"""torchvision's ImageNet weights: sources by name, and what students and sources start from.

A start lies under the models root by the name of its architecture, where rule `fetch` puts it; a
source there or in torch's own cache, by the name of torchvision's file.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from distillweighted.files.downloads.file_set import FileSet
from distillweighted.networks.architectures import TORCHVISION as ARCHITECTURES
from distillweighted.networks.architectures import suggest
from distillweighted.sources.catalogues import torchvision_weights
from distillweighted.sources.jobs import LoadJob
from distillweighted.sources.model import Model
from distillweighted.sources.model_caches import cached_torch_file, torch_file_name, torch_folder
from distillweighted.sources.origins.origin import LoadedModel, Origin
from distillweighted.sources.origins.own import (
    OPTIONAL,
    one_name_problem,
    own_model,
    own_problems,
)
from distillweighted.tasks.registry import Task

PAGE = "torchvision's ImageNet weights of this architecture, saved under this name"

MEGABYTES = {"alexnet": 233, "googlenet": 24, "resnet18": 45, "resnet50": 98}
MEGABYTES["mobilenet_v3_large"] = 22
"""Sizes of the files, roughly."""

IMAGENET = "imagenet"
"""What the task of torchvision's weights is called."""

IMAGENET_CLASSES = 1000


def _path(architecture: str) -> str:
    return f"torchvision/{architecture}.pth"


def matching(name: str, max_parameters: float | None = None) -> list[str]:
    """torchvision's weights that a name or a pattern means; [] for none.

    Args:
        name: Weights as in ResNet50_Weights.IMAGENET1K_V2, an architecture (its default weights),
            or a pattern of either.
        max_parameters: Of a pattern, only those with so many millions of parameters or fewer.
    """
    found = []
    for weights, facts in torchvision_weights().items():
        named = fnmatch.fnmatchcase(weights, name)
        if named or (facts["default"] and fnmatch.fnmatchcase(facts["architecture"], name)):
            found.append(weights)
    if max_parameters is None or name in found:
        return found
    return [w for w in found if torchvision_weights()[w]["parameters"] <= 1e6 * max_parameters]


def _references(group: Mapping[str, Any]) -> list[str]:
    found = [matching(name, group.get("max_parameters")) for name in group["models"]]
    return list(dict.fromkeys(name for names in found for name in names))


def _models(group: Mapping[str, Any], tasks: Mapping[str, Task]) -> list[Model]:
    models = []
    for reference in _references(group):
        architecture = torchvision_weights()[reference]["architecture"]
        # As resnet50_imagenet1k_v2.
        name = f"{architecture}_{reference.rpartition('.')[2].lower()}"
        facts = (architecture, IMAGENET, IMAGENET_CLASSES)
        weights = {"reference": reference, "file": group.get("weights")}
        models.append(own_model(group, name, *facts, **weights))
    return models


def _problems(group: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from own_problems(group)
    if group.get("head") == "zero_shot":
        text = "torchvision's models were not trained with texts"
        yield "head", f"{text} (allowed: own, kmeans, prototypes or features)"
    for k, name in enumerate(group["models"]):
        if not matching(name, group.get("max_parameters")):
            hint = suggest(name, [*torchvision_weights(), *ARCHITECTURES])
            yield f"models.{k}", f"torchvision publishes no weights '{name[:60]}'{hint}"
    found = len(_references(group))
    yield from one_name_problem(group, found, "models")
    if "weights" in group and found > 1:
        text = f"is the file of one model, and models says {found} (allowed: one a file)"
        yield "weights", text


def _locate(model: Model, models_root: Path | None) -> Path | None:
    if model.file is not None:
        return Path(model.file)
    if model.reference is None:
        return None if models_root is None else models_root / _path(model.architecture)
    return torchvision_file(model.reference, models_root)


def torchvision_file(reference: str, models_root: Path | None) -> Path | None:
    """The file of some of torchvision's weights on this machine; None where it is not there."""
    url = torchvision_weights()[reference]["url"]
    if models_root is not None:
        path = models_root / "torchvision" / torch_file_name(url)
        if path.is_file():
            return path
    return cached_torch_file(url)


def _file_set(model: Model) -> FileSet | None:
    """Loads torchvision for its address."""
    from distillweighted.sources.published_weights import torchvision_weights_url

    if model.reference is not None:
        return None
    url = torchvision_weights_url(model.architecture)
    size = MEGABYTES.get(model.architecture, 100) * 1_000_000
    return FileSet(_path(model.architecture), size, PAGE, url, _checksum(url))


def _checksum(url: str) -> str:
    # torchvision's file names end with the first digits of the checksum, as in resnet50-0676ba61.
    return f"sha256:{url.removesuffix('.pth').rpartition('-')[2]}"


def _advice(model: Model) -> str:
    if model.file is not None:
        return f"{model.file}: there is no such file"
    url = torchvision_weights()[model.reference]["url"]
    return (
        f"is neither in torch's cache, {torch_folder()}, nor in models_root/torchvision: put {url} "
        "there"
    )


def _fetch(model: Model) -> None:
    """Download weights to torch's cache."""
    from distillweighted.files.downloads.download import download

    if model.file is None:
        url = torchvision_weights()[model.reference]["url"]
        download(url, torch_folder() / torch_file_name(url), checksum=_checksum(url))


def _load(job: LoadJob) -> LoadedModel:
    from distillweighted.sources.published_weights import (
        imagenet_statistics,
        load_torchvision_weights,
        torchvision_input,
    )

    path = Path(job.checkpoint)
    if job.reference is None:
        model = load_torchvision_weights(path, job.architecture)
        return LoadedModel(model, *imagenet_statistics(job.architecture))
    mean, std, seen = torchvision_input(job.reference, job.image_size)
    model = load_torchvision_weights(path, job.architecture, image_size=seen["size"])
    facts = {"image_size": seen["size"], "input": seen}
    return LoadedModel(model, job.mean or mean, job.std or std, facts)


TORCHVISION = Origin(
    "torchvision", "torchvision's ImageNet weights", __name__,
    ("models",), (*OPTIONAL, "max_parameters", "weights"), own_input=True,
    models=_models, problems=_problems, locate=_locate, file_set=_file_set, advice=_advice,
    fetch=_fetch, load=_load,
)  # fmt: skip
