"""Batches of augmented images: the only place where randomness of order and crop comes from.

The batches of a step depend on the seed and the batch size alone, never on the student, so that the
students of one target and seed see the same images in the same order whether they train alone or
together: their comparison is paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distillweighted.batches.normalization import normalize, to_device
from distillweighted.batches.views import View, strong_augmentation
from distillweighted.seeds import derive_seed
from distillweighted.tasks.pools import Pool, as_pool


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

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on from here."""
        return {
            "rng": self._rng.bit_generator.state,
            "pending": torch.from_numpy(self._pending.copy()),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on as the stream of the same arguments that had this state."""
        self._rng.bit_generator.state = state["rng"]
        self._pending = state["pending"].numpy()


class TargetBatches:
    """Augmented batches of a target's training images, drawn once a step however many ask.

    Args:
        images: All training images; an array is uint8 [n, h, w, 3].
        labeled: Rows of the labelled images, int [l].
        labels: Their labels, int [l].
        unlabeled: Rows to distil on, int [u].
        view: How images become batches.
        seed: Seed of order and crops.
    """

    def __init__(
        self,
        images: Pool | np.ndarray,
        labeled: np.ndarray,
        labels: np.ndarray,
        unlabeled: np.ndarray,
        *,
        view: View,
        seed: int,
    ):
        self._images, self._labels = as_pool(images), torch.from_numpy(np.array(labels))
        self._rows = {"labeled": np.asarray(labeled), "unlabeled": np.asarray(unlabeled)}
        self._view, self._seed = view, seed
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
            crops = np.random.Generator(
                np.random.PCG64(derive_seed(self._seed, "strong crop", size, step))
            )
            base = self._view.train(self._images, rows.numpy(), crops)
            seed = derive_seed(self._seed, "strong", size, step)
            strong = strong_augmentation(base, seed=seed)
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
            images = to_device(torch.cat(parts), device)
            self._step[key] = (normalize(images, mean, std), *parts)
        return self._step[key][0]

    def state(self) -> list[dict[str, Any]]:
        """Where every stream is, between two steps; for `restore`."""
        return [
            {
                "kind": kind,
                "size": size,
                "order": order.state(),
                "crops": crops.bit_generator.state,
            }
            for (kind, size), (order, crops) in self._streams.items()
        ]

    def restore(self, state: Sequence[Mapping[str, Any]]) -> None:
        """Go on as the batches of the same arguments that had this state."""
        for stored in state:
            order, crops = self._stream(stored["kind"], stored["size"])
            order.restore(stored["order"])
            crops.bit_generator.state = stored["crops"]

    def _stream(self, kind: str, size: int) -> tuple[IndexStream, np.random.Generator]:
        key = (kind, size)
        if key not in self._streams:
            order_seed = derive_seed(self._seed, kind, size, "order")
            crop_seed = derive_seed(self._seed, kind, size, "crop")
            positions = np.arange(len(self._rows[kind]))
            self._streams[key] = (
                IndexStream(positions, size, seed=order_seed),
                np.random.Generator(np.random.PCG64(crop_seed)),
            )
        return self._streams[key]

    def _batch(self, kind: str, size: int) -> tuple[Tensor, Tensor]:
        key = (kind, size)
        if key not in self._step:
            stream, rng = self._stream(kind, size)
            positions = stream.next()
            batch = self._view.train(self._images, self._rows[kind][positions], rng)
            self._step[key] = (batch, torch.from_numpy(positions))
        return self._step[key]
