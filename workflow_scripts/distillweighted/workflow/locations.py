"""Paths of a configuration file, which are relative to that file: made absolute as it is read."""

from __future__ import annotations

import glob
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

LOCATIONS = {
    "targets": ("labeled", "unlabeled", "test", "table"),
    "sources": ("file", "weights", "text"),
    "student": ("weights",),
}
"""The keys that hold paths, by the top-level key under which they stand."""


def located(raw: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A configuration with absolute paths.

    A path that begins with ~ is below the home folder. A pattern (`*.npz`) stays one: signs of
    `folder` that mean something in patterns are escaped in it, and in nothing else.

    Args:
        raw: The configuration as parsed, which need not be checked yet; it is not changed.
        folder: What its paths are relative to: the folder of its file.
    """
    located = dict(raw)
    for key, names in LOCATIONS.items():
        if key in located:
            located[key] = _located(located[key], names, folder.absolute())
    return located


def _located(value: Any, names: tuple[str, ...], folder: Path) -> Any:
    if isinstance(value, list):
        return [_located(item, names, folder) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {
        key: _absolute(item, folder) if key in names and isinstance(item, str) and item else item
        for key, item in value.items()
    }


def _absolute(text: str, folder: Path) -> str:
    try:
        path = Path(text).expanduser()
    except RuntimeError:  # of a user that does not exist: a file may begin with ~ too
        path = Path(text)
    if path.is_absolute():
        return str(path)
    # A file may have a name like a pattern's.
    is_pattern = glob.has_magic(text) and not _exists(folder / path)
    escape: Callable[[str], str] = glob.escape if is_pattern else str
    return str(Path(escape(str(folder))) / path)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name too long, or with a null
        return False
