"""Downloads that resume and are never taken for complete before they are.

Until a download is complete and has its checksum, it is `<name>.partial`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from distillweighted.errors import DataError
from distillweighted.files.downloads.archives import format_bytes
from distillweighted.files.downloads.http import Interrupted, Transfer, check_url

log = logging.getLogger(__name__)

PAUSES = (2.0, 10.0, 30.0, 60.0)
"""Seconds before each new attempt of a download that made no progress."""

# Sites that name a file by its checksum, as torchvision's, give the first digits of a SHA-256.
_CHECKSUM = "md5:[0-9a-f]{32}|sha256:[0-9a-f]{8,64}"


def download(
    url: str,
    destination: Path,
    *,
    checksum: str | None,
    size: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    timeout: float = 60.0,
    pauses: Sequence[float] = PAUSES,
) -> Path:
    """Download a file, or what is left of it where an earlier download was interrupted.

    One process at a time may download to a destination. A file that is at the destination is not
    downloaded again where its checksum is right.

    Args:
        url: Address, http or https.
        destination: Where to; its folder is created. It is there only when it is complete.
        checksum: "md5:..." or "sha256:..." of the file (of the latter, at least the first 8
            digits); None where it is not known.
        size: Bytes of the file, roughly, for a server that does not say; only the check of disk
            space uses it.
        progress: Called with the bytes on disk and the total (None where not known).
        timeout: Seconds without a byte after which a connection is given up.
        pauses: Seconds before each new attempt. An attempt that brings new bytes starts the count
            of failed ones anew.

    Returns:
        `destination`.

    Raises:
        DataError: Where the address or checksum is malformed, the server refuses, all attempts
            fail, the disk is (or would be) full, or the checksum is wrong. A wrong file is
            removed; in all other cases what has arrived is kept and continued by the next call.
    """
    check_url(url)
    _check_checksum(checksum)
    if destination.exists():
        found = _find_mismatch(destination, checksum)
        if found is None:
            return destination
        raise DataError(
            f"{destination} is there already with the checksum {found} instead of {checksum}; move "
            "it away, so that it can be downloaded"
        )
    destination.parent.mkdir(parents=True, exist_ok=True)
    transfer = Transfer(url, partial_of(destination), checksum is not None, size, progress)
    attempts = failures = furthest = 0
    while True:
        attempts += 1
        try:
            transfer.attempt(timeout)
            break
        except Interrupted as error:
            reached = transfer.bytes_on_disk()
            failures = 0 if reached > furthest else failures
            furthest = max(furthest, reached)
            if failures == len(pauses):
                raise DataError(
                    f"{url}: {error} (given up after {attempts} attempts). Start again later: "
                    f"{format_bytes(reached)} are kept, and continued if the server allows it"
                ) from error
            log.warning("%s: %s; next attempt in %g s", url, error, pauses[failures])
            time.sleep(pauses[failures])
            failures += 1
    found = _find_mismatch(transfer.partial, checksum)
    if found is not None:
        transfer.discard()
        raise DataError(
            f"{url}: the download has the checksum {found} instead of {checksum}: the server has "
            "another file, or it was damaged on the way. It was removed; start again, and if the "
            "checksum is the same then, get the file elsewhere"
        )
    os.replace(transfer.partial, destination)
    transfer.discard()
    return destination


def partial_of(destination: Path) -> Path:
    """Where a download lies until it is complete."""
    return destination.with_name(destination.name + ".partial")


def _check_checksum(checksum: str | None) -> None:
    if checksum is not None and not re.fullmatch(_CHECKSUM, checksum):
        raise DataError(
            f"'{checksum}' is no checksum: that is md5: and 32 hexadecimal digits, or sha256: and "
            "64 or the first 8 or more of them, in small letters"
        )


def _find_mismatch(path: Path, checksum: str | None) -> str | None:
    """The checksum of a file where it is another one than expected, else None."""
    if checksum is None:
        return None
    algorithm = checksum.partition(":")[0]
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False))
    found = f"{algorithm}:{digest.hexdigest()}"
    return None if found.startswith(checksum) else found
