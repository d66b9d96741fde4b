"""Copies of prepared images on a machine's own disk, for jobs of a cluster that read them often."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from pathlib import Path

from distillweighted.files.checksums import fingerprint_files

log = logging.getLogger(__name__)

_SPARE = 2**30
"""Bytes that stay free on the disk."""


def scratch_copy(path: Path, index: Path, scratch: str | None) -> Path:
    """The same images in a folder of this machine; the first job that asks copies them there.

    A copy's folder is named by the checksum of its index, which has the checksum of every image:
    one of other images is never taken for it, and a damaged one is noticed as it is read.

    Args:
        path: `train_images.npy` or `test_images.npy` of a prepared task.
        index: Its images.csv.
        scratch: A folder; variables such as $TMPDIR are those of the machine that this runs on.
            None copies nothing.

    Returns:
        The copy; `path` itself, which the log explains, where there can be none.
    """
    if scratch is None:
        return path
    try:
        folder = _own_folder(scratch) / fingerprint_files([index])[:16]
        folder.mkdir(exist_ok=True)
        # Whoever comes second waits here, rather than write the same file too.
        with open(folder / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return _copied(path, folder / path.name)
    # RuntimeError: of a home that there is not.
    except (OSError, RuntimeError) as error:
        log.warning("scratch: %s is read where it is, without a copy: %s", path, error)
        return path


def _own_folder(scratch: str) -> Path:
    """A folder in `scratch` that nobody else can write to.

    Raises:
        OSError: Where there is none.
    """
    place = Path(os.path.expandvars(scratch)).expanduser()
    if not place.is_absolute():
        raise OSError(f"{scratch} is '{place}' on this machine, which is no absolute path")
    folder = place / f"distillweighted-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise OSError(f"{folder} is not this user's own")
    return folder


def _copied(path: Path, copy: Path) -> Path:
    size = path.stat().st_size
    if copy.is_file() and copy.stat().st_size == size:
        return copy
    free = shutil.disk_usage(copy.parent).free
    if free < size + _SPARE:
        raise OSError(
            f"{size / 1e9:.1f} GB do not fit into {copy.parent}: {free / 1e9:.1f} are free"
        )
    partial = copy.with_name(copy.name + ".partial")
    try:
        shutil.copyfile(path, partial)
        partial.replace(copy)
    finally:
        partial.unlink(missing_ok=True)
    log.info("scratch: copied %s to %s, %.2f GB", path, copy, size / 1e9)
    return copy
