"""What a source says of images: its features, and probabilities of its own or of class names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from distillweighted.batches.forward import Network, forward
from distillweighted.batches.views import AS_STORED, View
from distillweighted.networks.classifier import Classifier
from distillweighted.tasks.pools import Pool

ZERO_SHOT_SCALE = 100.0
"""What CLIP multiplies cosines by before the softmax (Radford et al. 2021, section 2.5)."""


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
        activation: softmax, or sigmoid for a model that was trained on several labels an image: its
            outputs are then divided by their sum, so that they are probabilities too.
        head: What students learn from it: one of `sources.model.HEADS`.
        embeddings: For head zero_shot, text embeddings of unit length [c, d].
        name: What messages call it.

    Returns:
        features float32 [n, d], the input of the source's last linear layer, and for the heads own
        and zero_shot pseudo_labels float32 [n, c], its probabilities.
    """
    network = network_of(
        model,
        mean,
        std,
        device=device,
        activation=activation,
        head=head,
        embeddings=embeddings,
        name=name,
    )
    outputs = forward(network.outputs_of, images, mean, std, device=device, view=view)
    return by_name(outputs)


def network_of(
    model: Classifier,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    device: torch.device,
    activation: str,
    head: str,
    embeddings: np.ndarray | None,
    name: str,
) -> Network:
    """A model as `batches.forward` asks it; the arguments are those of `source_outputs`."""
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

    return Network(outputs_of, mean, std)


def by_name(outputs: Sequence[Tensor]) -> dict[str, np.ndarray]:
    """The outputs of such a network, as `source_outputs` returns them."""
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


def side_by_side(text: Mapping[str, np.ndarray]) -> np.ndarray:
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
