"""Checksums: of files, to key stored results by what made them, and in files, to notice damage."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def fingerprint_files(paths: Iterable[Path], known: dict[Path, bytes] | None = None) -> str:
    """SHA-256 over the contents of files, in the given order (their names do not count).

    Args:
        paths: The files.
        known: The checksums of files that have been read already and have not changed; those of
            the others are added.
    """
    known = {} if known is None else known
    digest = hashlib.sha256()
    for path in paths:
        if path not in known:
            with open(path, "rb") as file:
                known[path] = hashlib.file_digest(file, "sha256").digest()
        digest.update(known[path])
    return digest.hexdigest()
