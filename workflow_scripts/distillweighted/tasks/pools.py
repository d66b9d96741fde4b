"""Images decoded once: a data set's images on disk as every stage reads them.

The images of a pool lie one after the other in one array file, uint8 [bytes], each as it came out
of its file but for a shorter side of at most `MAX_SIDE`. images.csv has their heights, widths and
checksums, which are compared the first time that a pool reads an image: to check a file of
gigabytes as a whole takes too long, and to check an image each time as long as to resize it.
"""

from __future__ import annotations

import io
import math
import os
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from distillweighted.errors import DamagedError
from distillweighted.tasks.prepared import checksum, read_index

Box = tuple[int, int, int, int]
"""Top, left, height and width of a part of an image, in pixels."""


class Pool(ABC):
    """A pool of images in a fixed order, uint8 [h, w, 3] each.

    Attributes:
        inference_batch_size: How many of the images a full-size network sees at once where nothing
            is learned.
    """

    inference_batch_size: int

    @abstractmethod
    def __len__(self) -> int:
        """How many images there are."""

    @property
    @abstractmethod
    def sizes(self) -> np.ndarray:
        """Height and width of each image, int64 [n, 2]."""

    @abstractmethod
    def load(self, rows: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """The images of some rows, uint8 [h, w, 3] each; to change them does not change the pool.

        Raises:
            DamagedError: Where the pixels of one are not those that were written.
        """

    @abstractmethod
    def load_part(self, row: int, choose: Callable[[int, int], Box]) -> np.ndarray:
        """A part of one image, uint8 [h, w, 3], as `load` gives whole ones.

        Args:
            row: Which image.
            choose: The part, of the height and width of the image; it lies inside.
        """

    @abstractmethod
    def stack(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """A copy of the images of some rows in one array, uint8 [k, h, w, 3].

        Raises:
            ValueError: Where the images have many sizes.
        """

    def part(self, rows: Sequence[int] | np.ndarray) -> Pool:
        """The images of some rows, in their order, as a pool that reads through this one."""
        return _Part(self, np.asarray(rows, np.int64))

    @abstractmethod
    def channel_statistics(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of each channel, in 0..1, over the pixels of all images."""


class UniformPool(Pool):
    """A pool of images of one size.

    Args:
        images: uint8 [n, h, w, 3], an array or a memory map; not copied.
    """

    inference_batch_size = 250

    def __init__(self, images: np.ndarray):
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    @property
    def sizes(self) -> np.ndarray:
        return np.tile(np.array(self._images.shape[1:3], np.int64), (len(self), 1))

    def load(self, rows: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        return list(self.stack(rows))

    def load_part(self, row: int, choose: Callable[[int, int], Box]) -> np.ndarray:
        return np.array(_cut(self._images[row], choose(*self._images.shape[1:3])))

    def stack(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        # Fancy indexing copies, so the memory map stays read-only.
        return np.ascontiguousarray(self._images[np.asarray(rows, np.int64)])

    def channel_statistics(self) -> tuple[list[float], list[float]]:
        pixels = np.asarray(self._images, np.float64).reshape(-1, 3) / 255
        return pixels.mean(axis=0).tolist(), pixels.std(axis=0).tolist()


class RaggedPool(Pool):
    """A pool of images of many sizes, read from disk as asked for.

    Args:
        path: The array file.
        facts: Height, width and checksum of each image, int [n, 3].

    Raises:
        DamagedError: Where the file is not as long as the sizes say.
    """

    # Full-size networks on full-size images need gigabytes for a few hundred of them.
    inference_batch_size = 64

    def __init__(self, path: Path, facts: np.ndarray):
        facts = np.asarray(facts, np.int64).reshape(-1, 3)
        self._path, self._sizes, self._checksums = path, facts[:, :2], facts[:, 2]
        ends = np.cumsum(self._sizes.prod(axis=1) * 3)
        self._bounds = np.concatenate([[0], ends])
        self._checked = np.zeros(len(facts), bool)
        self._start = _check_array(path, (int(self._bounds[-1]),))
        # Not a memory map: to map its pages takes as long as to copy them, and those that were read
        # would count as the process's memory for as long as the map is there.
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def __len__(self) -> int:
        return len(self._sizes)

    @property
    def sizes(self) -> np.ndarray:
        return self._sizes

    def load(self, rows: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        return [self._read(int(row)) for row in rows]

    def load_part(self, row: int, choose: Callable[[int, int], Box]) -> np.ndarray:
        height, width = self._sizes[row].tolist()
        top, left, height, width = box = choose(height, width)
        if not self._checked[row]:
            return _cut(self._read(row), box)
        return _cut(self._read_lines(row, top, height), (0, left, height, width))

    def stack(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        raise ValueError(
            f"{self._path}: its images have many sizes and need a view that resizes them"
        )

    def channel_statistics(self) -> tuple[list[float], list[float]]:
        # One image at a time: together they may not fit in memory.
        return channel_statistics(self.load([row])[0] for row in range(len(self)))

    def _read(self, row: int) -> np.ndarray:
        image = self._read_lines(row, 0, int(self._sizes[row, 0]))
        if not self._checked[row]:
            if checksum(image) != self._checksums[row]:
                raise _wrong_pixels(self._path, row)
            self._checked[row] = True
        return image

    def _read_lines(self, row: int, top: int, height: int) -> np.ndarray:
        """Lines of an image, uint8 [height, w, 3]."""
        lines = np.empty((height, int(self._sizes[row, 1]), 3), np.uint8)
        before = self._start + int(self._bounds[row]) + top * lines[0].size
        if os.preadv(self._file, [lines], before) != lines.size:
            raise DamagedError(self._path, f"it ends before the last pixel of image {row}")
        return lines


class _Part(Pool):
    """Some images of a pool."""

    def __init__(self, pool: Pool, rows: np.ndarray):
        self._pool, self._rows = pool, rows
        self.inference_batch_size = pool.inference_batch_size

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def sizes(self) -> np.ndarray:
        return self._pool.sizes[self._rows]

    def load(self, rows: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        return self._pool.load(self._rows[np.asarray(rows, np.int64)])

    def load_part(self, row: int, choose: Callable[[int, int], Box]) -> np.ndarray:
        return self._pool.load_part(int(self._rows[row]), choose)

    def stack(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        return self._pool.stack(self._rows[np.asarray(rows, np.int64)])

    def channel_statistics(self) -> tuple[list[float], list[float]]:
        return channel_statistics(self.load([row])[0] for row in range(len(self)))


def _cut(image: np.ndarray, box: Box) -> np.ndarray:
    top, left, height, width = box
    return image[top : top + height, left : left + width]


def as_pool(images: Pool | np.ndarray) -> Pool:
    """The pool of an array of images, uint8 [n, h, w, 3]; a pool is itself."""
    return UniformPool(images) if isinstance(images, np.ndarray) else images


def channel_statistics(images: Iterable[np.ndarray]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel, in 0..1, over the pixels of images uint8
    [h, w, 3]."""
    total, squares, count = np.zeros(3), np.zeros(3), 0
    for image in images:
        pixels = image.reshape(-1, 3) / 255
        total, squares = total + pixels.sum(axis=0), squares + (pixels**2).sum(axis=0)
        count += len(pixels)
    mean = total / count
    return mean.tolist(), np.sqrt(squares / count - mean**2).tolist()


def open_pool(path: Path, index: Path) -> Pool:
    """A pool's images; those of one size lie in a memory map, and are all checked at once.

    Args:
        path: `train_images.npy` or `test_images.npy` of a prepared task.
        index: Its images.csv.

    Raises:
        DamagedError: Where one of the files is not as it was written.
    """
    rows = read_index(index, path.name.removesuffix("_images.npy"))
    facts = np.array([row[1:] for row in rows], np.int64).reshape(-1, 3)
    sizes = {tuple(size) for size in facts[:, :2].tolist()}
    shape = (len(facts), *sizes.pop(), 3) if len(sizes) == 1 else ()
    if not _begins_as(path, shape):
        return RaggedPool(path, facts)
    images = np.memmap(path, np.uint8, "r", _check_array(path, shape), shape)
    for row, (image, wanted) in enumerate(zip(images, facts[:, 2].tolist(), strict=True)):
        if checksum(image) != wanted:
            raise _wrong_pixels(path, row)
    return UniformPool(images)


def _check_array(path: Path, shape: tuple[int, ...]) -> int:
    """Where an array begins in its file, which must hold it and nothing else."""
    wanted, there = len(_header(shape)) + math.prod(shape), path.stat().st_size
    if there != wanted:
        raise DamagedError(path, f"it has {there} bytes, and its images.csv asks for {wanted}")
    if not _begins_as(path, shape):
        raise DamagedError(path, f"it does not begin as an array {list(shape)} of bytes")
    return len(_header(shape))


def _begins_as(path: Path, shape: tuple[int, ...]) -> bool:
    # Not left to NumPy, whose parser takes other headers too and raises anything for a damaged one.
    header = _header(shape)
    with open(path, "rb") as file:
        return file.read(len(header)) == header


def _header(shape: tuple[int, ...]) -> bytes:
    """What a NumPy file of such an array of bytes begins with."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    return file.getvalue()


def _wrong_pixels(path: Path, row: int) -> DamagedError:
    return DamagedError(path, f"the pixels of image {row} do not have their checksum in images.csv")


def write_ragged(path: Path, images: Iterable[np.ndarray]) -> np.ndarray:
    """Write images as `RaggedPool` reads them, one at a time.

    Args:
        path: The array file; it appears only once it is complete.
        images: uint8 [h, w, 3] each.

    Returns:
        Heights, widths and checksums, int64 [n, 3].
    """
    partial = path.with_name(path.name + ".partial")
    facts: list[tuple[int, int, int]] = []
    with open(partial, "wb") as file:
        file.write(_header((0,)))
        start = file.tell()
        for image in images:
            image = np.ascontiguousarray(image, np.uint8)
            file.write(image.data)
            facts.append((*image.shape[:2], checksum(image)))
        length = file.tell() - start
        # NumPy pads the header, so that the true length fits in the place of the first one.
        file.seek(0)
        file.write(_header((length,)))
        if file.tell() != start:
            raise RuntimeError("NumPy's header changed its length")
    partial.replace(path)
    return np.array(facts, np.int64).reshape(-1, 3)
