"""Source-model inference: what each source says of every image of a target.

One un-augmented pass a pair of source and target, stored once; similarity and distillation read it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from distillweighted.batches.forward import forward
from distillweighted.batches.views import AS_STORED, View, make_view
from distillweighted.networks.classifier import Classifier
from distillweighted.networks.devices import choose_device
from distillweighted.networks.model_files import load_model
from distillweighted.tasks.pools import Pool, as_pool

log = logging.getLogger(__name__)

ZERO_SHOT_SCALE = 100.0
"""What CLIP multiplies cosines by before the softmax (Radford et al. 2021, section 2.5)."""


def run_source(
    model_path: Path,
    images: Pool | np.ndarray,
    *,
    device: str,
    view: View | None = AS_STORED,
    statistics: tuple[Sequence[float], Sequence[float]] | None = None,
    activation: str = "softmax",
) -> dict[str, np.ndarray]:
    """Run a source model over images; see `run_over_pools`, of which this is one pool."""
    (outputs,) = run_over_pools(
        model_path,
        {"train": images},
        device=device,
        view=view,
        statistics=statistics,
        activation=activation,
    ).values()
    return outputs


def run_over_pools(
    model_path: Path,
    pools: Mapping[str, Pool | np.ndarray],
    *,
    device: str,
    view: View | None = AS_STORED,
    statistics: tuple[Sequence[float], Sequence[float]] | None = None,
    activation: str = "softmax",
    head: str = "own",
    text: Mapping[str, np.ndarray] | None = None,
    whole: bool = False,
    stored_side: int | None = None,
    threads: int = 1,
) -> dict[str, dict[str, np.ndarray]]:
    """Run a source model over pools of images.

    Args:
        model_path: A model written by `networks.model_files.save_model`.
        pools: The images by pool; an array is uint8 [n, h, w, 3].
        device: auto, cpu or cuda.
        view: How an image becomes what the network sees; None for the transform that its file says.
        statistics: Mean and standard deviation to normalise with, by channel, in 0..1; by default
            those that the model was trained with.
        activation: softmax, or sigmoid for a model that was trained on several labels an image: its
            outputs are then divided by their sum, so that they are probabilities too.
        head: What students learn from it: one of `sources.model.HEADS`.
        text: For head zero_shot, the embeddings of the classes [d] by name.
        whole: Whether the transform that its file says only resizes (`whole_input`).
        stored_side: The longest shorter side of the images: a model whose own transform wants more
            pixels is said in the log.
        threads: CPU threads to resize with.

    Returns:
        For each pool features float32 [n, d], the input of the source's last linear layer, and for
        the heads own and zero_shot pseudo_labels float32 [n, c], its probabilities.

    Raises:
        ValueError: Where an output is not finite; names the model. Where the images have many
            sizes and the view does not resize them. Where the model has no classifier and its own
            is asked, or where text does not fit it.
    """
    name = model_path.parent.name
    model, meta = load_model(model_path)
    mean, std = statistics or (meta["mean"], meta["std"])
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
    if head == "own" and not model.num_classes:
        raise ValueError(
            f"source {name} has no classifier, so that it has no probabilities of its own; give it "
            "another `head`: kmeans, prototypes or features"
        )
    embeddings = None if text is None else _side_by_side(text)
    found = {}
    for pool, images in pools.items():
        outputs = source_outputs(
            model,
            images,
            mean,
            std,
            device=chosen,
            view=view,
            activation=activation,
            head=head,
            embeddings=embeddings,
            name=name,
        )
        for kind, values in outputs.items():
            if not np.isfinite(values).all():
                raise ValueError(f"source {name}: its {kind} are not finite")
        found[pool] = outputs
    return found


def model_input(meta: Mapping) -> dict:
    """What `batches.model_inputs.ModelInput` is made with, from a model's metadata: its `input`, or
    for a model of this project the images of its own size as they are."""
    size = meta["image_size"]
    own = {"size": size, "shorter_side": size, "interpolation": "bilinear", "mode": "center"}
    return dict(meta.get("input") or own)


def whole_input(seen: Mapping) -> dict:
    """A model's own transform for square images of which nothing may be cut off: resized alone.

    What an augmented view shows was chosen already; a student sees it to its borders.
    """
    return {**seen, "shorter_side": seen["size"]}


def source_outputs(
    model: Classifier,
    images: Pool | np.ndarray,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    device: torch.device,
    view: View = AS_STORED,
    activation: str = "softmax",
    head: str = "own",
    embeddings: np.ndarray | None = None,
    name: str = "of a library",
) -> dict[str, np.ndarray]:
    """What a network says of images.

    Args:
        model: The network; left on the device and in evaluation mode.
        images: The images; an array is uint8 [n, h, w, 3].
        mean: Mean to normalise with, by channel, in 0..1.
        std: Standard deviation to normalise with.
        device: Where to run it.
        view: How an image becomes what the network sees.
        activation: As of `run_over_pools`.
        head: As of `run_over_pools`.
        embeddings: For head zero_shot, text embeddings of unit length [c, d].
        name: What messages call it.

    Returns:
        features float32 [n, d], and for the heads own and zero_shot pseudo_labels float32 [n, c],
        as `run_over_pools`.
    """
    model = model.to(device).eval()
    text = None if embeddings is None else torch.from_numpy(embeddings).to(device)

    def outputs_of(batch: Tensor) -> tuple[Tensor, ...]:
        features, logits = model.features_and_logits(batch)
        if head == "own":
            return features, _probabilities(logits.float(), activation)
        if head == "zero_shot":
            embedded = features if logits is None else logits
            return features, _zero_shot(embedded.float(), text, name)
        return (features,)

    outputs = forward(outputs_of, as_pool(images), mean, std, device=device, view=view)
    names = ("features", "pseudo_labels")
    return {kind: values.numpy() for kind, values in zip(names, outputs, strict=False)}


def _probabilities(logits: Tensor, activation: str) -> Tensor:
    if activation == "softmax":
        return logits.softmax(dim=1)
    values = logits.sigmoid()
    return values / values.sum(dim=1, keepdim=True)


def _zero_shot(embedded: Tensor, text: Tensor, name: str) -> Tensor:
    """softmax(100 cos) of image embeddings [n, d] and text embeddings of unit length [c, d]."""
    if embedded.shape[1] != text.shape[1]:
        raise ValueError(
            f"source {name}: its image embeddings have {embedded.shape[1]} numbers and the text "
            f"embeddings {text.shape[1]}; make them with the text tower of the same model"
        )
    cosines = torch.nn.functional.normalize(embedded, dim=1) @ text.T
    return (ZERO_SHOT_SCALE * cosines).softmax(dim=1)


def _side_by_side(text: Mapping[str, np.ndarray]) -> np.ndarray:
    """Text embeddings as float32 [c, d] of unit length."""
    rows = np.stack(list(text.values())).astype(np.float64)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def read_text_embeddings(path: Path) -> dict[str, np.ndarray]:
    """Text embeddings of classes: an .npz file with one array [d] a class, by the class's name.

    Raises:
        ValueError: Where it is not such a file; says why.
    """
    try:
        with np.load(path) as file:  # without pickles, which NumPy refuses by itself
            text = {name: np.asarray(file[name]) for name in file.files}
    except (OSError, ValueError, AttributeError, TypeError, EOFError) as error:
        raise ValueError(f"{path} cannot be read as .npz arrays by class name: {error}") from None
    if len(text) < 2:
        raise ValueError(f"{path} has {len(text)} classes; zero-shot labels need two or more")
    length = len(next(iter(text.values())).reshape(-1))
    for name, values in text.items():
        if values.dtype.kind not in "fiu" or values.shape != (length,):
            raise ValueError(
                f"{path}: the embedding of '{name}' is {values.dtype} {list(values.shape)}; it has "
                f"to be numbers [{length}], as many for every class"
            )
        if not np.isfinite(values).all() or not np.any(values):
            raise ValueError(f"{path}: the embedding of '{name}' is not finite, or all 0")
    return text
