"""The file of a network: its weights, and what is needed to rebuild and use it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from distillweighted.files.tensors import load_tensors, save_tensors
from distillweighted.networks.classifier import Classifier, build_model


def save_model(model: Classifier, path: Path, metadata: Mapping[str, Any]) -> None:
    """Write weights and what is needed to rebuild and use the model.

    Args:
        model: The model; only its own weights are stored.
        path: A .safetensors file; it appears only once it is complete.
        metadata: JSON-able; at least architecture, num_classes (0 for a model without a head), mean
            and std (of inputs in [0, 1]); image_size, options and whole where `build_model`
            needs them.
    """
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    save_tensors(path, {name: t.numpy() for name, t in tensors.items()}, metadata)


def fingerprint_weights(model: torch.nn.Module) -> str:
    """SHA-256 over names, shapes and values of a model's weights but those of its head.

    The same weights have one fingerprint, whatever file and library they come from.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        # A count of batches is of no use for answers, and some files lack it.
        if name.startswith("head.") or name.endswith("num_batches_tracked"):
            continue
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {tuple(values.shape)} {values.dtype}\n".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def load_model(path: Path) -> tuple[Classifier, dict[str, Any]]:
    """Rebuild a model that `save_model` wrote.

    Returns:
        The model (in training mode, on the CPU) and the metadata.

    Raises:
        ValueError: Where the file is damaged, or is not such a model.
    """
    tensors, metadata = load_tensors(path)
    try:
        model = build_model(
            metadata["architecture"],
            metadata["num_classes"],
            seed=0,
            image_size=metadata.get("image_size"),
            options=metadata.get("options"),
            whole=metadata.get("whole", False),
        )
        model.load_state_dict({name: torch.from_numpy(t) for name, t in tensors.items()})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} is not a model that this project wrote: {error}") from error
    return model, metadata
