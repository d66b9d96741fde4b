"""Source-model inference: what each source says of every training image of a target.

One un-augmented pass a pair of source and target, stored once; similarity and distillation read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from distillweighted.batches.forward import forward
from distillweighted.batches.views import AS_STORED, View
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
    where = choose_device(device)
    model = model.to(where).eval()

    def outputs_of(batch: Tensor) -> tuple[Tensor, Tensor]:
        features = model.backbone(batch)
        return features, _probabilities(model.head(features).float(), activation)

    features, probabilities = forward(outputs_of, images, mean, std, device=where, view=view)
    outputs = {"features": features.numpy(), "pseudo_labels": probabilities.numpy()}
    for name, values in outputs.items():
        if not np.isfinite(values).all():
            raise ValueError(f"source {model_path.parent.name}: its {name} are not finite")
    return outputs


def _probabilities(logits: Tensor, activation: str) -> Tensor:
    if activation == "softmax":
        return logits.softmax(dim=1)
    values = logits.sigmoid()
    return values / values.sum(dim=1, keepdim=True)
