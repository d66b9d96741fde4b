"""Images for tests of own tasks: no two are alike unless they are asked to be."""

from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, size: int = 48) -> Image.Image:
    """A picture of coarse squares in colours that the seed draws."""
    squares = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(squares).resize((size, size), Image.Resampling.BILINEAR)


def write(path: Path, seed: int, **options) -> Path:
    """Write a picture to a file, whose folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed).save(path, **options)
    return path


def write_task(folder: Path, *, classes: int = 2, per_class: int = 6, unlabeled: int = 3) -> None:
    """Write labeled/<class>/<n>.png, classes called a, b, ..., and unlabeled/<n>.png."""
    for label in range(classes):
        for n in range(per_class):
            write(folder / "labeled" / chr(97 + label) / f"{n}.png", 100 * label + n)
    for n in range(unlabeled):
        write(folder / "unlabeled" / f"{n}.png", 9000 + n)
