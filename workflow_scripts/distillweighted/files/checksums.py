"""Checksums: of files, to key stored results by what made them, and in files, to notice damage."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def fingerprint_files(paths: Iterable[Path]) -> str:
    """SHA-256 over the contents of files, in the given order (their names do not count)."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
