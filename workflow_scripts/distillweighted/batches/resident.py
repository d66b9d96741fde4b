"""Prepared images in a GPU's memory: random parts of them are cut and resized in one batch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from distillweighted.batches.normalization import to_device
from distillweighted.batches.views import ResizedCrop, View, random_part
from distillweighted.tasks.pools import Box, Pool

SHARE_OF_MEMORY = 0.5
"""Of the memory that is free, what images may take; the rest is for networks."""


class ResidentImages:
    """All images of a pool, uint8, one after the other on a device.

    Args:
        pool: The images; each is read, and checked, once.
        device: Where they will lie.
    """

    def __init__(self, pool: Pool, device: torch.device):
        self.sizes = pool.sizes
        ends = self.sizes.prod(axis=1).cumsum()
        pixels = torch.empty((int(ends[-1]), 3), dtype=torch.uint8, device=device)
        for row, end in enumerate(ends.tolist()):
            image = torch.from_numpy(pool.load([row])[0].reshape(-1, 3))
            pixels[end - len(image) : end] = image.to(device)
        self._pixels = pixels
        # Of each image, where its first pixel lies and its width.
        self._places = np.stack([ends - self.sizes.prod(axis=1), self.sizes[:, 1]], axis=1)

    @classmethod
    def if_it_fits(cls, pool: Pool, device: torch.device) -> ResidentImages | None:
        """The images of a pool on a GPU, where half of its free memory holds them."""
        free, _ = torch.cuda.mem_get_info(device)
        wanted = 3 * int(pool.sizes.prod(axis=1).sum())
        return cls(pool, device) if wanted <= SHARE_OF_MEMORY * free else None

    def resized(self, rows: np.ndarray, boxes: Sequence[Box], size: int) -> Tensor:
        """Parts of images, resized as PyTorch's antialiased bilinear `interpolate` does.

        Bytes may differ by one from its own: it also rounds between the two directions.

        Args:
            rows: Which images, int [n].
            boxes: Of each, the part.
            size: Side of the results, in pixels.

        Returns:
            uint8 [n, 3, size, size], channels last, on the device.
        """
        places = np.concatenate([self._places[rows], np.asarray(boxes, np.int64)], axis=1)
        tall, wide = (max(box[i] for box in boxes) for i in (2, 3))
        device = self._pixels.device
        # One copy, which waits for nothing.
        numbers = to_device(torch.from_numpy(places), device)
        start, width, top, left, h, w = numbers.unbind(1)

        lines = torch.arange(tall, device=device).minimum(h[:, None] - 1)
        begins = start[:, None] + (top[:, None] + lines) * width[:, None] + left[:, None]
        # In half precision, which is off by less than half a grey level and is written in half of
        # the time, as this is all that the GPU has to do here.
        squeezed = torch.zeros((len(rows), tall, size, 3), dtype=torch.float16, device=device)
        for column, weight in _taps(w, size, wide):
            pixel = self._pixels[begins[:, :, None] + column[:, None, :]]
            squeezed += weight.half()[:, None, :, None] * pixel
        view, image = 0.0, torch.arange(len(rows), device=device)[:, None]
        for line, weight in _taps(h, size, tall):
            view = view + weight[:, :, None, None] * squeezed[image, line]
        return (view + 0.5).clamp_(0, 255).to(torch.uint8).permute(0, 3, 1, 2)


def _taps(sides: Tensor, size: int, largest: int) -> list[tuple[Tensor, Tensor]]:
    """What every place of a resized side is a mean of.

    Args:
        sides: Sides int [n] to resize, in pixels.
        size: The side that they get.
        largest: The largest of them, on the CPU.

    Returns:
        For the first pixel that each place reads, the second and so on: which, int [n, size], and
        its weight, float32 [n, size], 0 where it reads none.
    """
    scale = (sides / size)[:, None]
    reach = scale.clamp_min(1)
    middle = scale * (torch.arange(size, device=sides.device) + 0.5)
    first = (middle - reach + 0.5).long().clamp_min(0)
    count = (middle + reach + 0.5).long().minimum(sides[:, None]) - first
    pixels = torch.arange(2 * math.ceil(max(1, largest / size)) + 1, device=sides.device)
    weights = 1 - ((pixels + first[..., None] - middle[..., None] + 0.5) / reach[..., None]).abs()
    weights = weights.clamp_min(0) * (pixels < count[..., None])
    weights = weights / weights.sum(dim=2, keepdim=True)
    last = sides[:, None] - 1
    return [((first + k).minimum(last), weights[..., k]) for k in range(len(pixels))]


def makes_parts(view: View) -> bool:
    """Whether `train_parts` knows a view."""
    return isinstance(view, ResizedCrop) and not view.parity


def train_parts(
    view: ResizedCrop, images: ResidentImages, rows: np.ndarray, rng: np.random.Generator
) -> Tensor:
    """What `view.train` gives, within a grey level, from the same draws, on the images' device."""
    draws = rng.random((len(rows), 5)).tolist()
    boxes = [
        random_part(images.sizes[row].tolist(), draw, min_scale=view.min_scale)
        for row, draw in zip(rows.tolist(), draws, strict=True)
    ]
    views = images.resized(rows, boxes, view.size)
    if not view.flip:
        return views
    mirrored = torch.tensor([draw[4] < 0.5 for draw in draws])
    mirrored = to_device(mirrored, views.device)[:, None, None, None]
    return torch.where(mirrored, views.flip(3), views)
