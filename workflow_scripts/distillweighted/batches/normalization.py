"""Images as the floats that a network reads, on the device where it reads them."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor


def normalize(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Images uint8 [n, 3, h, w] as floats with the given mean and standard deviation (of 0..1).

    (x / 255 - mean) / std as one product and one sum, which rounds otherwise by a unit or two in
    the last place. The floats lie channels last; images that do as well are read fastest.
    """
    n, _, height, width = images.shape
    gain, shift = _factors(tuple(mean), tuple(std), width, images.device)
    # Rows of pixels, not pixels: PyTorch is several times slower where the innermost side is 3.
    rows = images.permute(0, 2, 3, 1).reshape(n, height, 3 * width).float()
    torch.addcmul(shift, rows, gain, out=rows)
    return rows.view(n, height, width, 3).permute(0, 3, 1, 2)


@functools.lru_cache(maxsize=64)
def _factors(
    mean: tuple[float, ...], std: tuple[float, ...], width: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Gain and shift of every value of a row of pixels, float32 [3 * width] each."""
    # Of tensors, for a standard deviation of 0 (images all alike): no number, but no exception.
    m, s = (torch.tensor(values, dtype=torch.float64) for values in (mean, std))
    gain, shift = (row.float().repeat(width).to(device) for row in (1 / (255 * s), -m / s))
    return gain, shift


def to_device(images: Tensor, device: torch.device) -> Tensor:
    """Images on a device; the copy to a GPU goes on while the CPU prepares the next batch."""
    if device.type == "cuda" and not images.is_pinned():
        images = images.pin_memory()
    return images.to(device, non_blocking=True)
