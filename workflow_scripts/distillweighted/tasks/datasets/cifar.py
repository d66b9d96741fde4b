"""CIFAR-10: small photographs, published as pickles of arrays (Krizhevsky, 2009).

Unpickling a file runs whatever code it names. `read_batch` runs none: of the functions that such a
file may name, the few that stand for an array are replaced by records of their arguments, and any
other is refused.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillweighted.files.downloads.file_set import FileSet
from distillweighted.tasks.datasets.arrays import ArrayFile, list_arrays
from distillweighted.tasks.datasets.reading import data_error, read_bytes
from distillweighted.tasks.listing import DataSet, Listing

if TYPE_CHECKING:
    import numpy as np

SIZE = 32
"""Height and width of an image, in pixels."""

_BATCHES = {**{f"data_batch_{number}": "train" for number in range(1, 6)}, "test_batch": "test"}


def read_cifar10(data_root: Path) -> Listing:
    """List the images of `cifar-10-batches-py/`, in the order of its batches.

    Image 17 of the first batch is called data_batch_1/00017.

    Raises:
        DataError: Where a file is missing, is not a batch of images, or names what it must not.
    """
    folder = data_root / "cifar-10-batches-py"
    classes = read_class_names(folder / "batches.meta", b"label_names")
    files = {}
    for batch, pool in _BATCHES.items():
        pixels, labels = read_images(folder / batch, b"labels", len(classes))
        files[batch] = ArrayFile(folder / batch, pool, labels, pixels)
    return list_arrays(classes, files, digits=5)


def read_class_names(path: Path, key: bytes) -> tuple[str, ...]:
    """Class names of a file as batches.meta.

    Args:
        path: The file.
        key: What the names are called in it.

    Raises:
        DataError: Where the file is missing or has no such names.
    """
    names = read_batch(path).get(key)
    known = isinstance(names, list) and all(isinstance(name, bytes | str) for name in names)
    if not known or not names:
        raise data_error(f"{path}: no list of class names '{key.decode()}'")
    try:
        texts = tuple(n.decode("ascii") if isinstance(n, bytes) else n for n in names)
    except UnicodeDecodeError as error:
        raise data_error(f"{path}: class names are not ASCII ({error})") from error
    if len(set(texts)) < len(texts):
        raise data_error(f"{path}: two classes have the same name")
    return texts


def read_images(path: Path, key: bytes, num_classes: int) -> tuple[np.ndarray, list[int]]:
    """Images and labels of a batch.

    Args:
        path: The file.
        key: What the labels are called in it.
        num_classes: Classes; labels are below it.

    Returns:
        Images, uint8 [n, 32, 32, 3], and n labels.

    Raises:
        DataError: Where the file is missing, or its images or labels are not as they must be.
    """
    import numpy as np

    batch = read_batch(path)
    labels, pixels = batch.get(key), batch.get(b"data")
    if not isinstance(labels, list) or not isinstance(pixels, np.ndarray):
        raise data_error(f"{path}: no array 'data' or no list '{key.decode()}'")
    if not labels or pixels.shape != (len(labels), 3 * SIZE * SIZE):
        raise data_error(
            f"{path}: the images are an array {list(pixels.shape)} and the labels are "
            f"{len(labels)}, where [n, {3 * SIZE * SIZE}] and n are expected"
        )
    for row, label in enumerate(labels):
        if type(label) is not int or not 0 <= label < num_classes:
            # A pickle of few bytes can hold what takes gigabytes to print.
            small = isinstance(label, int) and abs(label) < 1e9
            shown = repr(label) if small else f"of type {type(label).__name__}"
            raise data_error(f"{path}: image {row} has the unknown class {shown}")
    return pixels.reshape(-1, 3, SIZE, SIZE).transpose(0, 2, 3, 1), labels


def read_batch(path: Path) -> dict[bytes, Any]:
    """The contents of a pickle of Python 2 or 3 with lists, texts, numbers and uint8 arrays.

    Returns:
        Its dictionary; keys that are texts become bytes, as those of Python 2 are.

    Raises:
        DataError: Where the file is missing or damaged, or names a function other than those that
            make an array; none is run.
    """
    data = read_bytes(path)
    try:
        content = _Unpickler(io.BytesIO(data), encoding="bytes").load()
        if not isinstance(content, dict):
            raise pickle.UnpicklingError(f"it holds a {type(content).__name__}")
        return {
            key.encode() if isinstance(key, str) else key: (
                value.array() if isinstance(value, _Array) else value
            )
            for key, value in content.items()
        }
    except Exception as error:
        # A damaged pickle raises almost anything.
        raise data_error(f"{path} is not a batch of CIFAR: {error}") from error


class _Type:
    """Stands for `numpy.dtype`."""

    __slots__ = ("code",)

    def __init__(self, code: bytes | str, *flags: object):
        self.code = code.decode() if isinstance(code, bytes) else code
        if not isinstance(self.code, str):
            raise pickle.UnpicklingError("a type without a name")

    def __setstate__(self, state: object) -> None:
        """Byte order and fields, which a type of one byte does not have."""


class _Array:
    """Stands for an array while it is unpickled."""

    __slots__ = ("state",)

    def __setstate__(self, state: tuple) -> None:
        self.state = state

    def array(self) -> np.ndarray:
        """The array, uint8."""
        import numpy as np

        _, shape, kind, by_columns, data = self.state
        if not all(type(side) is int for side in shape):
            raise pickle.UnpicklingError("an array whose shape is not of numbers")
        if kind.code != "u1" or math.prod(shape) != len(data):
            raise pickle.UnpicklingError(f"an array {list(shape)} of type {kind.code:.20}")
        return np.frombuffer(data, np.uint8).reshape(shape, order="F" if by_columns else "C")


class _Function:
    """Stands for a function, and cannot be changed by a pickle, as a function could."""

    __slots__ = ("_run",)

    def __init__(self, run: Callable[..., object]):
        self._run = run

    def __call__(self, *args: object) -> object:
        return self._run(*args)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("it changes a function")


def _from_buffer(data: bytes, kind: _Type, shape: tuple[int, ...], order: str) -> _Array:
    array = _Array()
    array.__setstate__((1, shape, kind, order == "F", data))
    return array


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in the encoding {encoding}")
    return text.encode("latin1")


_NUMPY = ("numpy.core", "numpy._core")  # before and since NumPy 2
_NAMES: dict[tuple[str, str], object] = {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): _Function(_Type),
    # How Python 3 writes bytes for Python 2.
    ("_codecs", "encode"): _Function(_encode),
    **{
        (f"{package}.multiarray", "_reconstruct"): _Function(lambda *args: _Array())
        for package in _NUMPY
    },
    **{(f"{package}.numeric", "_frombuffer"): _Function(_from_buffer) for package in _NUMPY},
}
"""All that a pickle may name, and what it gets."""


# Not the one in C, which takes as much memory for its table as a file of few bytes says: gigabytes.
class _Unpickler(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> object:
        try:
            return _NAMES[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it names {module}.{name}, which an array does not need; the file may be hostile, "
                "and nothing of it was run"
            ) from None


CIFAR10 = DataSet(
    name="cifar10",
    title="CIFAR-10",
    num_classes=10,
    num_train=50_000,
    num_test=10_000,
    files=(
        FileSet(
            path="cifar-10-batches-py",
            size=186_000_000,
            origin="https://www.cs.toronto.edu/~kriz/cifar.html: unpack the python version",
            # torchvision's address and checksum (datasets/cifar.py).
            url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            checksum="md5:c58f30108f718f92721af3b95e74349a",
            unpack="",
        ),
    ),
    read=read_cifar10,
)
