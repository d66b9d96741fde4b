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


def seed_layers(seed: int, device: torch.device) -> None:
    """Set what layers that draw (dropout) draw from on a device.

    Not `torch.manual_seed`: where CUDA is not in use, it formats the whole call stack and keeps it,
    which takes a tenth of a small network's step.
    """
    torch.random.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
