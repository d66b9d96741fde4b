"""What every job has around its work: a log, an error that a person can read, and no twin.

A workflow that is killed leaves its jobs running, whose files the next run makes anew: such a job
stops by itself, and the next run's job waits until it has.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FULL = 4_000_000
"""Free bytes of a disk below which it counts as full: less than a stored model."""


class _LogFile(logging.FileHandler):
    """A log file that is no reason to fail when it cannot be written: errors go to stderr too."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass

    def close(self) -> None:
        with suppress(OSError):
            super().close()


@contextmanager
def job_log(path: str | Path) -> Iterator[None]:
    """Send the library's messages to a file while a job runs, in one process at a time.

    The process ends, as by SIGTERM, where the one that started it has ended. An expected error
    (`ValueError`, `RuntimeError`, `OSError`, `MemoryError`) ends it with its message alone; any
    other one with its traceback too. Libraries report a full disk in words of their own ("115200
    requested and 77696 written"), so one is looked for after every error.

    Args:
        path: The log file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # File names may hold what is not UTF-8.
    handler = _LogFile(path, mode="w", encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    library = logging.getLogger("distillweighted")
    library.addHandler(handler)
    library.setLevel(logging.INFO)
    _end_with_parent()
    try:
        with _alone(path.with_name(path.name + ".lock"), library):
            yield
    except Exception as error:
        message = f"error: {error}"
        if isinstance(error, (ValueError, RuntimeError, OSError, MemoryError)):
            library.debug(traceback.format_exc())
        else:
            library.error(traceback.format_exc())
            message = (
                f"error: {type(error).__name__}: {error}\n"
                f"This is a mistake of the program: please report it, with {path}."
            )
        if (free := shutil.disk_usage(path.parent).free) < FULL:
            message += (
                f"\nThe disk of {path.parent} is full ({free / 1e6:.1f} MB are free): make room "
                "and run the same command again; what is finished is kept."
            )
        library.error(message)
        sys.exit(message)
    finally:
        library.removeHandler(handler)
        handler.close()


def _end_with_parent() -> None:
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _alone(path: Path, log: logging.Logger) -> Iterator[None]:
    """Hold a lock, for which other processes wait; it is given back however the process ends."""
    while True:
        with open(path, "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info("waiting for a process that still runs this job (lock: %s)", path)
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                log.info("this file system has no locks (%s): going on without", error)
                yield
                return
            # The one before removes its file: only a lock on the file that is there counts.
            if path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return
