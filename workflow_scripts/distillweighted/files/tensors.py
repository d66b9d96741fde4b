"""Files of named arrays with a checksum: models, and what sources say of images.

A safetensors file whose metadata hold one JSON text under `distillweighted`: facts, and under
`checksum` a SHA-256 over those facts and the names, types, shapes and values of all arrays. One
text, because safetensors writes several in any order, and a file is the same from run to run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from distillweighted.errors import DamagedError

_KEY = "distillweighted"

_LONGEST_HEADER = 100_000_000
"""Bytes; safetensors itself allows no more."""


def save_tensors(path: Path, tensors: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
    """Write arrays and facts about them; the file appears only once it is complete.

    Args:
        path: A .safetensors file.
        tensors: The arrays, by name.
        facts: JSON-able.
    """
    from safetensors.numpy import save_file

    tensors = {name: np.asarray(values, order="C") for name, values in tensors.items()}
    checksum = _checksum(tensors, _text(facts, ""))
    partial = path.with_name(path.name + ".partial")
    save_file(tensors, partial, metadata={_KEY: _text(facts, checksum)})
    partial.replace(path)


def load_tensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and facts of a file that `save_tensors` wrote.

    Raises:
        DamagedError: Where any of it is not as it was written, or nothing was.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            text = (file.metadata() or {})[_KEY]
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        facts = json.loads(text)
        checksum = facts.pop("checksum")
        same = checksum == _checksum(tensors, text.replace(checksum, ""))
    except (SafetensorError, LookupError, TypeError, AttributeError, ValueError) as error:
        raise DamagedError(path, f"it is not a file that this project wrote ({error})") from error
    if not same:
        raise DamagedError(path, "its contents do not have the checksum that it was written with")
    return tensors, facts


def read_facts_of(path: Path) -> dict[str, Any] | None:
    """The facts of a file that `save_tensors` wrote, without its arrays and not checked; None of
    other files."""
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = file.read(length) if length < _LONGEST_HEADER else b""
        facts = json.loads(json.loads(header)["__metadata__"][_KEY])
    except (OSError, LookupError, TypeError, ValueError):
        return None
    return facts if isinstance(facts, dict) else None


def _text(facts: Mapping[str, Any], checksum: str) -> str:
    return json.dumps({**facts, "checksum": checksum}, ensure_ascii=False)


def _checksum(tensors: Mapping[str, np.ndarray], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name, values in sorted(tensors.items()):
        digest.update(f"\n{name} {values.dtype.str} {values.shape}\n".encode())
        digest.update(values.data)
    return digest.hexdigest()
