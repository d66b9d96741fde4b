"""Pictures that tell their class: stripes in two colours that depend on the class, with noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from distillweighted.seeds import derive_seed


def make_picture(
    task: str, label: int, index: int, *, height: int, width: int, seed: int
) -> np.ndarray:
    """A picture of a class, uint8 [height, width, 3].

    Colours and stripes depend on task and label, their place and the noise also on index. Only
    whole numbers are computed with, so that the result is the same on every machine.

    Args:
        task: Name of the data set.
        label: The class.
        index: Which picture of the class.
        height: Height in pixels.
        width: Width in pixels.
        seed: Seed.
    """
    of_class = np.random.default_rng(derive_seed("miniature", seed, task, label))
    of_picture = np.random.default_rng(derive_seed("miniature", seed, task, label, index))
    colours = of_class.integers(30, 226, (2, 3))
    period, *slope = of_class.integers((6, 0, 1), (13, 3, 3)).tolist()
    rows, columns = np.mgrid[:height, :width]
    phase = of_picture.integers(0, period)
    stripes = (slope[0] * rows + slope[1] * columns + phase) % period < period // 2
    noise = of_picture.integers(-12, 13, (height, width, 3))
    return (colours[stripes.astype(np.intp)] + noise).astype(np.uint8)


def vary_size(task: str, label: int, index: int, *, size: int, seed: int) -> tuple[int, int]:
    """Height and width of a picture of a data set of many sizes: `size` to half as much again."""
    rng = np.random.default_rng(derive_seed("miniature size", seed, task, label, index))
    height, width = rng.integers(size, size + size // 2 + 1, 2).tolist()
    return height, width


def save_jpeg(path: Path, pixels: np.ndarray) -> None:
    """Save pixels, uint8 [h, w, 3] or grey [h, w], nearly unchanged; folders are created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, "JPEG", quality=95, subsampling=0)


def write_lines(path: Path, lines: list[str]) -> None:
    """Write a text file; folders are created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def is_test(index: int) -> bool:
    """Whether a picture of a class is for testing: every fourth is, so that four have both."""
    return index % 4 == 3
