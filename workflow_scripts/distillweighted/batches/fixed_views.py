"""Augmented views of a target's images that are drawn once: sources and students see the same.

View k of an image depends on the target's name, on k and on the image's row alone, not on how many
views there are, nor on which images are asked for together. What is kept is what a view is drawn by
(a few numbers an image); its pixels are made when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from distillweighted.batches.views import View
from distillweighted.seeds import derive_seed
from distillweighted.tasks.pools import Box, Pool, as_pool, channel_statistics


class FixedViews:
    """K augmented views of each of n images.

    Args:
        images: All training images of a target; an array is uint8 [n, h, w, 3].
        view: How images are augmented.
        count: K, 1 or more.
        target: The target, whose name the views are drawn from.
    """

    def __init__(self, images: Pool | np.ndarray, view: View, count: int, *, target: str):
        self._images, self._view = as_pool(images), view
        seeds = [derive_seed("view", target, k) for k in range(count)]
        self._draws = np.stack(
            [view.draws(len(self._images), np.random.Generator(np.random.PCG64(s))) for s in seeds]
        )

    def __len__(self) -> int:
        """K."""
        return len(self._draws)

    def show(self, rows: np.ndarray, numbers: np.ndarray | int) -> Tensor:
        """The views of these numbers, 0 to K - 1 [b], of the images of rows [b], one each.

        Returns:
            uint8 [b, 3, h, w].
        """
        return self._view.drawn(self._images, rows, self._draws[numbers, rows])

    def places(self, rows: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Where these views [b] stand among all K n: those of number 0 come first, by row."""
        return numbers * len(self._images) + rows

    def pool(self, number: int) -> Pool:
        """The views of one number as a pool of n images, all of one size."""
        return _OneView(self, number, self._images)


class _OneView(Pool):
    """A view of every image of a pool."""

    def __init__(self, views: FixedViews, number: int, images: Pool):
        self._views, self._number, self._length = views, number, len(images)
        self.inference_batch_size = images.inference_batch_size

    def __len__(self) -> int:
        return self._length

    @property
    def sizes(self) -> np.ndarray:
        return np.tile(np.array(self.stack([0]).shape[1:3], np.int64), (len(self), 1))

    def load(self, rows: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        return list(self.stack(rows))

    def load_part(self, row: int, choose: Callable[[int, int], Box]) -> np.ndarray:
        (image,) = self.stack([row])
        top, left, height, width = choose(*image.shape[:2])
        return image[top : top + height, left : left + width]

    def stack(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        views = self._views.show(np.asarray(rows, np.int64), self._number)
        return np.ascontiguousarray(views.permute(0, 2, 3, 1).numpy())

    def channel_statistics(self) -> tuple[list[float], list[float]]:
        return channel_statistics(self.load([row])[0] for row in range(len(self)))
