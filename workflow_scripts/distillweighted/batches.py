"""Batches of augmented images: the only place where randomness of order and crop comes from.

The batches of a step depend on the seed and the batch size alone, never on the student, so that the
students of one target and seed see the same images in the same order whether they train alone or
together: their comparison is paired.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from distillweighted.seeds import derive_seed


class IndexStream:
    """An endless stream of indices: each pass over them is a new permutation.

    Args:
        indices: What to draw from, int [n].
        size: Indices a batch; may exceed n.
        seed: Seed of the order.
    """

    def __init__(self, indices: np.ndarray, size: int, *, seed: int):
        if len(indices) == 0:
            raise ValueError("there is nothing to draw batches from")
        self._indices, self._size = np.asarray(indices), size
        self._rng = np.random.Generator(np.random.PCG64(seed))
        self._pending = np.empty(0, np.int64)

    def next(self) -> np.ndarray:
        """The next batch of indices, int [size]."""
        while len(self._pending) < self._size:
            order = self._rng.permutation(len(self._indices))
            self._pending = np.concatenate([self._pending, order])
        batch, self._pending = self._pending[: self._size], self._pending[self._size :]
        return self._indices[batch]


def load_images(images: np.ndarray, rows: np.ndarray) -> Tensor:
    """Rows of a pool of images as a tensor, uint8 [len(rows), 3, h, w]."""
    # Fancy indexing copies, so the memory map stays read-only.
    return torch.from_numpy(np.ascontiguousarray(images[rows])).permute(0, 3, 1, 2)


def normalize(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Images uint8 [n, 3, h, w] as floats with the given mean and standard deviation (of 0..1)."""
    scale = torch.tensor(std, device=images.device).view(1, 3, 1, 1)
    shift = torch.tensor(mean, device=images.device).view(1, 3, 1, 1)
    floats = images.float().div_(255).sub_(shift).div_(scale)
    return floats.contiguous(memory_format=torch.channels_last)


def normalized_batches(
    images: np.ndarray,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    device: torch.device,
    batch_size: int = 250,
) -> Iterator[Tensor]:
    """All images uint8 [n, h, w, 3] in order, un-augmented, as normalised batches on a device."""
    for start in range(0, len(images), batch_size):
        rows = np.arange(start, min(start + batch_size, len(images)))
        yield normalize(load_images(images, rows).to(device), mean, std)


def random_crop(images: Tensor, padding: int, rng: np.random.Generator) -> Tensor:
    """Shift each image by up to `padding` pixels, filling with its mirrored border.

    Args:
        images: uint8 [n, 3, h, w].
        padding: Largest shift in pixels; 0 leaves the images as they are.
        rng: Draws one shift an image.
    """
    if padding == 0:
        return images
    n, _, height, width = images.shape
    # torch pads no bytes by reflection, so numpy does.
    margins = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    padded = torch.from_numpy(np.pad(images.numpy(), margins, mode="reflect"))
    top, left = (torch.from_numpy(rng.integers(0, 2 * padding + 1, n)) for _ in range(2))
    rows = top[:, None] + torch.arange(height)
    columns = left[:, None] + torch.arange(width)
    image = torch.arange(n)[:, None, None]
    return padded[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def strong_augmentation(images: Tensor, *, seed: int) -> Tensor:
    """FixMatch's strong view: RandAugment, then Cutout (torchvision's RandomErasing).

    Args:
        images: uint8 [n, 3, h, w].
        seed: Seed of all draws; the global random state is left as it was.
    """
    from torchvision.transforms import v2

    transform = v2.Compose(
        [
            v2.RandAugment(num_ops=2, magnitude=10),
            v2.RandomErasing(p=1.0, scale=(0.02, 0.25), value=127),
        ]
    )
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would also seed CUDA's generator: a student draws from that.
        torch.random.default_generator.manual_seed(seed)
        return torch.stack([transform(image) for image in images])


class TargetBatches:
    """Augmented batches of a target's training images, drawn once a step however many ask.

    Args:
        images: All training images, uint8 [n, h, w, 3].
        labeled: Rows of the labelled images, int [l].
        labels: Their labels, int [l].
        unlabeled: Rows to distil on, int [u].
        crop_padding: See `random_crop`.
        seed: Seed of order and crops.
    """

    def __init__(
        self,
        images: np.ndarray,
        labeled: np.ndarray,
        labels: np.ndarray,
        unlabeled: np.ndarray,
        *,
        crop_padding: int,
        seed: int,
    ):
        self._images, self._labels = images, torch.from_numpy(np.array(labels, np.int64))
        self._rows = {"labeled": np.asarray(labeled), "unlabeled": np.asarray(unlabeled)}
        self._padding, self._seed = crop_padding, seed
        self._streams: dict[tuple[str, int], tuple[IndexStream, np.random.Generator]] = {}
        self._step: dict[tuple, tuple[Tensor, ...]] = {}

    def next_step(self) -> None:
        """Go on to the next step: every stream draws anew."""
        self._step.clear()

    def labeled(self, size: int) -> tuple[Tensor, Tensor]:
        """This step's labelled batch: weakly augmented uint8 [size, 3, h, w] and labels [size]."""
        images, positions = self._batch("labeled", size)
        return images, self._labels[positions]

    def unlabeled(self, size: int) -> tuple[Tensor, Tensor]:
        """This step's batch to distil on: weakly augmented uint8 [size, 3, h, w], rows [size]."""
        images, positions = self._batch("unlabeled", size)
        return images, torch.from_numpy(self._rows["unlabeled"][positions])

    def unlabeled_strong(self, size: int, step: int) -> Tensor:
        """The strong views of the images of `unlabeled(size)`, uint8 [size, 3, h, w]."""
        key = ("strong", size)
        if key not in self._step:
            _, rows = self.unlabeled(size)
            seed = derive_seed(self._seed, "strong", size, step)
            strong = strong_augmentation(load_images(self._images, rows.numpy()), seed=seed)
            self._step[key] = (strong, rows)
        return self._step[key][0]

    def normalized(
        self, *parts: Tensor, mean: Sequence[float], std: Sequence[float], device: torch.device
    ) -> Tensor:
        """This step's batches `parts` one after the other, normalised, on a device.

        Students that start from one model share it: it must not be changed in place.
        """
        # The parts live as long as the step, so that their identities name them.
        key = ("normalized", *map(id, parts), *mean, *std, device)
        if key not in self._step:
            images = torch.cat(parts).to(device, non_blocking=True)
            self._step[key] = (normalize(images, mean, std), *parts)
        return self._step[key][0]

    def _batch(self, kind: str, size: int) -> tuple[Tensor, Tensor]:
        key = (kind, size)
        if key not in self._streams:
            order_seed = derive_seed(self._seed, kind, size, "order")
            crop_seed = derive_seed(self._seed, kind, size, "crop")
            positions = np.arange(len(self._rows[kind]))
            self._streams[key] = (
                IndexStream(positions, size, seed=order_seed),
                np.random.Generator(np.random.PCG64(crop_seed)),
            )
        if key not in self._step:
            stream, rng = self._streams[key]
            positions = stream.next()
            images = load_images(self._images, self._rows[kind][positions])
            batch = random_crop(images, self._padding, rng)
            self._step[key] = (batch, torch.from_numpy(positions))
        return self._step[key]
