"""The log of one job: progress while it runs, and an error that a person can read."""

from __future__ import annotations

import logging
import shutil
import sys
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
    """Send the library's messages to a file while a job runs.

    An expected error (`ValueError`, `RuntimeError`, `OSError`) ends the process with its message
    alone; any other one with its traceback too. Libraries report a full disk in words of their own
    ("115200 requested and 77696 written"), so one is looked for after every error.

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
    try:
        yield
    except Exception as error:
        if not isinstance(error, (ValueError, RuntimeError, OSError)):
            library.error(traceback.format_exc())
        else:
            library.debug(traceback.format_exc())
        message = f"error: {error}"
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
