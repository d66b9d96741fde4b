"""Lists of images and the files that they name, as the readers of the data sets share them.

Files come from strangers: a list names only files under its data set's folder, an image is decoded
only where it is of a usual format and a bearable size, and whatever is wrong is a `DataError` that
says in which file and line.
"""

from __future__ import annotations

import csv
import io
import math
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillweighted.tasks.listing import Example, Listing

if TYPE_CHECKING:
    from PIL.Image import Image

    from distillweighted.errors import DataError

FORMATS = ("JPEG", "PNG", "GIF", "BMP")
"""What images may be, whatever their suffix says; Pillow would run Ghostscript for some others."""

MAX_PIXELS = 89_478_485
"""Pixels that an image may have: where Pillow begins to warn of a decompression bomb."""


MAX_BYTES = 2**30
"""Bytes of a list, or of a file of arrays that is read as a whole; the largest has 182 MB."""


def data_error(message: str) -> DataError:
    """The error of a data set that cannot be read."""
    # Loads NumPy and pandas, which the check of a configuration can do without.
    from distillweighted.errors import DataError

    return DataError(message)


def read_bytes(path: Path) -> bytes:
    """The contents of a file.

    Raises:
        DataError: Where it is missing, no file, larger than `MAX_BYTES`, or cannot be read.
    """
    try:
        stat = path.stat()
        if not path.is_dir() and (not path.is_file() or stat.st_size > MAX_BYTES):
            raise OSError(f"it is no file, or has more than {MAX_BYTES} bytes")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise data_error(
            f"{path} is missing; is the whole data set under the data root, as it was published?"
        ) from None
    except (OSError, ValueError) as error:
        raise data_error(f"{path} cannot be read: {error}") from error


def read_text(path: Path) -> str:
    """The contents of a UTF-8 text file, with or without a byte order mark.

    Raises:
        DataError: Where it is missing or not UTF-8.
    """
    data = read_bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise data_error(f"{path}, line {line}: not UTF-8 text ({error.reason})") from error


def read_matlab(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """Some variables of a MATLAB file.

    Raises:
        DataError: Where the file is missing, damaged, lacks one of them, or says or unpacks to more
            than `MAX_BYTES`.
    """
    from scipy.io import loadmat, whosmat

    data = read_bytes(path)
    try:
        _check_unpacked_size(data)
        entries = sum(math.prod(shape) for _, shape, _ in whosmat(io.BytesIO(data)))
        if entries > MAX_BYTES:
            raise ValueError(f"it says that it has {entries} entries")
        table = loadmat(io.BytesIO(data), variable_names=names)
        return {name: table[name] for name in names}
    except Exception as error:
        # SciPy raises whatever a damaged file leads it to.
        raise data_error(
            f"{path} is not a MATLAB file with {', '.join(names)}: {error!r:.200}"
        ) from error


def _check_unpacked_size(data: bytes) -> None:
    """Raise ValueError where the compressed parts of a MATLAB file (version 5) are too large."""
    place, left = 128, MAX_BYTES
    while place + 8 <= len(data):
        kind, size = struct.unpack_from(">II" if data[126:128] == b"MI" else "<II", data, place)
        packed = data[place + 8 : place + 8 + size] if kind == 15 else b""
        unpacker = zlib.decompressobj()
        while packed and left > 0:
            left -= len(unpacker.decompress(packed, 2**20))
            packed = unpacker.unconsumed_tail
        if left <= 0:
            raise ValueError(f"it unpacks to more than {MAX_BYTES} bytes")
        place += 8 + size


def read_fields(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The lines of a text file of columns with spaces between them; empty lines are left out.

    Args:
        path: The file.
        columns: What the columns are called in errors; the last one has the rest of the line.

    Yields:
        Where the line is, for errors, and its fields.

    Raises:
        DataError: Where the file is missing or a line has fewer fields.
    """
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        fields = line.strip().split(maxsplit=len(columns) - 1)
        where = f"{path}, line {number}"
        if len(fields) != len(columns):
            raise data_error(f"{where}: expected {', '.join(columns)}; found '{line.strip()}'")
        yield where, fields


def read_csv(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The lines of a CSV file, its header first.

    Yields:
        Where the line is, for errors, and its cells; without an empty last one, since some tables
        end their lines with a comma.

    Raises:
        DataError: Where the file is missing or not a CSV file, or a line is not as long as the
            header.
    """
    table = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    width = None
    try:
        for cells in table:
            where = f"{path}, line {table.line_num}"
            if not cells:
                continue
            if len(cells) > 1 and not cells[-1]:
                cells = cells[:-1]
            if width is None:
                width = len(cells)
            if len(cells) != width:
                raise data_error(f"{where}: {len(cells)} cells, where the header has {width}")
            yield where, cells
    except csv.Error as error:
        raise data_error(f"{path}, line {table.line_num}: not a CSV file ({error})") from error


def read_integer(text: str, where: str, what: str) -> int:
    """A number of a list, not negative.

    Args:
        text: Its digits.
        where: Where the text is, for the error.
        what: What it is, for the error.

    Raises:
        DataError: Where the text is anything else.
    """
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise data_error(f"{where}: the {what} '{text}' is not a number")
    return int(text)


class NumberedClasses:
    """Classes that lists number from 1 and name in passing."""

    def __init__(self):
        self._names: dict[int, str] = {}

    def label(self, class_id: int, name: str, where: str) -> int:
        """The label of a class, counted from 0.

        Args:
            class_id: Its number.
            name: Its name; the same each time.
            where: Where the class occurs, for errors.

        Raises:
            DataError: Where the number is 0, or had another name before.
        """
        if class_id < 1:
            raise data_error(f"{where}: class ids count from 1, and this one is {class_id}")
        before = self._names.setdefault(class_id, name)
        if before != name:
            raise data_error(f"{where}: class {class_id} is '{name}' here and '{before}' before")
        return class_id - 1

    def names(self, where: str) -> list[str]:
        """All names, by label.

        Raises:
            DataError: Where a number is missing, or two have the same name.
        """
        names = [name for _, name in sorted(self._names.items())]
        if sorted(self._names) != list(range(1, len(names) + 1)):
            raise data_error(f"{where}: the class ids are not 1 to {len(names)}")
        if len(set(names)) < len(names):
            double = next(name for name in names if names.count(name) > 1)
            raise data_error(f"{where}: '{double}' has more than one class id")
        return names


class ImageList:
    """The images of a data set that lie in files of their own, in the order they are added.

    Args:
        folder: The data set's folder; images are named by their paths under it.
        root: What no link may lead out of; by default that folder. It may be a link itself.
    """

    def __init__(self, folder: Path, root: Path | None = None):
        self._folder, self._root = folder, root or folder
        self._examples: list[Example] = []
        self._seen: dict[str, str] = {}

    def add(self, name: str, label: int | tuple[int, ...], pool: str | None, where: str) -> None:
        """Add an image.

        Args:
            name: Its path under the data set's folder.
            label: See `Example`.
            pool: See `Example`.
            where: Where it is listed, for errors.

        Raises:
            DataError: Where the path may leave the folder, or the image was added before.
        """
        if "\\" in name or "\0" in name or not {"", ".", ".."}.isdisjoint(name.split("/")):
            raise data_error(f"{where}: '{name}' is not a path under {self._folder}")
        if not _is_utf8(name):
            raise data_error(f"{where}: the name {name!a} is not UTF-8; rename the file or folder")
        if name in self._seen:
            raise data_error(
                f"{where}: the image '{name}' is listed twice, first in {self._seen[name]}"
            )
        self._seen[name] = where
        self._examples.append(Example(name, label, pool))

    def listing(self, classes: Sequence[str]) -> Listing:
        """The listing of the images.

        Args:
            classes: Class names, by label.

        Raises:
            DataError: Where there is no image, or files are missing.
        """
        if not self._examples:
            raise data_error(f"{self._folder}: no image is listed there")
        self._check_files()
        folder = self._folder
        return Listing(
            classes=tuple(classes),
            examples=tuple(self._examples),
            open_image=lambda example: open_rgb(folder / example.name),
            path_of=lambda example: folder / example.name,
        )

    def _check_files(self) -> None:
        # Each folder is listed once: asking for every image costs minutes on a network drive.
        there: dict[str, dict[str, bool]] = {}
        missing = []
        for example in self._examples:
            parent, _, file = example.name.rpartition("/")
            if parent not in there:
                self._check_inside(parent, example.name)
                there[parent] = _files_in(self._folder / parent)
            is_link = there[parent].get(file)
            if is_link:
                self._check_inside(example.name, example.name)
            elif is_link is None:
                missing.append(example.name)
        if missing:
            raise data_error(
                f"{self._folder}: {len(missing)} of {len(self._examples)} images are missing, the "
                f"first is '{missing[0]}'; unpack the data set's archive again"
            )

    def _check_inside(self, path: str, image: str) -> None:
        real = os.path.realpath(self._folder / path)
        root = os.path.realpath(self._root)
        if os.path.commonpath([real, root]) != root:
            raise data_error(
                f"{self._seen[image]}: '{path}' is a link out of {self._root}, to {real}; put the "
                "files themselves there"
            )


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _files_in(folder: Path) -> dict[str, bool]:
    """The files of a folder, and of each whether it is a link."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.is_symlink() for entry in entries if entry.is_file()}
    except (FileNotFoundError, NotADirectoryError):
        return {}


def open_rgb(path: Path) -> Image:
    """The image of a file, upright and RGB; grey levels become equal channels, and transparency is
    dropped.

    Raises:
        DataError: Where the file is missing, truncated, of another format than `FORMATS`, larger
            than `MAX_PIXELS`, or has more than 8 bits a channel.
    """
    try:
        return _decode(path)
    except Exception as error:
        # Pillow's decoders raise whatever a damaged file leads them to.
        raise data_error(f"{path} cannot be read as an image: {error}") from error


def _decode(path: Path) -> Image:
    from PIL import Image, ImageOps

    with Image.open(path, formats=FORMATS) as image:
        # Pillow's own warning could be made an error only for all threads at once.
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(
                f"{image.width} x {image.height} pixels are more than {MAX_PIXELS}, which may be "
                "a decompression bomb"
            )
        if image.mode == "F" or image.mode.startswith("I"):
            raise ValueError("it has more than 8 bits a channel, which Pillow would clip")
        return ImageOps.exif_transpose(image).convert("RGB")
