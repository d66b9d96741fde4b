"""Batches of augmented images: the only place where randomness of order and crop comes from.

The batches of a step depend on the seed and the batch size alone, never on the student, so that the
students of one target and seed see the same images in the same order whether they train alone or
together: their comparison is paired.
"""

from __future__ import annotations

import contextlib
import functools
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from distillweighted.batches.fixed_views import FixedViews
from distillweighted.batches.normalization import normalize, to_device
from distillweighted.batches.resident import ResidentImages, makes_parts, train_parts
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
            "pending": torch.from_numpy(self._pending),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on as the stream of the same arguments that had this state."""
        self._rng.bit_generator.state = state["rng"]
        self._pending = state["pending"].numpy()


class _Batch(NamedTuple):
    """Augmented images, and what is known of them."""

    images: Tensor
    """uint8 [size, 3, h, w]."""

    rows: np.ndarray
    """Their rows, int [size]."""

    known: Tensor
    """Their labels, or for unlabelled ones their rows or the places of their views [size], where
    networks train."""


AHEAD = 2
"""Batches of a stream that a thread prepares while the one before them is learnt from."""


class _BatchStream:
    """An endless stream of augmented batches of one kind and size.

    Args:
        order: Which images.
        crops: What their augmentation draws from; nobody else draws from it.
        make: Makes a batch of positions int [size] and `crops`.
    """

    def __init__(
        self,
        order: IndexStream,
        crops: np.random.Generator,
        make: Callable[[np.ndarray, np.random.Generator], _Batch],
    ):
        self._order, self._crops, self._make_of = order, crops, make
        self._ahead: deque[Future] = deque()
        self._handed_out = self._drawn()

    def next(self, executor: Executor | None) -> _Batch:
        """The next batch.

        Args:
            executor: Has one thread, in which the batches after it are made meanwhile; None makes
                this one here and now.

        Raises:
            Whatever making it has raised, in the thread too.
        """
        if executor is None:
            return self._make()
        while len(self._ahead) <= AHEAD:
            self._ahead.append(executor.submit(self._make_ahead))
        made, self._handed_out = self._ahead.popleft().result()
        return made.result()

    def state(self) -> dict[str, Any]:
        """Where the stream is after the last batch that `next` gave, however many are made."""
        return self._handed_out if self._ahead else self._drawn()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on as the stream of the same arguments that had this state."""
        self._order.restore(state["order"])
        self._crops.bit_generator.state = state["crops"]

    def rewind(self) -> None:
        """Forget the batches that nobody has asked for; no thread may be making one."""
        if self._ahead:
            self._ahead.clear()
            self.restore(self._handed_out)

    def _drawn(self) -> dict[str, Any]:
        return {"order": self._order.state(), "crops": self._crops.bit_generator.state}

    def _make(self) -> _Batch:
        return self._make_of(self._order.next(), self._crops)

    def _make_ahead(self) -> tuple[Future, dict[str, Any]]:
        """What `_make` comes to, a batch or an error, and the state after it."""
        made: Future = Future()
        try:
            made.set_result(self._make())
        except Exception as error:  # it belongs to who asks for the batch
            made.set_exception(error)
        return made, self._drawn()


class TargetBatches:
    """Augmented batches of a target's training images, drawn once a step however many ask.

    Args:
        images: All training images; an array is uint8 [n, h, w, 3].
        labeled: Rows of the labelled images, int [l].
        labels: Their labels, int [l].
        unlabeled: Rows to distil on, int [u].
        view: How images become batches.
        seed: Seed of order and crops.
        fixed: Views of the images that are drawn already, where students learn from such.
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
        fixed: FixedViews | None = None,
    ):
        self._fixed = fixed
        self._images, self._labels = as_pool(images), torch.from_numpy(np.array(labels))
        self._rows = {"labeled": np.asarray(labeled), "unlabeled": np.asarray(unlabeled)}
        self._resident: ResidentImages | None = None
        self._view, self._seed = view, seed
        self._streams: dict[tuple[str, int], _BatchStream] = {}
        self._step: dict[tuple, tuple] = {}
        self._floats: dict[tuple, Tensor] = {}
        self._read: list[Tensor] = []
        self._executor: Executor | None = None
        self._device = torch.device("cpu")

    @contextlib.contextmanager
    def ahead(self, device: torch.device) -> Iterator[None]:
        """While it is open, batches are ready when they are asked for.

        A thread prepares those of the next steps, and has a GPU whose memory holds all images make
        them, within a grey level of the same. `state` is the same. Strong views are not prepared:
        their operations draw from the global random state, which is the students' meanwhile.

        Args:
            device: Where the networks train: labels and rows are there, and what is copied there
                later is pinned.
        """
        self._device = device
        if device.type == "cuda" and makes_parts(self._view):
            self._resident = ResidentImages.if_it_fits(self._images, device)
        executor = self._executor = ThreadPoolExecutor(1, "batches")
        try:
            yield
        finally:
            self._executor, self._resident, self._device = None, None, torch.device("cpu")
            executor.shutdown(cancel_futures=True)
            for stream in self._streams.values():
                stream.rewind()

    def settle(self) -> None:
        """Wait until no thread prepares a batch; none does before the next one is asked for."""
        if self._executor is not None:
            self._executor.submit(lambda: None).result()

    def next_step(self) -> None:
        """Go on to the next step: every stream draws anew."""
        self._step.clear()
        # New memory comes from the system page by page, which takes longer than the normalising.
        self._read = list(self._floats.values())
        self._floats.clear()

    def labeled(self, size: int) -> tuple[Tensor, Tensor]:
        """This step's labelled batch: weakly augmented uint8 [size, 3, h, w] and labels [size]."""
        batch = self._batch("labeled", size)
        return batch.images, batch.known

    def unlabeled(self, size: int) -> tuple[Tensor, Tensor]:
        """This step's batch to distil on: weakly augmented uint8 [size, 3, h, w], rows [size]."""
        batch = self._batch("unlabeled", size)
        return batch.images, batch.known

    def unlabeled_fixed(self, size: int) -> tuple[Tensor, Tensor]:
        """The images of `unlabeled(size)`, each in one of its fixed views, drawn at random.

        Returns:
            uint8 [size, 3, h, w], and the places of these views among all (`FixedViews.places`).

        Raises:
            ValueError: Where no views were drawn.
        """
        if self._fixed is None:
            raise ValueError("there are no fixed views of these images")
        batch = self._batch("fixed", size)
        return batch.images, batch.known

    def unlabeled_strong(self, size: int, step: int) -> Tensor:
        """The strong views of the images of `unlabeled(size)`, uint8 [size, 3, h, w]."""
        key = ("strong", size)
        if key not in self._step:
            rows = self._batch("unlabeled", size).rows
            crops = np.random.Generator(
                np.random.PCG64(derive_seed(self._seed, "strong crop", size, step))
            )
            base = self._view.train(self._images, rows, crops)
            seed = derive_seed(self._seed, "strong", size, step)
            self._step[key] = (strong_augmentation(base, seed=seed),)
        return self._step[key][0]

    def normalized(
        self, *parts: Tensor, mean: Sequence[float], std: Sequence[float], device: torch.device
    ) -> Tensor:
        """This step's batches `parts` one after the other, normalised, on a device.

        Students that start from one model share it: it must not be changed in place, nor read once
        the next step has begun, whose images are written there.
        """
        # The parts live as long as the step, so that their identities name them.
        key = ("normalized", *map(id, parts), *mean, *std, device)
        if key not in self._floats:
            there = [to_device(part, device) for part in parts]
            images = there[0] if len(there) == 1 else torch.cat(there)
            into = self._out_of_use(images)
            self._floats[key] = normalize(images, mean, std, into=into)
            self._step[key] = parts
        return self._floats[key]

    def _out_of_use(self, images: Tensor) -> Tensor | None:
        """Floats of the step before, as many as `images` and on their device; each once."""
        for i, floats in enumerate(self._read):
            if floats.shape == images.shape and floats.device == images.device:
                return self._read.pop(i)
        return None

    def state(self) -> list[dict[str, Any]]:
        """Where every stream is, between two steps; for `restore`."""
        return [
            {"kind": kind, "size": size, **stream.state()}
            for (kind, size), stream in self._streams.items()
        ]

    def restore(self, state: Sequence[Mapping[str, Any]]) -> None:
        """Go on as the batches of the same arguments that had this state."""
        for stored in state:
            self._stream(stored["kind"], stored["size"]).restore(stored)

    def _stream(self, kind: str, size: int) -> _BatchStream:
        key = (kind, size)
        if key not in self._streams:
            # Fixed views are of the same images as others: students of both are compared in pairs.
            of, make = kind, functools.partial(self._make, kind)
            if kind == "fixed":
                of, make = "unlabeled", self._make_fixed
            order_seed = derive_seed(self._seed, of, size, "order")
            crop_seed = derive_seed(self._seed, kind, size, "crop")
            positions = np.arange(len(self._rows[of]))
            self._streams[key] = _BatchStream(
                IndexStream(positions, size, seed=order_seed),
                np.random.Generator(np.random.PCG64(crop_seed)),
                make,
            )
        return self._streams[key]

    def _batch(self, kind: str, size: int) -> _Batch:
        key = (kind, size)
        if key not in self._step:
            self._step[key] = self._stream(kind, size).next(self._executor)
        return self._step[key]

    def _make(self, kind: str, positions: np.ndarray, crops: np.random.Generator) -> _Batch:
        rows = self._rows[kind][positions]
        known = self._labels[positions] if kind == "labeled" else torch.from_numpy(rows)
        if self._resident is not None:
            images = train_parts(self._view, self._resident, rows, crops)
        else:
            images = self._pinned(self._view.train(self._images, rows, crops))
        return _Batch(images, rows, to_device(known, self._device))

    def _make_fixed(self, positions: np.ndarray, numbers: np.random.Generator) -> _Batch:
        rows = self._rows["unlabeled"][positions]
        drawn = numbers.integers(len(self._fixed), size=len(rows))
        # Not by a GPU, whose bytes may differ by one from those that the sources saw.
        images = self._pinned(self._fixed.show(rows, drawn))
        places = torch.from_numpy(self._fixed.places(rows, drawn))
        return _Batch(images, rows, to_device(places, self._device))

    def _pinned(self, images: Tensor) -> Tensor:
        return images.pin_memory() if self._device.type == "cuda" else images
