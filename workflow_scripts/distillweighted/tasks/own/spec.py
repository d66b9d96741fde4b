"""What a configuration says of a user's own task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

PARTS = ("labeled", "unlabeled", "test")
"""The parts of an own task; each is a folder, unless a table has them all."""


@dataclass(frozen=True)
class OwnTaskSpec:
    """Where a user's own task lies and how it is read: an entry of `targets` that is a mapping."""

    name: str
    """What the task is called."""

    labeled: str | None = None
    """Folder of the labelled images, with a sub-folder for each class; None with a table."""

    unlabeled: str | None = None
    """Folder of the unlabelled images, whatever its sub-folders."""

    test: str | None = None
    """Folder of the test images, with a sub-folder for each class; None carves a part out of the
    labelled images."""

    table: str | None = None
    """CSV or Parquet file with the columns path, label and, optionally, split."""

    test_fraction: float = 0.2
    """Share of the labelled images that is carved out for testing where none are given."""

    background: str = "white"
    """The colour behind transparent pixels."""

    broken: str = "error"
    """What to do with images that cannot be read: error or leave_out."""

    duplicates: str = "near"
    """Which images never lie on both sides of the split: near (those that look the same), exact
    (those of the same pixels), or allow (any may; those of the same pixels are still counted)."""

    side: int = 256
    """Longest shorter side of a stored image, in pixels."""

    @classmethod
    def of(cls, mapping: Mapping[str, Any]) -> Self:
        """The task that an entry of `targets` describes, with defaults for what it leaves out.

        Raises:
            TypeError: Where it has a key that none may have, or no name.
        """
        return cls(**mapping)

    def as_mapping(self) -> dict[str, Any]:
        """What `of` reads."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
