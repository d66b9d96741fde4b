"""Data sets of a few files that hold many images each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillweighted.tasks.datasets.reading import data_error
from distillweighted.tasks.listing import Example, Listing

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class ArrayFile:
    """A file that holds many images.

    Attributes:
        path: The file.
        pool: See `Example`.
        labels: Labels of its images.
        images: Gives an image by its row, uint8 [h, w, 3]; an array, or what reads from one.
    """

    path: Path
    pool: str
    labels: list[int]
    images: Any


def list_arrays(
    classes: Sequence[str], files: Mapping[str, ArrayFile], *, digits: int = 6
) -> Listing:
    """List a data set whose images lie in a few files.

    Args:
        classes: Class names, by label.
        files: The files; image 17 of the file "train" is called train/000017.
        digits: How many digits the number has at least.
    """

    def open_image(example: Example) -> Image:
        import numpy as np
        from PIL import Image

        name, row = example.name.split("/")
        file = files[name]
        try:
            return Image.fromarray(np.ascontiguousarray(file.images[int(row)]))
        except Exception as error:
            # What reads from a damaged file raises almost anything.
            raise data_error(f"{file.path}: image {row} cannot be read: {error}") from error

    return Listing(
        classes=tuple(classes),
        examples=tuple(
            Example(f"{name}/{row:0{digits}d}", label, file.pool)
            for name, file in files.items()
            for row, label in enumerate(file.labels)
        ),
        open_image=open_image,
        path_of=lambda example: files[example.name.split("/")[0]].path,
    )
