"""Files of weights with their architecture, as `Classifier`s: a state dict of torchvision's, timm's
or the embedded benchmark's networks, or a model that this project wrote."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distillweighted.networks.architectures import EMBEDDED, TIMM_PREFIX, is_timm
from distillweighted.networks.classifier import (
    Classifier,
    build_model,
    build_network,
    create_timm,
    find_head,
    split_network,
)
from distillweighted.networks.model_files import load_model
from distillweighted.sources.jobs import LoadJob
from distillweighted.sources.origins.checkpoint import own_facts
from distillweighted.sources.origins.origin import LoadedModel
from distillweighted.sources.published_weights import (
    check_finite,
    copy_weights,
    torchvision_input,
)
from distillweighted.sources.state_files import CheckpointError, read_state
from distillweighted.sources.timm_weights import UNDER, timm_input


def load_checkpoint(job: LoadJob) -> LoadedModel:
    """Load a file of weights.

    Args:
        job: With the file as `checkpoint`, its architecture, and in its settings `match`: names, by
            which weights find their places, or order, where another library gave other names.

    Returns:
        The model, without a head where the file has no weights of one. It sees what its own file
        says, or what was published for its architecture; what the job says counts before that.

    Raises:
        CheckpointError: Where the file cannot be read, is not safe, or does not fit.
        ValueError: Where the network cannot be cut, or cannot see images of the size asked.
    """
    path = Path(job.checkpoint)
    if own_facts(path) is not None:
        return _load_own(path, job)
    state = read_state(path, under=UNDER)
    by_order = job.settings.get("match") == "order"
    load = _load_tiny if job.architecture in EMBEDDED else _load_published
    model, mean, std, seen = load(path, state, job, by_order=by_order)
    if job.head == "own" and model.head is None:
        raise CheckpointError(
            f"{path} holds no classifier, so that source {job.name} has no probabilities of its "
            "own; give it another `head`: kmeans, prototypes or features"
        )
    facts = {"image_size": seen["size"], "input": seen}
    return LoadedModel(model, job.mean or mean, job.std or std, facts)


def _load_own(path: Path, job: LoadJob) -> LoadedModel:
    model, meta = load_model(path)
    size = job.image_size or meta["image_size"]
    seen = dict(meta.get("input") or {"interpolation": "bilinear", "mode": "center"})
    ratio = seen.get("shorter_side", 1) / seen.get("size", 1)
    seen |= {"size": size, "shorter_side": round(ratio * size)}
    if size != meta["image_size"]:
        try:
            with torch.no_grad():
                model.eval()(torch.zeros(1, 3, size, size))
        except (AssertionError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(
                f"{path}: '{job.architecture}' cannot see images of {size} pixels ({reason}); "
                "choose another size"
            ) from error
    facts = {"image_size": size, "input": seen}
    facts |= {name: meta[name] for name in ("options", "licence", "classes") if meta.get(name)}
    return LoadedModel(model, job.mean or meta["mean"], job.std or meta["std"], facts)


def _load_tiny(
    path: Path, state: OrderedDict[str, Tensor], job: LoadJob, *, by_order: bool
) -> tuple[Classifier, Any, Any, dict[str, Any]]:
    """One of the embedded benchmark's networks, whose classes the file says."""
    rows = [len(values) for values in state.values() if values.ndim > 0]
    classes = rows[-1] if "head.weight" in state or (by_order and rows) else 0
    model = build_model(job.architecture, classes, seed=0)
    complaint = f"{path}: its weights do not fit {job.architecture}"
    _put(state, model, "head" if classes else None, complaint, by_order=by_order, path=path)
    size = job.image_size
    seen = {"size": size, "shorter_side": size, "interpolation": "bilinear", "mode": "center"}
    return model, job.mean, job.std, seen


def _load_published(
    path: Path, state: OrderedDict[str, Tensor], job: LoadJob, *, by_order: bool
) -> tuple[Classifier, Any, Any, dict[str, Any]]:
    """One of torchvision's or timm's networks, whose classes the file says."""
    architecture, timm = job.architecture, is_timm(job.architecture)
    if timm:
        size = job.image_size
    else:
        *statistics, seen = torchvision_input(architecture, job.image_size)
        size = seen["size"]
    example = build_network(architecture, 2, seed=0, image_size=size)
    head = find_head(example, architecture, size if timm else None)
    classes = _classes(state, example, head, by_order=by_order)
    network = build_network(architecture, classes, seed=0, image_size=size)
    complaint = f"{path}: its weights do not fit {architecture}"
    if timm and not by_order and not _fits(state, network):
        network = _by_timm(state, network, job, classes, size) or network
    else:
        head = head if classes else None
        _put(state, network, head, complaint, by_order=by_order, path=path, whole=example)
    check_finite(network, complaint)
    if timm:
        *statistics, seen = timm_input(network, size)
    return split_network(network, architecture, classes, seen["size"]), *statistics, seen


def _classes(
    state: OrderedDict[str, Tensor], network: nn.Module, head: str, *, by_order: bool
) -> int:
    """Outputs of the head that a file has weights of; 0 for none."""
    if by_order:
        places = _places(network)
        names = list(places)
        weights = list(_without_counters(state).values())
        position = names.index(f"{head}.weight")
        # A file without a head has fewer weights than the network.
        return len(weights[position]) if len(weights) == len(names) else 0
    weight = state.get(f"{head}.weight")
    return 0 if weight is None or weight.ndim == 0 else len(weight)


def _by_timm(
    state: OrderedDict[str, Tensor],
    network: nn.Module,
    job: LoadJob,
    classes: int,
    size: int | None,
) -> nn.Module:
    """The network with weights that timm finds the places of: names of older versions, position
    embeddings of other sizes."""
    name = job.architecture.removeprefix(TIMM_PREFIX)
    overlay = {"state_dict": dict(state), "custom_load": False, "num_classes": classes}
    overlay |= {"label_offset": 0}
    try:
        return create_timm(
            name, size, num_classes=classes, pretrained=True, pretrained_cfg_overlay=overlay
        )
    except (RuntimeError, KeyError):
        # Which say it in many lines; this in one.
        path = Path(job.checkpoint)
        complaint = f"{path}: its weights do not fit {job.architecture}"
        head = find_head(network, job.architecture, size) if classes else None
        example = build_network(job.architecture, 2, seed=0, image_size=size)
        _put(state, network, head, complaint, by_order=False, path=path, whole=example)
        raise


def _put(
    state: OrderedDict[str, Tensor],
    network: nn.Module,
    head: str | None,
    complaint: str,
    *,
    by_order: bool,
    path: Path,
    whole: nn.Module | None = None,
) -> None:
    """Put weights into a network by name or by order; a message about names says where the order
    would do."""
    if by_order:
        copy_weights(in_order(state, network, complaint), network, head, complaint)
        return
    try:
        copy_weights(state, network, head, complaint)
    except CheckpointError as error:
        if path.suffix == ".safetensors":
            raise
        try:
            # With a head: names that nobody knows do not tell whether there is one.
            in_order(state, whole or network, complaint, any_rows=True)
        except CheckpointError:
            raise error from None
        raise CheckpointError(
            f"{error}. They would fit by their order and shapes: if another library only gave them "
            "other names, set match: order"
        ) from None


def in_order(
    state: OrderedDict[str, Tensor],
    network: nn.Module,
    complaint: str,
    *,
    any_rows: bool = False,
) -> OrderedDict[str, Tensor]:
    """Weights under the names that a network has for them, the first for the first.

    Args:
        state: Weights in the order of their network.
        network: The network.
        complaint: What a message begins with.
        any_rows: Whether the last layer may have other outputs.

    Raises:
        CheckpointError: Where they are not as many, or one has another shape; says which.
    """
    places, weights = _places(network), _without_counters(state)
    for number, ((place, wanted), (name, value)) in enumerate(
        zip(places.items(), weights.items(), strict=False), start=1
    ):
        same = value.shape == wanted.shape
        if any_rows and number > len(places) - 2:
            same = value.shape[1:] == wanted.shape[1:]
        if not same:
            raise CheckpointError(
                f"{complaint} in order: number {number}, {name!r:.80}, is {list(value.shape)}, and "
                f"'{place}' there {list(wanted.shape)}"
            )
    if len(places) != len(weights):
        raise CheckpointError(
            f"{complaint} in order: the file has {len(weights)} weights and the network "
            f"{len(places)}"
        )
    named = OrderedDict(zip(places, weights.values(), strict=True))
    named._metadata = getattr(network.state_dict(), "_metadata", {})
    return named


def _fits(state: OrderedDict[str, Tensor], network: nn.Module) -> bool:
    places, weights = _places(network), _without_counters(state)
    return places.keys() == weights.keys() and all(
        weights[name].shape == places[name].shape for name in places
    )


def _places(network: nn.Module) -> OrderedDict[str, Tensor]:
    return _without_counters(network.state_dict())


def _without_counters(state: OrderedDict[str, Tensor]) -> OrderedDict[str, Tensor]:
    """Without the counters of batch normalisation, which older files lack and nothing reads."""
    return OrderedDict(
        (name, value) for name, value in state.items() if not name.endswith("num_batches_tracked")
    )
