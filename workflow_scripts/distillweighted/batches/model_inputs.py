"""Images as a model was trained to see them: its own resizing and crop.

A model's metadata have them under `input`: size, shorter_side, interpolation, mode and, of mode
border, fill. They are those of torchvision's and timm's evaluation transforms (torchvision's
`ImageClassification`, timm's `transforms_imagenet_eval`), pixel by pixel: Pillow resizes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from distillweighted.tasks.pools import Pool

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")


@dataclass(frozen=True)
class ModelInput:
    """The view of images that a model was trained for; a view for inference, not for training.

    Attributes:
        size: Side of the views, in pixels.
        shorter_side: Shorter side that an image is resized to before the middle is cut out.
        interpolation: One of `INTERPOLATIONS`.
        mode: center - proportions are kept and the middle is cut out; squash - both sides are
            resized to `shorter_side`; border - the longer side is, and the rest is filled.
        fill: The colour around an image that is smaller than the view.
        threads: CPU threads to resize with.
    """

    size: int
    shorter_side: int
    interpolation: str = "bilinear"
    mode: str = "center"
    fill: Sequence[int] = (0, 0, 0)
    threads: int = 1

    def plain(self, images: Pool, rows: np.ndarray) -> Tensor:
        """Images without augmentation, uint8 [n, 3, size, size]."""
        views = self._map(self._view, images.load(rows))
        return torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2)

    def train(self, images: Pool, rows: np.ndarray, rng: np.random.Generator) -> Tensor:
        """Not there: nothing is trained on a source's own view."""
        raise NotImplementedError

    strong_base = train

    def _map(self, work: Callable, items: Sequence) -> list[np.ndarray]:
        if self.threads == 1:
            return [work(item) for item in items]
        with ThreadPoolExecutor(self.threads) as executor:
            return list(executor.map(work, items))

    def _view(self, image: np.ndarray) -> np.ndarray:
        from PIL import Image

        height, width = self._resized(*image.shape[:2])
        if (height, width) != image.shape[:2]:
            kind = Image.Resampling[self.interpolation.upper()]
            image = np.asarray(Image.fromarray(image).resize((width, height), kind))
        return self._middle(image)

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that an image is resized to."""
        side = self.shorter_side
        if self.mode == "squash":
            return side, side
        if self.mode == "border":
            ratio = max(height, width) / side
            return max(1, round(height / ratio)), max(1, round(width / ratio))
        # torchvision cuts the longer side down to whole pixels.
        if height <= width:
            return side, int(side * width / height)
        return int(side * height / width), side

    def _middle(self, image: np.ndarray) -> np.ndarray:
        """The middle of an image, with a border of `fill` where it is smaller than the view."""
        height, width = image.shape[:2]
        if height < self.size or width < self.size:
            # Half of what is missing above and left, as torchvision has it.
            top, left = (max(self.size - side, 0) // 2 for side in (height, width))
            shape = (max(height, self.size), max(width, self.size), 3)
            padded = np.empty(shape, np.uint8)
            padded[:] = self.fill
            padded[top : top + height, left : left + width] = image
            image = padded
        top, left = (round((side - self.size) / 2.0) for side in image.shape[:2])
        return image[top : top + self.size, left : left + self.size]
