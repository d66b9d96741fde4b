"""The file of a source's outputs for a target; similarity and distillation read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


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
