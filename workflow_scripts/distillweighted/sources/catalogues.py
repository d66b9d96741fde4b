"""The pretrained models that timm and torchvision know, without importing them each time.

Each library's list is read from it once, and kept as a file by its version (`own_folder`): a plan
is made anew for every job, and importing timm takes as long as all the rest of it. A folder that
cannot be written only makes it slower.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from distillweighted.networks.architectures import TORCHVISION
from distillweighted.sources.model_caches import own_folder

log = logging.getLogger(__name__)

EMBEDDING_WIDTHS = (384, 512, 640, 768, 1024, 1152, 1280)
"""Outputs of the image towers of CLIP and its like: what timm calls their classifier projects to
the space that they share with texts. No model of timm has so many classes."""


def timm_models() -> dict[str, dict[str, Any]]:
    """timm's pretrained models by name with tag, as resnet18.a1_in1k.

    Each has architecture, tag, hub (its repository; None), url (None), outputs (of its last layer),
    classes (0 where those are none), licence (None where not known), default (whether the name
    without a tag means it).
    """
    return _kept("timm", "models", _read_timm)


def torchvision_weights() -> dict[str, dict[str, Any]]:
    """torchvision's published weights of classifiers by name, as ResNet50_Weights.IMAGENET1K_V2.

    Each has architecture, url, parameters, default (whether the architecture's name alone
    means it).
    """
    return _kept("torchvision", "weights", _read_torchvision)


def timm_parameters(names: Iterable[str]) -> dict[str, int]:
    """Numbers of parameters of some of timm's pretrained models by name.

    Networks are built for it, without memory for their weights: some 0.1 s each, the first time.
    """
    models = timm_models()
    keys = {name: f"{models[name]['architecture']}/{models[name]['outputs']}" for name in names}
    path = _path("timm", "parameters")
    known = _read(path) or {}
    missing = sorted({*keys.values()} - {*known})
    if missing:
        if len(missing) > 20:
            log.warning("counting the parameters of %d timm models, once", len(missing))
        known |= {key: _count_parameters(*key.rsplit("/", 1)) for key in missing}
        _write(path, {**(_read(path) or {}), **known})
    return {name: known[key] for name, key in keys.items()}


def _count_parameters(architecture: str, outputs: str) -> int:
    import timm
    import torch

    with torch.device("meta"):
        network = timm.create_model(architecture, num_classes=int(outputs))
    return sum(values.numel() for values in network.parameters())


def _read_timm() -> dict[str, dict[str, Any]]:
    import timm
    from timm.models import get_pretrained_cfg

    found = {}
    for name in timm.list_models(pretrained=True):
        facts = get_pretrained_cfg(name)
        found[name] = {
            "architecture": facts.architecture,
            "tag": facts.tag,
            "hub": facts.hf_hub_id or None,
            "url": facts.url or None,
            "outputs": facts.num_classes,
            "classes": 0 if facts.num_classes in EMBEDDING_WIDTHS else facts.num_classes,
            "licence": facts.license if facts.license != "unknown" else None,
            "default": get_pretrained_cfg(facts.architecture).tag == facts.tag,
        }
    return found


def _read_torchvision() -> dict[str, dict[str, Any]]:
    from torchvision.models import get_model_weights

    found = {}
    for architecture in TORCHVISION:
        weights = get_model_weights(architecture)
        for member in weights:
            found[str(member)] = {
                "architecture": architecture,
                "url": member.url,
                "parameters": member.meta["num_params"],
                "default": member == weights.DEFAULT,
            }
    return found


@functools.cache
def _kept(library: str, what: str, read: Callable[[], dict]) -> dict[str, dict[str, Any]]:
    path = _path(library, what)
    if (content := _read(path)) is None:
        content = read()
        _write(path, content)
    return content


def _path(library: str, what: str) -> Path:
    return own_folder() / f"{library}-{importlib.metadata.version(library)}-{what}.json"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _write(path: Path, content: dict[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Several jobs may write it at once.
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, delete=False
        ) as file:
            json.dump(content, file)
        os.replace(file.name, path)
    except OSError as error:
        log.debug("%s is not kept: %s", path, error)
