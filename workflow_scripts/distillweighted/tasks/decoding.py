"""From an image file to the array that is stored of it."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from distillweighted.tasks.listing import Example, Listing

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SIDE = 256
"""Longest shorter side of a stored image, in pixels: what the paper's transforms resize to."""


def decode_images(
    listing: Listing, examples: Sequence[Example], *, threads: int
) -> Iterator[np.ndarray]:
    """The images of some examples, in order, uint8 [h, w, 3], at most `MAX_SIDE` on their shorter
    side.

    Raises:
        DataError: At the first image that cannot be read; names its file.
    """
    yield from ordered_map(lambda example: stored(listing.open_image(example)), examples, threads)


def stored(image: Image) -> np.ndarray:
    """An RGB image as it is stored: uint8 [h, w, 3], the shorter side at most `MAX_SIDE`."""
    from PIL import Image as images

    width, height = image.size
    if (shorter := min(width, height)) > MAX_SIDE:
        # Rounded down, as torchvision's Resize does.
        size = (width * MAX_SIDE // shorter, height * MAX_SIDE // shorter)
        image = image.resize(size, images.Resampling.BILINEAR)
    return np.asarray(image.convert("RGB"), np.uint8)


def ordered_map(work: Callable, items: Iterable, threads: int) -> Iterator:
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
