"""The files of a trained student, and how they are handed from folder to folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

STUDENT_FILES = ("model.safetensors", "history.csv", "predictions.csv")
"""What training makes; evaluation adds metrics.json."""


def link_file(source: Path, destination: Path) -> None:
    """Put a file in a second place without copying it, where the file system can; replaces."""
    destination.unlink(missing_ok=True)
    try:
        os.link(source, destination)
    except OSError:  # a file system without links
        shutil.copyfile(source, destination)
