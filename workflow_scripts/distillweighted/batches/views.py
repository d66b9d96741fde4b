"""How images become what a network sees: the view for training, the strong one, the plain.

All views are uint8 [n, 3, size, size], channels last in memory, as the images themselves are; a
student normalises them. The draws of a batch depend on the generator alone, not on the number of
threads.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from distillweighted.tasks.pools import Box, Pool

RESIZE_RATIO = 256 / 224
"""Shorter side that an image is resized to before the middle is cut out, by the crop's size."""


class View(Protocol):
    """Turns rows of a pool into batches uint8 [n, 3, size, size]."""

    def train(self, images: Pool, rows: np.ndarray, rng: np.random.Generator) -> Tensor:
        """Weakly augmented images: `drawn` of what `draws` gives."""

    def draws(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """What says how n images are augmented, a row [d] an image; d is 0 where none is."""

    def drawn(self, images: Pool, rows: np.ndarray, draws: np.ndarray) -> Tensor:
        """The images of rows [n], each augmented as its row of `draws` [n, d] says."""

    def plain(self, images: Pool, rows: np.ndarray) -> Tensor:
        """Images without augmentation, for inference and evaluation."""


def make_view(settings: Mapping[str, Any], *, threads: int = 1) -> View:
    """The view that a configuration asks for.

    Args:
        settings: `kind` (padded_crop, resized_crop, parc, or model_input for inference alone) and
            the arguments of that kind.
        threads: CPU threads to work with.
    """
    settings = dict(settings)
    kind = settings.pop("kind")
    if kind == "model_input":
        from distillweighted.batches.model_inputs import ModelInput

        return ModelInput(**settings, threads=threads)
    if kind == "padded_crop":
        return PaddedCrop(**settings)
    return ResizedCrop(**settings, parity=kind == "parc", threads=threads)


@dataclass(frozen=True)
class PaddedCrop:
    """For images that have the network's size: shifts by up to `padding` pixels."""

    padding: int

    def train(self, images: Pool, rows: np.ndarray, rng: np.random.Generator) -> Tensor:
        return self.drawn(images, rows, self.draws(len(rows), rng))

    def draws(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return random_shifts(n, self.padding, rng)

    def drawn(self, images: Pool, rows: np.ndarray, draws: np.ndarray) -> Tensor:
        return shifted(_fixed(images, rows), self.padding, draws)

    def plain(self, images: Pool, rows: np.ndarray) -> Tensor:
        return _fixed(images, rows)


AS_STORED = PaddedCrop(0)
"""Images that have the network's size, as they are."""


def _fixed(images: Pool, rows: np.ndarray) -> Tensor:
    return torch.from_numpy(images.stack(rows)).permute(0, 3, 1, 2)


def random_crop(images: Tensor, padding: int, rng: np.random.Generator) -> Tensor:
    """Shift each image by up to `padding` pixels, filling with its mirrored border.

    Args:
        images: uint8 [n, 3, h, w].
        padding: Largest shift in pixels; 0 leaves the images as they are.
        rng: Draws one shift an image.
    """
    return shifted(images, padding, random_shifts(len(images), padding, rng))


def random_shifts(n: int, padding: int, rng: np.random.Generator) -> np.ndarray:
    """A random place in a border of `padding` pixels for each of n images: top and left, int
    [n, 2]; [n, 0], and nothing is drawn, where there is no border."""
    if padding == 0:
        return np.empty((n, 0), np.int64)
    return rng.integers(0, 2 * padding + 1, (2, n)).T


def shifted(images: Tensor, padding: int, places: np.ndarray) -> Tensor:
    """Images uint8 [n, 3, h, w] with a mirrored border, cut out at `places` of `random_shifts`."""
    if padding == 0:
        return images
    _, _, height, width = images.shape
    pixels = images.permute(0, 2, 3, 1).numpy()
    padded = _mirrored(pixels, padding)
    tops, lefts = places.T.tolist()
    cut = np.empty(pixels.shape, np.uint8)
    # One slice an image: to gather the pixels by their indices takes five times as long.
    for image, whole, top, left in zip(cut, padded, tops, lefts, strict=True):
        image[:] = whole[top : top + height, left : left + width]
    return torch.from_numpy(cut).permute(0, 3, 1, 2)


def _mirrored(pixels: np.ndarray, p: int) -> np.ndarray:
    """Images uint8 [n, h, w, 3] with `p` more pixels on every side, mirrored at the outermost."""
    n, height, width, _ = pixels.shape
    if p >= min(height, width) - 1:  # a mirror image of a mirror image
        return np.pad(pixels, ((0, 0), (p, p), (p, p), (0, 0)), mode="reflect")
    # NumPy takes three times as long for the same, and torch pads no bytes so.
    padded = np.empty((n, height + 2 * p, width + 2 * p, 3), np.uint8)
    middle = padded[:, p : p + height]
    middle[:, :, p : p + width] = pixels
    middle[:, :, :p] = pixels[:, :, p:0:-1]
    middle[:, :, p + width :] = pixels[:, :, width - 2 : width - 2 - p : -1]
    padded[:, :p] = padded[:, 2 * p : p : -1]
    padded[:, p + height :] = padded[:, p + height - 2 : height - 2 : -1]
    return padded


@dataclass(frozen=True)
class ResizedCrop:
    """For images of any size: a random part, resized (Szegedy et al. 2015), and mirrored or not.

    Without augmentation: the shorter side to 256/224 of `size`, then the middle.

    Attributes:
        size: Side of the views, in pixels.
        min_scale: Smallest share of an image's area that a training view shows.
        flip: Whether to mirror half of the training views.
        parity: The transforms of the PARC code: a shorter side of 256/224 of `size` before the
            random part, never mirrored; `whole` images are only resized.
        whole: With `parity`, show whole images, as PARC does of CIFAR-10.
        threads: CPU threads to resize with.
    """

    size: int
    min_scale: float
    flip: bool
    parity: bool = False
    whole: bool = False
    threads: int = 1

    def train(self, images: Pool, rows: np.ndarray, rng: np.random.Generator) -> Tensor:
        return self.drawn(images, rows, self.draws(len(rows), rng))

    def draws(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return np.empty((n, 0)) if self.parity and self.whole else rng.random((n, 5))

    def drawn(self, images: Pool, rows: np.ndarray, draws: np.ndarray) -> Tensor:
        if self.parity and self.whole:
            return self.plain(images, rows)
        jobs = list(zip(rows.tolist(), draws.tolist(), strict=True))
        return self._stack(lambda job: self._random_part(images, *job), jobs)

    def plain(self, images: Pool, rows: np.ndarray) -> Tensor:
        return self._stack(self._middle, images.load(rows))

    def _stack(self, work: Callable, items: Sequence) -> Tensor:
        if self.threads == 1:
            views = [work(item) for item in items]
        else:
            with ThreadPoolExecutor(self.threads) as executor:
                views = list(executor.map(work, items))
        return torch.cat([view.permute(0, 2, 3, 1) for view in views]).permute(0, 3, 1, 2)

    def _random_part(self, images: Pool, row: int, draw: Sequence[float]) -> Tensor:
        """uint8 [1, 3, size, size]."""

        def choose(height: int, width: int) -> Box:
            return random_part((height, width), draw, min_scale=self.min_scale)

        if self.parity:
            image = self._shorter_side(images.load([row])[0])
            top, left, height, width = choose(*image.shape[2:])
            part = image[:, :, top : top + height, left : left + width]
        else:
            part = _channels_first(images.load_part(row, choose))
        # Channels last: the resizing of bytes is fastest so, and so is the normalising after it.
        part = part.contiguous(memory_format=torch.channels_last)
        # What torchvision's resize comes to, after checks that take a fifth of its time.
        view = interpolate(part, (self.size, self.size), mode="bilinear", antialias=True)
        return view.flip(3) if self.flip and draw[4] < 0.5 else view

    def _middle(self, image: np.ndarray) -> Tensor:
        """uint8 [1, 3, size, size]."""
        from torchvision.transforms.v2 import functional as F

        return F.center_crop(self._shorter_side(image), [self.size] * 2)

    def _shorter_side(self, image: np.ndarray) -> Tensor:
        """An image whose shorter side is what a view's middle is cut out of, uint8 [1, 3, h, w]."""
        from torchvision.transforms.v2 import functional as F

        shorter = self.size if self.whole else round(self.size * RESIZE_RATIO)
        return F.resize(_channels_first(image), [shorter], antialias=True)


def _channels_first(image: np.ndarray) -> Tensor:
    """An image uint8 [h, w, 3] as [1, 3, h, w], channels last in memory."""
    # image[None] would have a stride of 0, in which resizing does not see that channels are last.
    return torch.from_numpy(image.reshape(1, *image.shape)).permute(0, 3, 1, 2)


def random_part(shape: Sequence[int], draw: Sequence[float], *, min_scale: float) -> Box:
    """A part of an image with a random area and an aspect ratio of 3/4 to 4/3, at a random place.

    torchvision's RandomResizedCrop tries ten times for a part that fits and then takes the middle;
    here a part that does not fit is shortened, so that one draw an image is enough.

    Args:
        shape: Height and width of the image.
        draw: Four numbers in [0, 1): area, ratio, vertical and horizontal place.
        min_scale: Smallest share of the area.

    Returns:
        top, left, height, width, inside the image.
    """
    height, width = shape
    area = height * width * (min_scale + (1 - min_scale) * draw[0])
    ratio = math.exp(math.log(3 / 4) + (math.log(4 / 3) - math.log(3 / 4)) * draw[1])
    h = min(height, max(1, round(math.sqrt(area / ratio))))
    w = min(width, max(1, round(math.sqrt(area * ratio))))
    return int(draw[2] * (height - h + 1)), int(draw[3] * (width - w + 1)), h, w


STRONG_OPERATIONS = 3
"""Operations of RandAugment in FixMatch's strong view."""

STRONG_CUTOUT = 0.5
"""Largest side of the square that it covers, as a share of the image's side."""


def strong_augmentation(images: Tensor, *, seed: int) -> Tensor:
    """FixMatch's strong view of weakly augmented images, as strong as that of USB's code (Wang et
    al. 2022): three operations of RandAugment, each of a random magnitude, then Cutout.

    The operations and their ranges are torchvision's. The cut-out square is grey, its side uniform
    from 0 to half of the image's, its middle anywhere in the image.

    Args:
        images: uint8 [n, 3, h, w].
        seed: Seed of all draws; the global random state is left as it was.
    """
    by_magnitude = _operations()
    rng = np.random.Generator(np.random.PCG64(seed))
    magnitudes = rng.integers(len(by_magnitude), size=(len(images), STRONG_OPERATIONS))
    cutouts = rng.random((len(images), 3))
    augmented = []
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would also seed CUDA's generator: a student draws from that.
        torch.random.default_generator.manual_seed(seed)
        for image, row, cutout in zip(images, magnitudes, cutouts, strict=True):
            for magnitude in row:
                image = by_magnitude[magnitude](image)
            augmented.append(_cut_out(image, cutout))
    return torch.stack(augmented)


@functools.cache
def _operations() -> list[Callable[[Tensor], Tensor]]:
    """One random operation of RandAugment, by magnitude."""
    from torchvision.transforms import v2

    bins = 31
    return [
        v2.RandAugment(num_ops=1, magnitude=magnitude, num_magnitude_bins=bins)
        for magnitude in range(bins)
    ]


def _cut_out(image: Tensor, draw: np.ndarray) -> Tensor:
    """An image [3, h, w] with a grey square; `draw` is its side and middle, in [0, 1)."""
    height, width = image.shape[1:]
    half = draw[0] * STRONG_CUTOUT * min(height, width) / 2
    (top, bottom), (left, right) = (
        (max(0, round(middle - half)), min(side, round(middle + half)))
        for middle, side in ((draw[1] * height, height), (draw[2] * width, width))
    )
    image = image.clone()
    image[:, top:bottom, left:right] = 127
    return image
