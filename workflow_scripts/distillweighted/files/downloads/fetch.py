"""What of the data sets' files is missing, and the download of those that may be downloaded."""

from __future__ import annotations

import glob
import hashlib
import logging
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from distillweighted.errors import DataError
from distillweighted.files.downloads.archives import check_space, format_bytes, unpack
from distillweighted.files.downloads.download import PAUSES, download, partial_of
from distillweighted.files.downloads.file_set import FileSet

log = logging.getLogger(__name__)

DOWNLOADS = ".downloads"
"""Folder under the data root that archives are downloaded to."""


@dataclass(frozen=True)
class MissingFiles:
    """A file set that is not on disk, or not all of it.

    Attributes:
        tasks: The tasks that need it.
        files: The file set.
        place: Where it is expected.
        unfinished: The downloaded archive that was not unpacked to the end; None where there is
            none.
    """

    tasks: tuple[str, ...]
    files: FileSet
    place: Path
    unfinished: Path | None = None


def fetch(
    file_sets: Sequence[FileSet],
    data_root: Path,
    *,
    interval: float = 5.0,
    timeout: float = 60.0,
    pauses: Sequence[float] = PAUSES,
) -> None:
    """Download the file sets that may be downloaded automatically and are not there yet.

    An archive is downloaded to `DOWNLOADS` under the data root, verified, unpacked and removed. It
    lies there until it is unpacked to the end, so that an interrupted unpacking is noticed and
    completed by the next call. Where `path` is not there then, an archive of that name that came
    out of it (at most one folder deep) is unpacked too, to where `path` is expected, and stays.
    One process at a time may fetch to a data root.

    Args:
        file_sets: File sets; those without a URL are left out, and one that comes several times is
            fetched once.
        data_root: The folder that holds all data sets; created.
        interval: Least seconds between two lines of progress.
        timeout: Seconds without a byte after which a connection is given up.
        pauses: Seconds before each new attempt, see `download`.

    Raises:
        DataError: Where there is not enough disk space for all of them together, before anything
            is downloaded; or, after all were tried, where some could not be fetched.
    """
    wanted = [
        files
        for files in dict.fromkeys(file_sets)
        if files.url is not None and not _is_complete(files, data_root)
    ]
    if not wanted:
        return
    data_root.mkdir(parents=True, exist_ok=True)
    _check_total_space(wanted, data_root)
    problems = []
    for number, files in enumerate(wanted, start=1):
        # One archive may hold several file sets.
        if _is_complete(files, data_root):
            continue
        log.info("%s: file set %d of %d, from %s", files.path, number, len(wanted), files.url)
        progress = _ProgressLog(files.path, interval)
        try:
            _fetch_one(files, data_root, progress, timeout, pauses)
        except DataError as error:
            # The others may take a night, and need not wait for a person.
            log.error("%s: %s", files.path, error)
            problems.append(f"{files.path}: {error}")
    if problems:
        raise DataError(
            f"{len(problems)} of {len(wanted)} file sets could not be fetched:\n"
            + "\n".join(problems)
        )


def missing_files(
    file_sets_by_task: Mapping[str, Sequence[FileSet]], data_root: Path
) -> list[MissingFiles]:
    """The file sets that are not on disk, in the given order, each once.

    Args:
        file_sets_by_task: The file sets that each task needs.
        data_root: The folder that holds all data sets.
    """
    tasks: dict[FileSet, list[str]] = {}
    for task, file_sets in file_sets_by_task.items():
        for files in file_sets:
            tasks.setdefault(files, []).append(task)
    return [
        MissingFiles(
            tasks=tuple(dict.fromkeys(names)),
            files=files,
            place=data_root / files.path,
            unfinished=_unfinished(files, data_root),
        )
        for files, names in tasks.items()
        if not _is_complete(files, data_root)
    ]


def describe_missing(missing: Sequence[MissingFiles]) -> str:
    """One text for people that lists every missing file set; "" where none is missing."""
    if not missing:
        return ""
    total = format_bytes(sum(entry.files.size for entry in missing))
    count = "1 file set is" if len(missing) == 1 else f"{len(missing)} file sets are"
    lines = [f"{count} missing (about {total}):"]
    for entry in missing:
        size = format_bytes(entry.files.size)
        lines.append(f"  {', '.join(entry.tasks)}: {entry.place} (about {size})")
        if entry.unfinished is not None:
            lines.append(
                "    is not complete: its unpacking was interrupted and can be completed "
                f"automatically; if all of it is there, remove {entry.unfinished}"
            )
        elif entry.files.url is not None:
            lines.append(f"    can be downloaded automatically from {entry.files.url}")
        else:
            lines.append(f"    has to be put there by hand: {entry.files.origin}")
    return "\n".join(lines)


def _fetch_one(
    files: FileSet,
    data_root: Path,
    progress: _ProgressLog,
    timeout: float,
    pauses: Sequence[float],
) -> None:
    place = data_root / files.path
    destination = place if files.unpack is None else _archive_of(files, data_root)
    download(
        files.url,
        destination,
        checksum=files.checksum,
        size=files.size,
        progress=progress,
        timeout=timeout,
        pauses=pauses,
    )
    if files.unpack is None:
        return
    folder = data_root / files.unpack
    log.info("%s: unpacking %s", files.path, format_bytes(destination.stat().st_size))
    unpack(destination, folder)
    if not place.exists():
        _unpack_inner(place, folder)
    if not place.exists():
        raise DataError(
            f"the archive from {files.url} was unpacked to {folder}, and {place} is still not "
            f"there: its contents are not as expected. The archive is kept as {destination}"
        )
    destination.unlink()


def _unpack_inner(place: Path, folder: Path) -> None:
    """Unpack the archive that came out of an archive and has the name of what is expected.

    Caltech101 comes as a zip with `caltech-101/101_ObjectCategories.tar.gz` in it.
    """
    for suffix in (".zip", ".tar", ".tar.gz", ".tgz"):
        name = place.name + suffix
        for inner in (folder / name, *sorted(folder.glob(f"*/{glob.escape(name)}"))):
            if inner.is_file():
                unpack(inner, place.parent)
                return


def _archive_of(files: FileSet, data_root: Path) -> Path:
    """Where the archive of a file set is downloaded to; several sites have an `images.tar`."""
    name = re.sub("[^A-Za-z0-9._-]+", "_", unquote(urlsplit(files.url).path.rpartition("/")[2]))
    key = hashlib.sha256(files.url.encode()).hexdigest()[:8]
    return data_root / DOWNLOADS / f"{key}-{name[-100:] or 'archive'}"


def _unfinished(files: FileSet, data_root: Path) -> Path | None:
    if files.url is None or files.unpack is None:
        return None
    archive = _archive_of(files, data_root)
    return archive if archive.exists() else None


def _is_complete(files: FileSet, data_root: Path) -> bool:
    return (data_root / files.path).exists() and _unfinished(files, data_root) is None


def _check_total_space(wanted: Sequence[FileSet], data_root: Path) -> None:
    """Check every disk for the file sets, and the data root's for the largest archive as well."""
    needs: dict[int, tuple[Path, int]] = {}

    def add(path: Path, size: int) -> None:
        # A data set's folder may be a link to another disk, or not be there yet.
        folder = next(p for p in (path.resolve(), *path.resolve().parents) if p.is_dir())
        first, so_far = needs.get(folder.stat().st_dev, (folder, 0))
        needs[folder.stat().st_dev] = (first, so_far + size)

    archives = [0]
    for files in wanted:
        if files.unpack is None:
            place = data_root / files.path
            add(place.parent, _remaining(files, place))
        else:
            add(data_root / files.unpack, files.size)
            # Images hardly shrink: the archive is about as large as what is in it.
            archives.append(_remaining(files, _archive_of(files, data_root)))
    add(data_root, max(archives))
    for folder, size in needs.values():
        check_space(folder, size, f"fetching {len(wanted)} file sets to {data_root}")


def _remaining(files: FileSet, destination: Path) -> int:
    """Bytes of a download that are not on disk yet, roughly."""
    if destination.is_file():
        return 0
    partial = partial_of(destination)
    done = partial.stat().st_size if partial.is_file() else 0
    return max(files.size - done, 0)


class _ProgressLog:
    """Logs a download's progress, at most once in an interval.

    Args:
        label: What is downloaded.
        interval: Least seconds between two lines.
    """

    def __init__(self, label: str, interval: float):
        self._label, self._interval = label, interval
        self._began = self._last = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        if self._first is None or done < self._first:
            # What was there before is not part of the rate.
            self._first, self._began = done, now
        if now - self._last < self._interval or done == self._first:
            return
        self._last = now
        rate = (done - self._first) / max(now - self._began, 1e-9)
        if total is None:
            log.info("%s: %s, %.1f MB/s", self._label, format_bytes(done), rate / 1e6)
            return
        log.info(
            "%s: %.0f %% of %s, %.1f MB/s, ETA %.0f s",
            self._label,
            100 * done / max(total, 1),
            format_bytes(total),
            rate / 1e6,
            max(total - done, 0) / rate,
        )
