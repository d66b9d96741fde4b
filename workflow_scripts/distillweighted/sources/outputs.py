"""The file of a source's outputs for a target; similarity and distillation read it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from distillweighted.files.tensors import load_tensors, save_tensors


def save_inference(path: Path, outputs: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
    """Write a source's outputs for a target; the file appears only once it is complete."""
    save_tensors(path, outputs, meta)


def load_inference(path: Path) -> dict[str, np.ndarray]:
    """A source's outputs for a target: features [n, d] and pseudo_labels [n, c].

    Raises:
        ValueError: Where the file is damaged, or does not hold them.
    """
    outputs, _ = load_tensors(path)
    if not {"features", "pseudo_labels"} <= outputs.keys():
        raise ValueError(f"{path} does not hold a source's outputs, but {sorted(outputs)}")
    return outputs


def load_views(path: Path, views: int) -> dict[str, np.ndarray]:
    """A source's outputs for fixed views of a target's n images: pseudo_labels [views * n, c] and,
    where students need them, features [views * n, d]; `FixedViews.places` has the order of rows.

    Raises:
        ValueError: Where the file is damaged, or does not hold them, or those of another number of
            views.
    """
    outputs, facts = load_tensors(path)
    if "pseudo_labels" not in outputs or "views" not in facts:
        raise ValueError(f"{path} does not hold what a source says of views, but {sorted(outputs)}")
    if facts["views"] != views:
        raise ValueError(
            f"{path} is of {facts['views']} views of each image, and {views} are asked for "
            "(inference.views); remove it and run again"
        )
    return outputs
