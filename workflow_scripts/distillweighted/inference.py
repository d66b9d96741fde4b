"""Source-model inference: what each source says of every training image of a target.

One un-augmented pass a pair of source and target, stored once; similarity and distillation read it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


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
    import torch

    from distillweighted.batches import load_images, normalize
    from distillweighted.models import load_model
    from distillweighted.training import choose_device

    model, meta = load_model(model_path)
    where = choose_device(device)
    model = model.to(where).eval()
    features, probabilities = [], []
    with torch.no_grad():
        for start in range(0, len(images), 250):
            batch = load_images(images, np.arange(start, min(start + 250, len(images))))
            hidden = model.backbone(normalize(batch.to(where), meta["mean"], meta["std"]))
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


def save_inference(path: Path, outputs: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
    """Write a source's outputs for a target; the file appears only once it is complete."""
    from safetensors.numpy import save_file

    partial = path.with_name(path.name + ".partial")
    save_file(dict(outputs), partial, metadata={"distillweighted": json.dumps(dict(meta))})
    partial.replace(path)


def load_inference(path: Path) -> dict[str, np.ndarray]:
    """A source's outputs for a target: features [n, d] and pseudo_labels [n, c].

    Raises:
        ValueError: Where the file does not hold them.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        outputs = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} does not hold a source's outputs: {error}") from error
    if not {"features", "pseudo_labels"} <= outputs.keys():
        raise ValueError(f"{path} does not hold a source's outputs, but {sorted(outputs)}")
    return outputs
