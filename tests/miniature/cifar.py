"""Miniature of CIFAR-10: batches as Python 2 pickled them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from .pictures import is_test, make_picture

NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)


def write_cifar10(data_root: Path, *, classes: int, per_class: int, seed: int) -> None:
    """Write `cifar-10-batches-py/`; training images go round the five batches."""
    folder = data_root / "cifar-10-batches-py"
    folder.mkdir(parents=True, exist_ok=True)
    batches: dict[str, list[tuple[np.ndarray, int, bytes]]] = {
        **{f"data_batch_{number}": [] for number in range(1, 6)},
        "test_batch": [],
    }
    trained = 0
    for index in range(per_class):
        for label in range(classes):
            pixels = make_picture("cifar10", label, index, height=32, width=32, seed=seed)
            batch = "test_batch"
            if not is_test(index):
                batch = f"data_batch_{trained % 5 + 1}"
                trained += 1
            name = f"{NAMES[label]}_s_{index:06d}.png".encode()
            batches[batch].append((pixels.transpose(2, 0, 1).reshape(-1), label, name))
    for batch, images in batches.items():
        content = {
            b"batch_label": batch.replace("_", " ").encode(),
            b"labels": [label for _, label, _ in images],
            b"data": np.stack([pixels for pixels, _, _ in images]),
            b"filenames": [name for _, _, name in images],
        }
        (folder / batch).write_bytes(pickle_as_python2(content))
    meta = {
        b"num_cases_per_batch": len(batches["test_batch"]),
        b"label_names": [name.encode() for name in NAMES[:classes]],
        b"num_vis": 3072,
    }
    (folder / "batches.meta").write_bytes(pickle_as_python2(meta))


def pickle_as_python2(value: object) -> bytes:
    """A pickle as Python 2 writes it (protocol 2), its texts as `str` of Python 2.

    Args:
        value: Of dictionaries, lists, bytes, integers of 31 bits and uint8 arrays.
    """
    return b"\x80\x02" + _opcodes(value) + b"."


def _opcodes(value: object) -> bytes:
    if isinstance(value, dict):
        items = b"".join(_opcodes(key) + _opcodes(item) for key, item in value.items())
        return b"}(" + items + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(_opcodes, value)) + b"e"
    if isinstance(value, bytes):
        if len(value) < 256:
            return b"U" + struct.pack("<B", len(value)) + value
        return b"T" + struct.pack("<i", len(value)) + value
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, np.ndarray) and value.dtype == np.uint8:
        return _array_opcodes(value)
    raise TypeError(f"cannot pickle {type(value).__name__}")


def _array_opcodes(array: np.ndarray) -> bytes:
    """`_reconstruct(ndarray, (0,), 'b')`, then its state, as NumPy 1 writes an array."""
    empty = b"(" + _opcodes(0) + b"t"
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + empty + _opcodes(b"b")
    kind = b"cnumpy\ndtype\n(" + b"".join(map(_opcodes, (b"u1", 0, 1))) + b"tR("
    kind += _opcodes(3) + _opcodes(b"|") + b"NNN" + b"".join(map(_opcodes, (-1, -1, 0))) + b"tb"
    shape = b"(" + b"".join(map(_opcodes, array.shape)) + b"t"
    state = b"(" + _opcodes(1) + shape + kind + b"\x89" + _opcodes(array.tobytes()) + b"t"
    return made + b"tR" + state + b"b"
