#!/usr/bin/env python3
"""Classify images with the model.onnx beside this file.

    python predict.py IMAGE_OR_FOLDER ... [--csv predictions.csv] [--model model.onnx]

It needs Python 3.11 or newer, onnxruntime, NumPy and Pillow, and nothing else. Classes, image size
and how images are prepared are read from the model. A folder stands for all images in it and below.
Prints a line for each image: its path, its class, and the model's probability of that class;
`--csv` writes a table (image, label, confidence) instead. Files that are no images are named, the
others classified all the same; the exit status is 1 then.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distillweighted.tasks.own.images import UnreadableError, large_images, read_image

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
"""Endings, in small letters, of the files that count as images in a folder."""

JUNK = ("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir")
"""What systems leave in folders, in small letters, beside names that begin with a dot."""

BATCH = 16
"""Images that the model sees at once."""

AS_IT_IS = 2**24
"""A shorter side that no image has: one that is to stay as it is has at most this one."""


class Model:
    """A classifier in an ONNX file, with what its metadata say.

    Attributes:
        classes: Names of the classes, by output.
        preparation: How an image is prepared (see `prepare`).
    """

    def __init__(self, path: str | Path, *, threads: int | None = None):
        import onnxruntime

        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: there is no such model")
        options = onnxruntime.SessionOptions()
        if threads is not None:
            options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        facts = self._session.get_modelmeta().custom_metadata_map
        if not {"classes", "preparation"} <= facts.keys():
            raise ValueError(f"{path}: its metadata do not say classes and preparation")
        self.classes: list[str] = json.loads(facts["classes"])
        self.preparation: dict[str, Any] = json.loads(facts["preparation"])

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Probabilities float32 [n, classes] of prepared images, uint8 [n, 3, size, size]."""
        return self._session.run(["probabilities"], {"images": images})[0]

    def classify(self, paths: Sequence[Path]) -> Iterator[tuple[Path, str, float] | str]:
        """Path, class and confidence of each image, in order; why not where it cannot be read."""
        for start in range(0, len(paths), BATCH):
            some = paths[start : start + BATCH]
            prepared = [self._try(path) for path in some]
            images = [image for image in prepared if isinstance(image, np.ndarray)]
            rows = iter(self.probabilities(np.stack(images)) if images else ())
            for path, image in zip(some, prepared):
                if isinstance(image, str):
                    yield image
                    continue
                row = next(rows)
                yield path, self.classes[int(row.argmax())], float(row.max())

    def _try(self, path: Path) -> np.ndarray | str:
        try:
            return prepare(path, self.preparation)
        except UnreadableError as error:
            return f"{path}: {error}"


def prepare(path: str | Path, preparation: dict[str, Any]) -> np.ndarray:
    """What the model sees of an image file, uint8 [3, size, size].

    Args:
        path: The file.
        preparation: `size`, the side of what the model sees; `stored_side`, the longest shorter
            side that an image is first brought to; `shorter_side`, that from which the middle is
            cut out; `background`, the colour behind transparent pixels. Where `shorter_side` is
            null, the image must have the size already.

    Raises:
        UnreadableError: Where it cannot be read, or does not have that size.
    """
    from PIL import Image

    size, shorter = preparation["size"], preparation["shorter_side"]
    side, background = preparation["stored_side"] or AS_IT_IS, tuple(preparation["background"])
    with large_images():
        image = Image.fromarray(read_image(str(path), background=background, side=side))
    if shorter is None:
        if image.size != (size, size):
            raise UnreadableError(
                f"it has {image.width} x {image.height} pixels; this model reads images of "
                f"{size} x {size}"
            )
    else:
        least = min(image.size)
        if least != shorter:
            resized = tuple(length * shorter // least for length in image.size)
            image = image.resize(resized, Image.Resampling.BILINEAR)
        left, top = (round((length - size) / 2) for length in image.size)
        image = image.crop((left, top, left + size, top + size))
    return np.ascontiguousarray(np.asarray(image, np.uint8).transpose(2, 0, 1))


def list_images(arguments: Sequence[str]) -> list[Path]:
    """The files that the arguments name, and the images in the folders that they name, sorted.

    Raises:
        FileNotFoundError: Where one names nothing, or a folder without an image.
    """
    found: list[Path] = []
    for argument in arguments:
        path = Path(argument)
        if not path.is_dir():
            if not path.exists():
                raise FileNotFoundError(f"{argument}: there is no such file or folder")
            found.append(path)
            continue
        inside = sorted(
            file
            for file in path.rglob("*")
            if file.name.lower().endswith(ENDINGS)
            and file.is_file()
            and not any(_is_passed_over(part) for part in file.relative_to(path).parts)
        )
        if not inside:
            raise FileNotFoundError(
                f"{argument}: there is no image in this folder ({', '.join(ENDINGS)})"
            )
        found += inside
    return found


def _is_passed_over(name: str) -> bool:
    return name.startswith(".") or name.lower() in JUNK


def main(arguments: Sequence[str] | None = None) -> int:
    """Classify what the command line names; returns the exit status."""
    parser = argparse.ArgumentParser(description="Classify images with the model beside this file.")
    parser.add_argument("images", nargs="+", metavar="IMAGE_OR_FOLDER")
    parser.add_argument("--csv", metavar="FILE", help="write image, label, confidence there")
    default = Path(__file__).resolve().with_name("model.onnx")
    parser.add_argument(
        "--model", metavar="FILE", default=default, help="default: beside this file"
    )
    options = parser.parse_args(arguments)
    try:
        model, paths = Model(options.model), list_images(options.images)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    rows, failed = [], 0
    for answer in model.classify(paths):
        if isinstance(answer, str):
            failed += 1
            print(answer, file=sys.stderr)
            continue
        path, label, confidence = answer
        rows.append((path.as_posix(), label, f"{confidence:.6f}"))
        if options.csv is None:
            print(f"{path}\t{label}\t{confidence:.3f}", flush=True)
    if options.csv is not None:
        with open(options.csv, "w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(("image", "label", "confidence"))
            table.writerows(rows)
        print(f"{len(rows)} images classified, in {options.csv}")
    if failed:
        print(f"{failed} of {len(paths)} files could not be read", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
