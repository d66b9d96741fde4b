"""Source-model inference: what each source says of every image of a target.

One un-augmented pass a pair of source and target, stored once; similarity and distillation read it.
Sources that see the same views are asked in one pass, so that images are read and resized once for
all of them; what a source says does not depend on the others.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from distillweighted.batches.forward import FAILURES, Network, forward_together
from distillweighted.batches.views import AS_STORED, View, make_view
from distillweighted.files.tensors import read_facts_of
from distillweighted.networks.devices import choose_device
from distillweighted.networks.model_files import load_model
from distillweighted.sources.inference import (
    by_name,
    model_input,
    network_of,
    side_by_side,
    whole_input,
)
from distillweighted.tasks.pools import Pool

log = logging.getLogger(__name__)

MODEL_BYTES = 400_000_000
"""Bytes of the files of the models that are in memory together; a larger model is there alone. A
job asks for as much beside what one network works with (`workflow.resources`)."""

ANSWER_BYTES = 50_000
"""Bytes an image of the answers that are in memory together, as a job asks for."""

FEW_ANSWERS = 100_000_000
"""Bytes of answers that are in memory together however few the images."""

Answers = dict[str, dict[str, np.ndarray]]
"""For each pool features float32 [n, d] and, of heads that have them, pseudo_labels [n, c]."""


@dataclass(frozen=True)
class Source:
    """A source and how it is asked."""

    path: Path
    """A model written by `networks.model_files.save_model`; messages call it by its folder."""

    statistics: tuple[Sequence[float], Sequence[float]] | None = None
    """Mean and standard deviation to normalise with, by channel, in 0..1; None for those that the
    model was trained with."""

    activation: str = "softmax"
    """As of `inference.source_outputs`."""

    head: str = "own"
    """What students learn from it: one of `sources.model.HEADS`."""

    text: Mapping[str, np.ndarray] | None = None
    """For head zero_shot, the embeddings of the classes [d] by name."""


def run_source(
    model_path: Path,
    images: Pool | np.ndarray,
    *,
    device: str,
    view: View | None = AS_STORED,
    statistics: tuple[Sequence[float], Sequence[float]] | None = None,
    activation: str = "softmax",
) -> dict[str, np.ndarray]:
    """Ask one source about one pool of images; see `ask`. Raises what it failed with."""
    source = Source(model_path, statistics, activation)
    return run_over_pools(source, {"train": images}, device=device, view=view)["train"]


def run_over_pools(
    source: Source,
    pools: Mapping[str, Pool | np.ndarray],
    *,
    device: str,
    view: View | None = AS_STORED,
    stored_side: int | None = None,
) -> Answers:
    """Ask one source about pools of images; see `ask`. Raises what it failed with."""
    ((_, said),) = ask({"": source}, pools, device=device, view=view, stored_side=stored_side)
    if isinstance(said, Exception):
        raise said
    return said


def ask(
    sources: Mapping[str, Source],
    pools: Mapping[str, Pool | np.ndarray],
    *,
    device: str,
    view: View | None = AS_STORED,
    whole: bool = False,
    stored_side: int | None = None,
    threads: int = 1,
) -> Iterator[tuple[str, Answers | Exception]]:
    """Ask sources about pools of images, as many in one pass as fit into memory.

    Args:
        sources: The sources, by name.
        pools: The images by pool; an array is uint8 [n, h, w, 3].
        device: auto, cpu or cuda.
        view: How an image becomes what they see; None for the transform that each one's file says.
        whole: Whether the transforms that their files say only resize (`inference.whole_input`).
        stored_side: The longest shorter side of the images: a model whose own transform wants more
            pixels is said in the log.
        threads: CPU threads to resize with.

    Yields:
        Each source's name and what it says, as soon as it is known; or the error that it failed
        with, one of `batches.forward.FAILURES`: where an output is not finite; where the images
        have many sizes and the view does not resize them; where the model has no classifier and its
        own is asked, or text does not fit it; where it or an image is damaged.
    """
    images = sum(map(len, pools.values()))
    most = max(FEW_ANSWERS, ANSWER_BYTES * images)
    loaded: list[_Loaded] = []
    own_views = {} if view is not None else {n: _own_view(one) for n, one in sources.items()}
    for name in sorted(sources, key=lambda name: own_views.get(name, "")):
        source = sources[name]
        size = source.path.stat().st_size if source.path.exists() else 0
        if size + sum(other.size for other in loaded) > MODEL_BYTES:
            yield from _each(_asked(loaded, pools))
        try:
            one = _load(name, source, size, device, view, whole, stored_side, threads)
        except FAILURES as error:
            traceback.clear_frames(error.__traceback__)
            yield name, error
            continue
        numbers = one.width + sum(other.width for other in loaded)
        if 4 * numbers * images > most or (loaded and one.view != loaded[0].view):
            yield from _each(_asked(loaded, pools))
        loaded.append(one)
        del one  # the list alone holds it
    yield from _each(_asked(loaded, pools))


def _each(found: dict[str, Answers | Exception]) -> Iterator[tuple[str, Answers | Exception]]:
    """The entries of a dictionary, which holds them no longer."""
    for name in list(found):
        yield name, found.pop(name)


def _own_view(source: Source) -> str:
    """What tells sources that see the same views by their own transforms from others."""
    try:
        return json.dumps(model_input(read_facts_of(source.path)), sort_keys=True)
    except (AttributeError, LookupError, TypeError, ValueError):
        return ""  # it cannot be loaded, which says why


@dataclass(frozen=True)
class _Loaded:
    """A source in memory."""

    key: str
    """What it is asked by."""

    name: str
    """What messages call it."""

    network: Network
    view: View
    device: torch.device

    width: int
    """Numbers that it answers with, an image."""

    size: int
    """Bytes of its file."""


def _load(
    key: str,
    source: Source,
    size: int,
    device: str,
    view: View | None,
    whole: bool,
    stored_side: int | None,
    threads: int,
) -> _Loaded:
    name = source.path.parent.name
    model, meta = load_model(source.path)
    mean, std = source.statistics or (meta["mean"], meta["std"])
    chosen = choose_device(device)
    if view is None:
        seen = whole_input(model_input(meta)) if whole else model_input(meta)
        view = make_view({"kind": "model_input", **seen}, threads=threads)
        if stored_side is not None and stored_side < seen["shorter_side"]:
            log.warning(
                "source %s is made for images of %d pixels, and the stored ones have at most %d: "
                "they are enlarged; where the files have more, say `side: %d` of the target",
                name, seen["shorter_side"], stored_side, seen["shorter_side"],
            )  # fmt: skip
    if source.head == "own" and not model.num_classes:
        raise ValueError(
            f"source {name} has no classifier, so that it has no probabilities of its own; give it "
            "another `head`: kmeans, prototypes or features"
        )
    embeddings = None if source.text is None else side_by_side(source.text)
    network = network_of(
        model,
        mean,
        std,
        device=chosen,
        activation=source.activation,
        head=source.head,
        embeddings=embeddings,
        name=name,
    )
    labels = {"own": model.num_classes, "zero_shot": len(source.text or ())}.get(source.head, 0)
    return _Loaded(key, name, network, view, chosen, model.num_features + labels, size)


def _asked(
    loaded: list[_Loaded], pools: Mapping[str, Pool | np.ndarray]
) -> dict[str, Answers | Exception]:
    """What sources that see the same views say; empties the list, so that their memory is free."""
    found: dict[str, Answers | Exception] = {one.key: {} for one in loaded}
    for pool, images in pools.items():
        asked = [one for one in loaded if not isinstance(found[one.key], Exception)]
        for key, outputs in _outputs(asked, images).items():
            if isinstance(outputs, Exception):
                found[key] = outputs
            else:
                found[key][pool] = outputs
    loaded.clear()
    return found


def _outputs(
    asked: Sequence[_Loaded], images: Pool | np.ndarray
) -> dict[str, dict[str, np.ndarray] | Exception]:
    """What each says of one pool, or the error that it failed with."""
    if not asked:
        return {}
    networks = {one.key: one.network for one in asked}
    try:
        outputs = forward_together(networks, images, device=asked[0].device, view=asked[0].view)
    except FAILURES as error:  # of the images, which is the same for all
        traceback.clear_frames(error.__traceback__)
        return dict.fromkeys(networks, error)
    return {one.key: _checked(one.name, outputs[one.key]) for one in asked}


def _checked(
    name: str, outputs: tuple[Tensor, ...] | Exception
) -> dict[str, np.ndarray] | Exception:
    if isinstance(outputs, Exception):
        return outputs
    said = by_name(outputs)
    for kind, values in said.items():
        if not np.isfinite(values).all():
            return ValueError(f"source {name}: its {kind} are not finite")
    return said
