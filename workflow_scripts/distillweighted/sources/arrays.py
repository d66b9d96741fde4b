"""What a model that can only be called elsewhere says of images: arrays in a file of the user's.

The file is .npz or .parquet; nothing in it is unpickled. It has a row an image, in any order:

    .npz      images         text [n], the names
              features       numbers [n, d], d > 0
              probabilities  numbers [n, c], c > 1
    .parquet  image          text, the names
              features       a list of d numbers a row, or d columns feature_0, feature_1, ...
              probabilities  a list of c numbers a row, or c columns probability_0, ...

One of features and probabilities may be left out. Names are those of the target's images.csv, as
in `labeled/rose/IMG 1.JPG`, whichever way Unicode writes an accent; `python -m distillweighted
images` lists them. Paths are not taken: a path says nothing of which of a target's folders it is
in. Rows of other images are passed over, but they must be whole too.

Probabilities are at least 0 and sum to 1 within `SUM_TOLERANCE`, which is what rounded answers of
an API miss it by; they are then divided by their sum. Where an API tells its first few classes
alone, what is left to 1 makes a class of its own.

Where there are only probabilities, the features are these, as they are. Their logarithm, which a
linear probe can use better, ranks sources worse (on the embedded benchmark, PARC of plain ones has
a rank correlation of 0.80 with the students' accuracy, of their logarithm 0.72), and it is ruled by
the smallest entries, which an API rounds to 0.
"""

from __future__ import annotations

import logging
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from distillweighted.errors import DataError

log = logging.getLogger(__name__)

ENDINGS = (".npz", ".parquet")
"""Endings of the files."""

SUM_TOLERANCE = 0.01
"""How far from 1 probabilities of an image may sum."""

KINDS = ("features", "probabilities")


class Arrays(NamedTuple):
    """A whole file of arrays, checked."""

    images: list[str]
    """Names, as the file has them."""

    features: np.ndarray | None
    """float32 [n, d]."""

    probabilities: np.ndarray | None
    """float32 [n, c]; rows sum to 1."""


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """What a file says of the named images, in their order.

    Args:
        path: The file.
        names: Names of the images, as images.csv has them.

    Returns:
        features float32 [len(names), d], and pseudo_labels float32 [len(names), c] where the file
        has probabilities.

    Raises:
        DataError: Where the file cannot be used, or lacks an image; names both.
    """
    arrays = load_arrays(path)
    rows = _rows_of(path, arrays.images, names)
    features = arrays.probabilities if arrays.features is None else arrays.features
    outputs = {"features": features[rows]}
    if arrays.probabilities is not None:
        outputs["pseudo_labels"] = arrays.probabilities[rows]
    return outputs


def load_arrays(path: Path) -> Arrays:
    """A whole file, checked.

    Raises:
        DataError: Where the file cannot be used; names it and an image.
    """
    path = Path(path)
    found = _read_npz(path) if path.suffix.lower() == ".npz" else _read_parquet(path)
    images = _checked_names(path, found.pop("images"))
    if not found:
        raise DataError(f"{path} has neither features nor probabilities; it needs one of them")
    checked = {kind: _checked(path, kind, found[kind], images) for kind in KINDS if kind in found}
    if "probabilities" in checked:
        checked["probabilities"] = _normalised(path, checked["probabilities"], images)
    return Arrays(images, checked.get("features"), checked.get("probabilities"))


def _rows_of(path: Path, images: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """Rows of the named images, int64 [len(names)]."""
    fold = _folding(names)
    row_of: dict[str, int] = {}
    for row, image in enumerate(images):
        if row_of.setdefault(fold(image), row) != row:
            raise DataError(f"{path}: '{image}' is in it twice; each image has one row")
    missing = [name for name in names if fold(name) not in row_of]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} of {len(names)} images are not in it, such as "
            f"{_examples(missing)}; its {len(images)} are named as {_examples(images)}. Names are "
            "those of images.csv, which `python -m distillweighted images` lists"
        )
    if extra := len(row_of) - len(names):
        log.info("%s: %d images that were not asked for are passed over", path, extra)
    return np.array([row_of[fold(name)] for name in names], np.int64)


def _folding(names: Sequence[str]) -> Callable[[str], str]:
    """How names are compared: in one way of writing accents, unless that makes two the same."""
    return _fold if len(set(map(_fold, names))) == len(names) else str


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _examples(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names[:3])


# The two kinds of files: raw values by name, of which `images` is there.


def _read_npz(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        # Anything else NumPy takes for another kind of file.
        if file.read(4) != b"PK\x03\x04":
            raise DataError(f"{path} is not an .npz file; write it with np.savez")
    found = {}
    try:
        with np.load(path) as file:
            if "images" not in file.files:
                raise DataError(f"{path} has no array `images`, but {', '.join(file.files)}")
            for name in ("images", *KINDS):
                if name in file.files:
                    found[name] = _read_member(path, file, name)
    # The last is of an encrypted one, or of compressions that nobody uses.
    except (OSError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise DataError(f"{path} is damaged, or incomplete ({error}); write it again") from None
    return found


def _read_member(path: Path, file: Any, name: str) -> np.ndarray:
    try:
        return file[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise DataError(f"{path}: {name} is damaged ({error}); write it again") from None
        raise DataError(
            f"{path}: {name} holds Python objects, which are not unpickled; write text as "
            "np.array(names, dtype=str), and numbers as float32"
        ) from None


def _read_parquet(path: Path) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Not `read_table`, which would take columns from the names of folders above.
        table = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0][:200]
        raise DataError(f"{path} is not a Parquet file, or damaged ({reason})") from None
    columns = table.column_names
    if columns.count("image") != 1:
        raise DataError(f"{path} has no column `image`, but {', '.join(columns[:10])}")
    images = table["image"]
    if images.null_count:
        raise DataError(f"{path}: {images.null_count} rows have no image")
    found: dict[str, Any] = {"images": images.to_pylist()}
    for kind, single in zip(KINDS, ("feature", "probability")):
        numbered = [name for name in columns if re.fullmatch(rf"{single}_\d+", name)]
        if kind in columns:
            found[kind] = _from_lists(path, kind, table[kind], found["images"])
        elif numbered:
            wanted = [f"{single}_{i}" for i in range(len(numbered))]
            if lacking := sorted({*wanted} - {*numbered}):
                raise DataError(
                    f"{path} has {len(numbered)} columns {single}_<i>, but no {lacking[0]}"
                )
            found[kind] = np.stack([_numbers(path, table[name], name) for name in wanted], axis=1)
    return found


def _from_lists(path: Path, name: str, column: Any, images: Sequence[str]) -> np.ndarray:
    """A column of lists of one length, as an array."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not (pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type)
            or pa.types.is_large_list(column.type)):  # fmt: skip
        raise DataError(f"{path}: column {name} is {column.type}, not a list of numbers a row")
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    if len(lengths) and (lengths != lengths[0]).any():
        row = int(np.argmax(lengths != lengths[0]))
        raise DataError(
            f"{path}: {name} of '{images[row]}' are {lengths[row]} numbers, and those of "
            f"'{images[0]}' are {lengths[0]}; all images need the same number of them"
        )
    values = _numbers(path, pc.list_flatten(column), name)
    return values.reshape(len(column), -1) if len(column) else np.empty((0, 1))


def _numbers(path: Path, column: Any, name: str) -> np.ndarray:
    """Values of a column, of which one that is missing is not a number."""
    import pyarrow as pa

    kinds = (pa.types.is_floating, pa.types.is_integer)
    if not any(is_kind(column.type) for is_kind in kinds):
        raise DataError(f"{path}: column {name} is {column.type}, not numbers")
    if column.null_count:
        column = column.cast(pa.float64())
    return column.to_numpy()


# What is wrong with them.


def _checked_names(path: Path, images: Any) -> list[str]:
    values = np.asarray(images)
    if values.ndim != 1 or (values.dtype.kind != "U" and len(values)):
        raise DataError(
            f"{path}: images are {values.dtype} {list(values.shape)}, not text [n]; write them as "
            "np.array(names, dtype=str)"
        )
    names = values.tolist()
    if not names:
        raise DataError(f"{path} has no images")
    if len({*names}) < len(names):
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))
        raise DataError(f"{path}: '{twice}' is in it twice; each image has one row")
    return names


def _checked(path: Path, kind: str, values: Any, images: Sequence[str]) -> np.ndarray:
    """Finite numbers float32 [n, d], a row an image, of which not all are the same."""
    values = np.asarray(values)
    if values.dtype.kind not in "fiu":
        raise DataError(f"{path}: {kind} are {values.dtype}, not numbers")
    fewest = 2 if kind == "probabilities" else 1
    if values.ndim != 2 or len(values) != len(images) or values.shape[1] < fewest:
        raise DataError(
            f"{path}: {kind} are {list(values.shape)}, and not [{len(images)}, "
            f"{'c > 1' if fewest == 2 else 'd > 0'}], a row for each of the {len(images)} images"
        )
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(values, np.float32)
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise DataError(
            f"{path}: {kind} of {np.sum(~finite)} images are not finite numbers, the first is "
            f"'{images[row]}'"
        )
    if len(values) > 1 and (values == values[0]).all():
        raise DataError(
            f"{path}: {kind} are the same for all {len(images)} images, so that they tell nothing"
        )
    return values


def _normalised(path: Path, values: np.ndarray, images: Sequence[str]) -> np.ndarray:
    """Probabilities that sum to 1."""
    negative = (values < 0).any(axis=1)
    if negative.any():
        row = int(np.argmax(negative))
        raise DataError(
            f"{path}: probabilities of {negative.sum()} images are below 0, the first is "
            f"'{images[row]}' ({values[row].min():g}); of logits, write the softmax"
        )
    sums = values.sum(axis=1, dtype=np.float64)
    off = np.abs(sums - 1) > SUM_TOLERANCE
    if off.any():
        row = int(np.argmax(off))
        raise DataError(
            f"{path}: probabilities of {off.sum()} images do not sum to 1 within {SUM_TOLERANCE}, "
            f"the first is '{images[row]}' ({sums[row]:g}); what is left to 1 may be a class of "
            "its own"
        )
    return (values / sums[:, None]).astype(np.float32)
