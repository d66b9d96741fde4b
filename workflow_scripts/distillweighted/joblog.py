"""The log of one job: progress while it runs, and an error that a person can read."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def job_log(path: str | Path) -> Iterator[None]:
    """Send the library's messages to a file while a job runs.

    An expected error (`ValueError`, `RuntimeError`, `OSError`) ends the process with its message
    alone; any other one with its traceback too.

    Args:
        path: The log file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # File names may hold what is not UTF-8.
    handler = logging.FileHandler(path, mode="w", encoding="utf-8", errors="backslashreplace")
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
        library.error(message)
        sys.exit(message)
    finally:
        library.removeHandler(handler)
        handler.close()
