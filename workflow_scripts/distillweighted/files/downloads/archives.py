"""Archives unpacked so that no member leaves its folder and no data set is ever half there.

An archive is checked as a whole before anything of it is written. It is then unpacked into a hidden
folder on the target's file system and moved into place when all of it is there.
"""

from __future__ import annotations

import errno
import filecmp
import gzip
import os
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from distillweighted.errors import DataError

SPACE_MARGIN = 200_000_000
"""Bytes that stay free on a disk that is written to."""

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""Error numbers that say that nothing more can be written."""

MAX_MEMBERS = 2_000_000
"""Most files and folders of an archive; ImageNet has 1.3 million."""

MAX_NAME = 1000
"""Longest name of a member, in bytes with its folders; of one part, file systems take 255."""

MAX_DEPTH = 50
"""Most folders within each other, as functions that go through a tree call themselves."""

_BLOCK = 4096
_CHUNK = 1 << 20
_MAX_PADDING = 1 << 26


# What the standard library raises for archives that are damaged or made up.
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, struct.error)
_DAMAGE += (EOFError, NotImplementedError, ValueError)


@dataclass(frozen=True)
class _Member:
    """A file (or folder, with size 0) of an archive, with its name taken apart and checked."""

    parts: tuple[str, ...]
    size: int
    folder: bool
    entry: Any


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip, tar or gzipped tar archive into a folder.

    A new folder appears in one step. Where it is there already, the archive is merged into it: what
    is new is moved there, a file that is there with the same bytes stays, and one with other bytes
    stops everything before anything is moved. A merge that was interrupted is completed by the same
    call. One process at a time may unpack into a folder. Members get the process's default
    permissions and the current time.

    Args:
        archive: The archive; its format is told from its contents.
        folder: Where to; created with its parents.

    Raises:
        DataError: Where a member's name leads outside the folder or it is neither a file nor a
            folder (links, devices), the archive is damaged or of another format, there is not
            enough disk space for what it declares, or a file in the folder would be replaced.
            Nothing of the archive is in the folder then.
    """
    folder = folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file, and {archive} is to be unpacked there; move it away")
    new = not folder.exists()
    # The file system of the target, and a place that may surely be written to.
    home = folder.parent if new else folder
    scratch = home / f".{archive.name}.unpacking"
    shutil.rmtree(scratch, ignore_errors=True)
    there = next(path for path in (home, *home.parents) if path.is_dir())
    with _reading(archive, shutil.disk_usage(there).free) as (members, open_entry):
        # A small file takes a whole block, and a folder takes one too.
        blocks = sum(-(-member.size // _BLOCK) + 1 for member in members)
        check_space(there, blocks * _BLOCK, f"unpacking {archive}")
        try:
            scratch.mkdir(parents=True)
            for member in members:
                _write(archive, member, open_entry, scratch)
            if new:
                os.rename(scratch, folder)
            else:
                # Everything is compared before anything is moved.
                for source, target in list(_moves(archive, scratch, folder, scratch)):
                    os.rename(source, target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def check_space(folder: Path, needed: int, purpose: str) -> None:
    """Check that a disk has room.

    Args:
        folder: A folder on the disk.
        needed: Bytes to be written; `SPACE_MARGIN` is added.
        purpose: What for, as the subject of the message.

    Raises:
        DataError: Where it has not.
    """
    free = shutil.disk_usage(folder).free
    if needed + SPACE_MARGIN > free:
        raise DataError(
            f"{purpose} needs {format_bytes(needed + SPACE_MARGIN)} of disk space and there are "
            f"{format_bytes(free)} free at {folder}: make room, or use a folder on another disk"
        )


def format_bytes(count: int) -> str:
    """A number of bytes for people, in decimal units: "1.2 GB"."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 999.5:
            return (
                f"{size:.0f} {unit}" if unit == "bytes" or size >= 99.95 else f"{size:.1f} {unit}"
            )
        size /= 1000
    return f"{size:.1f} TB"


@contextmanager
def _reading(
    archive: Path, free: int
) -> Iterator[tuple[list[_Member], Callable[[Any], IO[bytes] | None]]]:
    """An archive's members, all checked, and what opens one; errors of reading become readable."""
    try:
        with open(archive, "rb") as file:
            start = file.read(4)
        if start.startswith(b"PK"):
            with zipfile.ZipFile(archive) as zipped:
                yield _zip_members(archive, zipped), zipped.open
        else:
            gzipped = start.startswith(b"\x1f\x8b")
            with tarfile.open(archive, "r:gz" if gzipped else "r:") as tar:
                yield _tar_members(archive, tar, free), tar.extractfile
    except DataError:
        raise
    except _DAMAGE as error:
        raise DataError(
            f"{archive} is no zip, tar or tar.gz archive, or is damaged ({error}): remove it and "
            "get it again"
        ) from error


def _zip_members(archive: Path, zipped: zipfile.ZipFile) -> list[_Member]:
    members: list[_Member] = []
    for entry in zipped.infolist():
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _refusal(archive, entry.filename, "is a link or a device")
        if entry.flag_bits & 1:
            raise _refusal(archive, entry.filename, "is encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refusal(archive, entry.filename, "is compressed in an uncommon way")
        # `ZipInfo.is_dir` fails for an empty name.
        folder = entry.filename.endswith("/")
        size = 0 if folder else entry.file_size
        _add(members, archive, entry.filename, size, folder, entry)
    return members


def _tar_members(archive: Path, tar: tarfile.TarFile, free: int) -> list[_Member]:
    members: list[_Member] = []
    declared = 0
    for entry in tar:
        if not (entry.isfile() or entry.isdir()):
            raise _refusal(archive, entry.name, "is a link or a device")
        _add(members, archive, entry.name, entry.size * entry.isfile(), entry.isdir(), entry)
        # The first releases of Python 3.11 have no filter; it is the second check.
        if hasattr(tarfile, "data_filter"):
            try:
                tarfile.data_filter(entry, os.path.join(os.sep, "folder"))
            except tarfile.FilterError as error:
                raise _refusal(archive, entry.name, f"is not safe: {error}") from error
        declared += entry.size
        # Not left to the sum over all members: the next header lies behind this member's bytes,
        # and a small file may expand to more than could be read in a lifetime.
        if declared > free:
            raise _refusal(archive, entry.name, "makes it larger than the disk has room for")
    # Of a damaged header, tarfile makes the end of the archive.
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it does not end as a tar archive does")
    # Behind the zeros that follow, and only when it is reached, gzip compares its check value.
    for _ in range(_MAX_PADDING // _CHUNK):
        if not tar.fileobj.read(_CHUNK):
            break
    else:
        raise tarfile.ReadError("there is more behind its end")
    return members


def _add(
    members: list[_Member], archive: Path, name: str, size: int, folder: bool, entry: Any
) -> None:
    parts = _check_name(archive, name)
    if parts:
        members.append(_Member(parts, size, folder, entry))
    elif not folder:
        raise _refusal(archive, name, "has no name")
    if len(members) > MAX_MEMBERS:
        raise _refusal(archive, name, f"comes after {MAX_MEMBERS:,} others")


def _check_name(archive: Path, name: str) -> tuple[str, ...]:
    """The parts of a member's name; a name that could lead out of its folder is refused."""
    if name.startswith("/") or "\\" in name or re.match("[A-Za-z]:", name):
        raise _refusal(archive, name, "has an absolute name or one with backslashes")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise _refusal(archive, name, "leads out of its folder")
    try:
        lengths = [len(os.fsencode(part)) for part in parts]
    except UnicodeEncodeError:
        raise _refusal(archive, name, "has a name that is no file name") from None
    if "\0" in name:
        raise _refusal(archive, name, "has a name that is no file name")
    if max(lengths, default=0) > 255 or sum(lengths) + len(parts) > MAX_NAME:
        raise _refusal(archive, name, "has a name that is too long")
    if len(parts) > MAX_DEPTH:
        raise _refusal(archive, name, f"is more than {MAX_DEPTH} folders deep")
    return parts


def _refusal(archive: Path, name: str, why: str) -> DataError:
    return DataError(
        f"{archive}: its member {name[:200]!r} {why}, so nothing of the archive is unpacked"
    )


def _write(
    archive: Path, member: _Member, open_entry: Callable[[Any], IO[bytes] | None], scratch: Path
) -> None:
    target, name = scratch.joinpath(*member.parts), "/".join(member.parts)
    try:
        if member.folder:
            target.mkdir(parents=True, exist_ok=True)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        written = 0
        # Never over another member: of two with one name, neither is known to be the right one.
        with open_entry(member.entry) as source, open(target, "xb") as file:
            while block := source.read(_CHUNK):
                written += len(block)
                if written > member.size:
                    break
                file.write(block)
    except (FileExistsError, NotADirectoryError) as error:
        raise _refusal(archive, name, "has the name of another one") from error
    except OSError as error:
        if error.errno in DISK_FULL:
            raise DataError(
                f"the disk became full while {archive} was unpacked at {scratch.parent}: make room "
                "and start again; the archive is kept, and nothing of it is unpacked"
            ) from error
        raise _refusal(archive, name, f"cannot be unpacked ({error})") from error
    if written != member.size:
        raise _refusal(archive, name, f"does not have the {member.size} bytes that it declares")


def _moves(archive: Path, source: Path, target: Path, scratch: Path) -> Iterator[tuple[Path, Path]]:
    """The moves that bring what is new into a folder that is there: whole folders where it can."""
    for entry in sorted(source.iterdir()):
        goal = target / entry.name
        if not os.path.lexists(goal):
            yield entry, goal
            continue
        # A link in the folder may lead out of it.
        plain = not goal.is_symlink() and goal != scratch
        if plain and entry.is_dir() and goal.is_dir():
            yield from _moves(archive, entry, goal, scratch)
        elif not (
            plain and entry.is_file() and goal.is_file() and filecmp.cmp(entry, goal, shallow=False)
        ):
            raise DataError(
                f"{archive}: {goal} is there already and differs from what the archive has; move "
                "it away and start again. Nothing of the archive is unpacked"
            )
