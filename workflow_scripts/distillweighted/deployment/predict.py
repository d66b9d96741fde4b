#!/usr/bin/env python3
"""Classify images with the model.onnx beside this file.

    python predict.py IMAGE_OR_FOLDER ... [--csv predictions.csv] [--model model.onnx]

It needs Python 3.9 or newer, onnxruntime, NumPy and Pillow, and nothing else. Classes, image size and
how images are prepared are read from the model. A folder stands for all images in it and below it.
Prints a line an image: its path, its class, and the model's probability of that class; `--csv` writes
a table (image, label, confidence) instead. What is no image is reported, and the exit status is 1.
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
from PIL import Image, ImageOps

ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
"""Endings, in small letters, of the files that count as images in a folder."""

PASSED_OVER = {"__macosx", "thumbs.db"}
"""Names, in small letters, of folders and files that are never images; those with a dot first are
passed over too."""

BATCH = 16
"""Images that the model sees at once."""

# A camera's or a scanner's image may have more pixels than Pillow takes for an attack.
Image.MAX_IMAGE_PIXELS = None


class NoImageError(ValueError):
    """A file that cannot be read as an image; the message names it."""


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

    def classify(self, paths: Sequence[Path]) -> Iterator[tuple[Path, str, float] | NoImageError]:
        """Path, class and confidence of every image, in order; an error where one cannot be read."""
        for start in range(0, len(paths), BATCH):
            prepared = [self._try(path) for path in paths[start : start + BATCH]]
            images = [image for image in prepared if isinstance(image, np.ndarray)]
            rows = iter(self.probabilities(np.stack(images)) if images else ())
            for path, image in zip(paths[start:], prepared):
                if isinstance(image, NoImageError):
                    yield image
                    continue
                row = next(rows)
                yield path, self.classes[int(row.argmax())], float(row.max())

    def _try(self, path: Path) -> np.ndarray | NoImageError:
        try:
            return prepare(read_image(path, self.preparation["background"]), self.preparation)
        except NoImageError as error:
            return error
        except ValueError as error:
            return NoImageError(f"{path}: {error}")


def read_image(path: str | Path, background: Sequence[int] = (255, 255, 255)) -> Image.Image:
    """An image file as an RGB image, upright, on a background where it is transparent.

    Of several frames, the first; 16-bit greys are scaled to 8 bits.

    Raises:
        NoImageError: Where it is no image, or a broken one.
    """
    try:
        with Image.open(path) as image:
            image.load()
            return _as_rgb(ImageOps.exif_transpose(image), tuple(background))
    except FileNotFoundError:
        raise NoImageError(f"{path}: there is no such file") from None
    except Exception as error:  # Pillow's readers raise anything for a broken file
        raise NoImageError(f"{path}: it cannot be read as an image ({error})") from error


def _as_rgb(image: Image.Image, background: tuple[int, ...]) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.new("RGBA", layer.size, (*background, 255))
        image.alpha_composite(layer)
    return image.convert("RGB")


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Greys of 16 bits as 8, uint8 [h, w]."""
    return (np.clip(values, 0, 65535).astype(np.uint32) // 256).astype(np.uint8)


def prepare(image: Image.Image, preparation: dict[str, Any]) -> np.ndarray:
    """What the model sees of an RGB image, uint8 [3, size, size].

    Args:
        image: The image.
        preparation: `size`, the side of what the model sees; `stored_side`, the longest shorter side
            that the image is first brought to; `shorter_side`, that from which the middle is cut
            out. Where the last is null, the image must have the size already.

    Raises:
        ValueError: Where it does not.
    """
    size, stored, shorter = (preparation[k] for k in ("size", "stored_side", "shorter_side"))
    if shorter is None:
        if image.size != (size, size):
            raise ValueError(
                f"it has {image.size[0]} x {image.size[1]} pixels; this model reads images of "
                f"{size} x {size}"
            )
    else:
        if stored is not None and min(image.size) > stored:
            image = _resize(image, stored)
        image = _resize(image, shorter)
        left, top = (round((side - size) / 2) for side in image.size)
        image = image.crop((left, top, left + size, top + size))
    return np.ascontiguousarray(np.asarray(image, np.uint8).transpose(2, 0, 1))


def _resize(image: Image.Image, shorter: int) -> Image.Image:
    """An image with another shorter side; the longer one is rounded down."""
    width, height = image.size
    least = min(width, height)
    if least == shorter:
        return image
    size = (width * shorter // least, height * shorter // least)
    return image.resize(size, Image.Resampling.BILINEAR)


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
            if file.suffix.lower() in ENDINGS
            and file.is_file()
            and not any(_is_passed_over(part) for part in file.relative_to(path).parts)
        )
        if not inside:
            raise FileNotFoundError(
                f"{argument}: there is no image in this folder ({', '.join(sorted(ENDINGS))})"
            )
        found += inside
    return found


def _is_passed_over(name: str) -> bool:
    return name.startswith(".") or name.lower() in PASSED_OVER


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
        if isinstance(answer, NoImageError):
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
