"""Source-model inference: what each source says of every training image of a target.

One un-augmented pass a pair of source and target, stored once; similarity and distillation read it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from distillweighted.batches import normalized_batches
from distillweighted.devices import choose_device
from distillweighted.models import load_model


def run_source(model_path: Path, images: np.ndarray, *, device: str) -> dict[str, np.ndarray]:
    """Run a source model over images.

    Args:
        model_path: A model written by `models.save_model`.
        images: uint8 [n, h, w, 3].
        device: auto, cpu or cuda.

    Returns:
        features float32 [n, d], the input of the source's last linear layer, and pseudo_labels
        float32 [n, c], its softmax probabilities.

    Raises:
        ValueError: Where an output is not finite; names the model.
    """
    model, meta = load_model(model_path)
    where = choose_device(device)
    model = model.to(where).eval()
    features, probabilities = [], []
    with torch.no_grad():
        for batch in normalized_batches(images, meta["mean"], meta["std"], device=where):
            hidden = model.backbone(batch)
            features.append(hidden.float().cpu().numpy())
            probabilities.append(model.head(hidden).float().softmax(dim=1).cpu().numpy())
    outputs = {
        "features": np.concatenate(features),
        "pseudo_labels": np.concatenate(probabilities),
    }
    for name, values in outputs.items():
        if not np.isfinite(values).all():
            raise ValueError(f"source {model_path.parent.name}: its {name} are not finite")
    return outputs
