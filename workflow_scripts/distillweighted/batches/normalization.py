"""Images as the floats that a network reads, on the device where it reads them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def normalize(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Images uint8 [n, 3, h, w] as floats with the given mean and standard deviation (of 0..1)."""
    scale = torch.tensor(std, device=images.device).view(1, 3, 1, 1)
    shift = torch.tensor(mean, device=images.device).view(1, 3, 1, 1)
    floats = images.float().div_(255).sub_(shift).div_(scale)
    return floats.contiguous(memory_format=torch.channels_last)


def to_device(images: Tensor, device: torch.device) -> Tensor:
    """Images on a device; the copy to a GPU goes on while the CPU prepares the next batch."""
    if device.type == "cuda":
        images = images.pin_memory()
    return images.to(device, non_blocking=True)
