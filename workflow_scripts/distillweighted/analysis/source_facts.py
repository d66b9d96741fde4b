"""What a run's tables say of its sources: where each comes from and what it costs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from distillweighted.files.tables import read_facts

SOURCE_COLUMNS = (
    "source",
    "architecture",
    "task",
    "num_classes",
    "test_accuracy",
    "gmacs",
    "parameters",
)


def read_source_facts(paths: Iterable[Path]) -> pd.DataFrame:
    """The sources of a run, a row each.

    Args:
        paths: meta.json of every source.

    Returns:
        Columns `SOURCE_COLUMNS`: names; test_accuracy in percent, on the source's own task, where
        the run trained it; gmacs 10^9 multiply-accumulates an image. What nobody says is missing.

    Raises:
        DamagedError: A file is not whole, or does not name the source, its architecture and task.
    """
    facts = [read_facts(Path(path), ("source", "architecture", "task")) for path in paths]
    return pd.DataFrame(facts, columns=list(SOURCE_COLUMNS))
