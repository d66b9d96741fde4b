"""Images decoded once: a data set's images on disk as every stage reads them.

The images of a pool lie one after the other in one array file, uint8 [bytes], each as it came out
of its file but for a shorter side of at most `MAX_SIDE`. images.csv has their heights and widths.
"""

from __future__ import annotations

import csv
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from distillweighted.datasets.listing import Example, Listing

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SIDE = 256
"""Longest shorter side of a stored image, in pixels: what the paper's transforms resize to."""


class RaggedImages:
    """A pool of images of different sizes, uint8 [h, w, 3] each, read from disk as asked for.

    Args:
        path: The array file.
        sizes: Height and width of each image, int [n, 2].

    Raises:
        ValueError: Where the file is not as long as the sizes say.
    """

    def __init__(self, path: Path, sizes: np.ndarray):
        self._path, self._sizes = path, np.asarray(sizes, np.int64).reshape(-1, 2)
        ends = np.cumsum(self._sizes.prod(axis=1) * 3)
        self._bounds = np.concatenate([[0], ends])
        there, wanted = len(self._map()), int(self._bounds[-1])
        if there != wanted:
            raise ValueError(
                f"{path} holds {there} bytes of pixels, and its images.csv asks for {wanted}: one "
                "of them is damaged or of another version; remove both, so that they are made again"
            )

    def __len__(self) -> int:
        return len(self._sizes)

    def load(self, rows: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """Copies of the images of some rows."""
        pixels = self._map()
        return [self._cut(pixels, int(row)) for row in rows]

    def _map(self) -> np.ndarray:
        # Mapped anew for each batch: pages that were read count as the process's memory for as long
        # as the map is there, and an epoch would read them all.
        return np.load(self._path, mmap_mode="r")

    def _cut(self, pixels: np.ndarray, row: int) -> np.ndarray:
        start, end = self._bounds[row : row + 2]
        return np.array(pixels[start:end]).reshape(*self._sizes[row], 3)


Pool = np.ndarray | RaggedImages
"""A pool of images: of one size, uint8 [n, h, w, 3], or of many."""


def open_pool(path: Path, index: Path) -> Pool:
    """A pool's images, read through a memory map.

    Args:
        path: `train_images.npy` or `test_images.npy` of a prepared task.
        index: Its images.csv.
    """
    images = np.load(path, mmap_mode="r")
    if images.ndim == 4:
        return images
    pool = path.name.removesuffix("_images.npy")
    with open(index, encoding="utf-8", newline="") as file:
        rows = [
            (int(row["row"]), int(row["height"]), int(row["width"]))
            for row in csv.DictReader(file)
            if row["pool"] == pool
        ]
    return RaggedImages(path, np.array([size for _, *size in sorted(rows)]).reshape(-1, 2))


def write_ragged(path: Path, images: Iterable[np.ndarray]) -> np.ndarray:
    """Write images as `RaggedImages` reads them, one at a time.

    Args:
        path: The array file; it appears only once it is complete.
        images: uint8 [h, w, 3] each.

    Returns:
        Heights and widths, int64 [n, 2].
    """
    partial = path.with_name(path.name + ".partial")
    sizes: list[tuple[int, int]] = []
    with open(partial, "wb") as file:
        _write_header(file, 0)
        start = file.tell()
        for image in images:
            file.write(np.ascontiguousarray(image, np.uint8).data)
            sizes.append(image.shape[:2])
        length = file.tell() - start
        # NumPy pads the header, so that the true length fits in the place of the first one.
        file.seek(0)
        _write_header(file, length)
        if file.tell() != start:
            raise RuntimeError("NumPy's header changed its length")
    partial.replace(path)
    return np.array(sizes, np.int64).reshape(-1, 2)


def _write_header(file, length: int) -> None:
    np.lib.format.write_array_header_1_0(
        file, {"descr": "|u1", "fortran_order": False, "shape": (length,)}
    )


def decode_images(
    listing: Listing, examples: Sequence[Example], *, threads: int
) -> Iterator[np.ndarray]:
    """The images of some examples, in order, uint8 [h, w, 3], at most `MAX_SIDE` on their shorter
    side.

    Raises:
        DataError: At the first image that cannot be read; names its file.
    """
    yield from _ordered_map(lambda example: stored(listing.open_image(example)), examples, threads)


def stored(image: Image) -> np.ndarray:
    """An RGB image as it is stored: uint8 [h, w, 3], the shorter side at most `MAX_SIDE`."""
    from PIL import Image as images

    width, height = image.size
    if (shorter := min(width, height)) > MAX_SIDE:
        # Rounded down, as torchvision's Resize does.
        size = (width * MAX_SIDE // shorter, height * MAX_SIDE // shorter)
        image = image.resize(size, images.Resampling.BILINEAR)
    return np.asarray(image.convert("RGB"), np.uint8)


def _ordered_map(work: Callable, items: Iterable, threads: int) -> Iterator:
    """`map` on several threads, a few items ahead of what is asked for."""
    with ThreadPoolExecutor(threads) as executor:
        items = iter(items)
        pending = deque(
            executor.submit(work, item) for item in itertools.islice(items, 4 * threads)
        )
        try:
            while pending:
                result = pending.popleft().result()
                pending.extend(executor.submit(work, item) for item in itertools.islice(items, 1))
                yield result
        finally:
            for future in pending:
                future.cancel()
