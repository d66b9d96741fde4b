"""Source-model inference: what each source says of every training image of a target.

One un-augmented pass a pair of source and target, stored once; similarity and distillation read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from distillweighted.batches.forward import forward
from distillweighted.batches.views import AS_STORED, View
from distillweighted.networks.classifier import Classifier
from distillweighted.networks.devices import choose_device
from distillweighted.networks.model_files import load_model
from distillweighted.tasks.pools import Pool


def run_source(
    model_path: Path,
    images: Pool | np.ndarray,
    *,
    device: str,
    view: View = AS_STORED,
    statistics: tuple[Sequence[float], Sequence[float]] | None = None,
    activation: str = "softmax",
) -> dict[str, np.ndarray]:
    """Run a source model over images.

    Args:
        model_path: A model written by `networks.model_files.save_model`.
        images: The images; an array is uint8 [n, h, w, 3].
        device: auto, cpu or cuda.
        view: How an image becomes what the network sees.
        statistics: Mean and standard deviation to normalise with, by channel, in 0..1; by default
            those that the model was trained with.
        activation: softmax, or sigmoid for a model that was trained on several labels an image: its
            outputs are then divided by their sum, so that they are probabilities too.

    Returns:
        features float32 [n, d], the input of the source's last linear layer, and pseudo_labels
        float32 [n, c], its probabilities.

    Raises:
        ValueError: Where an output is not finite; names the model. Where the images have many
            sizes and the view does not resize them.
    """
    model, meta = load_model(model_path)
    mean, std = statistics or (meta["mean"], meta["std"])
    chosen = choose_device(device)
    outputs = source_outputs(
        model, images, mean, std, device=chosen, view=view, activation=activation
    )
    for name, values in outputs.items():
        if not np.isfinite(values).all():
            raise ValueError(f"source {model_path.parent.name}: its {name} are not finite")
    return outputs


def source_outputs(
    model: Classifier,
    images: Pool | np.ndarray,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    device: torch.device,
    view: View = AS_STORED,
    activation: str = "softmax",
) -> dict[str, np.ndarray]:
    """What a network says of images.

    Args:
        model: The network; left on the device and in evaluation mode.
        images: The images; an array is uint8 [n, h, w, 3].
        mean: Mean to normalise with, by channel, in 0..1.
        std: Standard deviation to normalise with.
        device: Where to run it.
        view: How an image becomes what the network sees.
        activation: As of `run_source`.

    Returns:
        features float32 [n, d] and pseudo_labels float32 [n, c], as `run_source`.
    """
    model = model.to(device).eval()

    def outputs_of(batch: Tensor) -> tuple[Tensor, Tensor]:
        features = model.backbone(batch)
        return features, _probabilities(model.head(features).float(), activation)

    features, probabilities = forward(outputs_of, images, mean, std, device=device, view=view)
    return {"features": features.numpy(), "pseudo_labels": probabilities.numpy()}


def _probabilities(logits: Tensor, activation: str) -> Tensor:
    if activation == "softmax":
        return logits.softmax(dim=1)
    values = logits.sigmoid()
    return values / values.sum(dim=1, keepdim=True)
