"""Mean and standard deviation of images, and images as the floats that a network reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from distillweighted.batches.views import AS_STORED, View
from distillweighted.tasks.pools import Pool, RaggedImages


def normalize(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Images uint8 [n, 3, h, w] as floats with the given mean and standard deviation (of 0..1)."""
    scale = torch.tensor(std, device=images.device).view(1, 3, 1, 1)
    shift = torch.tensor(mean, device=images.device).view(1, 3, 1, 1)
    floats = images.float().div_(255).sub_(shift).div_(scale)
    return floats.contiguous(memory_format=torch.channels_last)


def normalized_batches(
    images: Pool,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    device: torch.device,
    view: View = AS_STORED,
    batch_size: int | None = None,
) -> Iterator[Tensor]:
    """All images of a pool in order, un-augmented, as normalised batches on a device."""
    if batch_size is None:
        # Full-size networks on full-size images need gigabytes for a few hundred of them.
        batch_size = 64 if isinstance(images, RaggedImages) else 250
    for start in range(0, len(images), batch_size):
        rows = np.arange(start, min(start + batch_size, len(images)))
        yield normalize(to_device(view.plain(images, rows), device), mean, std)


def to_device(images: Tensor, device: torch.device) -> Tensor:
    """Images on a device; the copy to a GPU goes on while the CPU prepares the next batch."""
    if device.type == "cuda":
        images = images.pin_memory()
    return images.to(device, non_blocking=True)


def channel_statistics(images: Pool) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel, in 0..1, over the pixels of all images."""
    if isinstance(images, RaggedImages):
        total, squares, count = np.zeros(3), np.zeros(3), 0
        for row in range(len(images)):
            pixels = images.load([row])[0].reshape(-1, 3) / 255
            total, squares = total + pixels.sum(axis=0), squares + (pixels**2).sum(axis=0)
            count += len(pixels)
        mean = total / count
        return mean.tolist(), np.sqrt(squares / count - mean**2).tolist()
    pixels = np.asarray(images, np.float64).reshape(-1, 3) / 255
    return pixels.mean(axis=0).tolist(), pixels.std(axis=0).tolist()
