"""Where networks run."""

from __future__ import annotations

import torch


def choose_device(name: str) -> torch.device:
    """The device that a configuration names; auto takes CUDA where there is one.

    Raises:
        ValueError: Where cuda is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: cuda - no CUDA device is available here; use auto or cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
