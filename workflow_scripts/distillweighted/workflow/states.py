"""The state of places and files that a run did not make: writable, changed."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from distillweighted.tasks.listing import DataSet


def files_state(paths: Iterable[Path]) -> str | None:
    """A fingerprint of files and folders by name, size and time of change; reads none of them.

    An older time is a change too, as of a copy that keeps times.

    Returns:
        None where one is missing.
    """
    digest = hashlib.sha256()
    for path in paths:
        if not path.exists():
            return None
        for line in _stats(path):
            digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def data_set_state(data_set: DataSet, data_root: Path | None) -> str | None:
    """The `files_state` of a data set's files; None where one is missing."""
    if data_root is None:
        return None
    return files_state(data_root / files.path for files in data_set.files)


def _stats(path: Path) -> Iterator[str]:
    if path.is_file():
        stat = path.stat()
        yield f"{path.name}\x1f{stat.st_size}\x1f{stat.st_mtime_ns}\n"
        return
    for root, folders, files in os.walk(path):
        folders.sort()
        inside = os.path.relpath(root, path)
        for name in sorted(files):
            file = os.path.join(root, name)
            # A link to nothing is found missing when it is read.
            stat = os.stat(file, follow_symlinks=os.path.exists(file))
            yield f"{inside}/{name}\x1f{stat.st_size}\x1f{stat.st_mtime_ns}\n"


def check_writable(results: Path) -> None:
    """Make the folder of results, and see whether a megabyte can be written there.

    Raises:
        OSError: Where it cannot; says why and what to do.
    """
    try:
        results.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=results) as file:
            file.write(bytes(2**20))
    except OSError as error:
        raise OSError(
            f"{results} cannot be written: {error.strerror}. Make it writable or make room "
            "(results may be a link to a folder elsewhere) and run the same command again; what is "
            "finished is kept."
        ) from None
