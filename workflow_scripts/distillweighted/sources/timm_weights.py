"""Pretrained models of timm as `Classifier`s.

timm finds the places of the weights; their file is read here, safely, and nothing is downloaded.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from distillweighted.networks.architectures import TIMM_PREFIX
from distillweighted.networks.classifier import (
    Classifier,
    check_timm_name,
    create_timm,
    split_network,
)
from distillweighted.sources.catalogues import EMBEDDING_WIDTHS
from distillweighted.sources.jobs import LoadJob
from distillweighted.sources.origins.origin import LoadedModel
from distillweighted.sources.published_weights import check_finite
from distillweighted.sources.state_files import CheckpointError, read_state

UNDER = ("state_dict_ema", "model_ema", "state_dict", "model", "model_state_dict")
"""Where weights lie in files of training programs; averaged ones first, as timm takes them."""

_NOT_OPTIONS = {"pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path"}
_NOT_OPTIONS |= {"num_classes", "cache_dir", "scriptable", "exportable", "img_size"}


def load_timm(job: LoadJob) -> LoadedModel:
    """Load a pretrained model of timm or of the hub.

    Args:
        job: With the file of its weights as `checkpoint`, and timm's name or hf-hub:<owner>/<name>
            as `reference`; of the latter config.json lies beside the file.

    Returns:
        The model, cut into features and classifier; without one where it has none, or where it
        projects to a space that is shared with texts, unless zero-shot labels are asked. What it
        sees is as timm's own evaluation transform has it.

    Raises:
        CheckpointError: Where the file cannot be read, is not safe, or does not fit.
        ValueError: Where the network cannot be cut, or cannot see images of the size asked.
    """
    path = Path(job.checkpoint)
    name, described, options = _description(job)
    state = read_state(path, under=UNDER)
    known = {field.name for field in dataclasses.fields(_config_class())}
    overlay = {key: value for key, value in described.items() if key in known}
    overlay |= {"state_dict": state, "custom_load": False, "source": None, "file": None}
    size = job.image_size
    try:
        told = {**options, "pretrained": True, "pretrained_cfg_overlay": overlay}
        network = create_timm(name, size, **told)
    except (RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"{path}: its weights do not fit {job.reference}: {reason}; get the file again, or "
            "name the model that it was saved from"
        ) from None
    complaint = f"{path}: its weights do not fit {job.reference}"
    check_finite(network, complaint)
    mean, std, seen = timm_input(network, size)
    mean, std = job.mean or mean, job.std or std
    if seen["mode"] == "border":
        seen["fill"] = [round(255 * value) for value in mean]
    classes = int(network.num_classes)
    facts = {"image_size": seen["size"], "input": seen, "licence": _licence(network)}
    if options:
        facts["options"] = options
    if classes in EMBEDDING_WIDTHS and job.head != "zero_shot":
        network, classes = _without_head(network, name, size, options), 0
    model: Classifier = split_network(network, TIMM_PREFIX + _bare(name), classes, seen["size"])
    return LoadedModel(model, mean, std, facts)


def _config_class():
    from timm.models import PretrainedCfg

    return PretrainedCfg


def _description(job: LoadJob) -> tuple[str, Mapping[str, Any], dict[str, Any]]:
    """timm's name of a network, what its config.json says, and what else it is built with."""
    if not job.reference.startswith("hf-hub:"):
        check_timm_name(_bare(job.reference))
        return job.reference, {}, {}
    path = Path(job.checkpoint).parent / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    described = dict(config.get("pretrained_cfg") or config)
    if "num_classes" in config:
        described["num_classes"] = config["num_classes"]
    name = config["architecture"]
    check_timm_name(_bare(name))
    told = config.get("model_args") or {}
    options = {key: value for key, value in told.items() if key not in _NOT_OPTIONS}
    if "num_classes" in described:
        options["num_classes"] = described["num_classes"]
    return name, described, options


def _bare(name: str) -> str:
    return name.partition(".")[0]


def timm_input(network: nn.Module, size: int | None) -> tuple[tuple, tuple, dict[str, Any]]:
    """Mean, standard deviation and `input` (see `batches.model_inputs`) of a network of timm.

    Args:
        network: As timm made it.
        size: Side of its images, in pixels; None for that which it is made for.

    Raises:
        ValueError: Where its images are not square.
    """
    from timm.data import resolve_model_data_config

    seen = resolve_model_data_config(network)
    _, height, width = seen["input_size"]
    if size is None and height != width:
        raise ValueError(
            f"{type(network).__name__} sees images of {height} x {width} pixels; only square ones "
            "are supported"
        )
    side = size or height
    return (
        tuple(map(float, seen["mean"])),
        tuple(map(float, seen["std"])),
        {
            "size": side,
            "shorter_side": math.floor(side / seen["crop_pct"]),
            "interpolation": seen["interpolation"],
            "mode": seen["crop_mode"],
        },
    )


def _without_head(
    network: nn.Module, name: str, size: int | None, options: Mapping[str, Any]
) -> nn.Module:
    """The same network as timm builds it without a classifier."""
    told = {**options, "num_classes": 0}
    bare = create_timm(name, size, **told)
    weights = network.state_dict()
    bare.load_state_dict({key: weights[key] for key in bare.state_dict()})
    return bare


def _licence(network: nn.Module) -> str | None:
    licence = network.pretrained_cfg.get("license")
    return None if licence in (None, "unknown") else licence
