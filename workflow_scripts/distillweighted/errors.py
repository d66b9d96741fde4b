"""What a person can mend: errors whose message is all that is shown of them."""

from __future__ import annotations

from pathlib import Path


class DataError(ValueError):
    """Data that cannot be used; the message names the task, file or class."""


class DamagedError(ValueError):
    """A stored file that is not as it was written; the message names it and says what to do."""

    def __init__(self, path: Path, problem: str):
        super().__init__(
            f"{path} is damaged: {problem}. Remove it and run again, so that it is made anew"
        )
