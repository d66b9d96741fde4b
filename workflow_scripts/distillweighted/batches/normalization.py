"""Images as the floats that a network reads, on the device where it reads them."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor


def normalize(
    images: Tensor, mean: Sequence[float], std: Sequence[float], *, into: Tensor | None = None
) -> Tensor:
    """Images uint8 [n, 3, h, w] as floats with the given mean and standard deviation (of 0..1).

    (x / 255 - mean) / std as one product and one sum, which rounds otherwise by a unit or two in
    the last place. A channel that never varies, whose std is 0, says nothing: it becomes 0. The
    floats lie channels last; images that do as well are read fastest.

    Args:
        images: The images.
        mean: Of each channel.
        std: Of each channel.
        into: What an earlier call returned for as many images of this size on this device, and
            nobody reads any more: its memory is used again.
    """
    n, _, height, width = images.shape
    gain, shift = _factors(tuple(mean), tuple(std), width, images.device)
    # Rows of pixels, not pixels: PyTorch is several times slower where the innermost side is 3.
    rows = images.permute(0, 2, 3, 1).reshape(n, height, 3 * width)
    place = None if into is None else into.permute(0, 2, 3, 1).view(rows.shape)
    floats = rows.float() if place is None else place.copy_(rows)
    torch.addcmul(shift, floats, gain, out=floats)
    return floats.view(n, height, width, 3).permute(0, 3, 1, 2)


@functools.lru_cache(maxsize=64)
def _factors(
    mean: tuple[float, ...], std: tuple[float, ...], width: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Gain and shift of every value of a row of pixels, float32 [3 * width] each."""
    gain = [1 / (255 * s) if s else 0.0 for s in std]
    shift = [-m / s if s else 0.0 for m, s in zip(mean, std, strict=True)]
    return tuple(torch.tensor(values, device=device).repeat(width) for values in (gain, shift))


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Values on a device; the copy to a GPU goes on while the CPU prepares the next batch."""
    if device.type == "cuda" and values.device.type == "cpu" and not values.is_pinned():
        values = values.pin_memory()
    return values.to(device, non_blocking=True)
