"""Data sets of one folder a class."""

from __future__ import annotations

import os
from pathlib import Path

from distillweighted.tasks.datasets.reading import ImageList, data_error
from distillweighted.tasks.listing import Listing


def read_class_folders(
    folder: Path, images: str, *, suffixes: tuple[str, ...] = (".jpg",), ignored: str | None = None
) -> Listing:
    """List a data set of one folder a class, without an official split.

    Classes are in the order of their names, and images in that of their paths. Hidden files are
    left out, as file managers leave them behind.

    Args:
        folder: The data set's folder.
        images: The folder in it that holds the classes' folders.
        suffixes: Endings of image files, in small letters.
        ignored: A folder in `images` that is no class.

    Raises:
        DataError: Where the folder is missing, or holds something else than folders of images.
    """
    root = folder / images
    classes = [name for name in _visible(root) if name != ignored]
    listed = ImageList(folder, root)
    for label, name in enumerate(classes):
        files = _visible(root / name)
        if not files:
            raise data_error(f"{root / name}: a class without an image")
        for file in files:
            if not file.lower().endswith(suffixes):
                raise data_error(f"{root / name / file} is not an image ({', '.join(suffixes)})")
            listed.add(f"{images}/{name}/{file}", label, None, str(root / name))
    return listed.listing(classes)


def _visible(folder: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except FileNotFoundError:
        raise data_error(
            f"{folder} is missing; is the whole data set under the data root, as it was published?"
        ) from None
    except NotADirectoryError:
        raise data_error(f"{folder} is not the folder of a class") from None
