"""What a job is told, as a typed record: fields inside, plain values at the border.

A workflow engine compares what a job was told with what it would be told now, to see whether work
has to be done again. It understands numbers, texts, lists and dictionaries; others it may leave out
of the comparison without a word. So a record goes out as `as_params` and comes back by `of`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Job:
    """What one job is told. Subclasses are frozen dataclasses of plain values and of records."""

    def as_params(self) -> dict[str, Any]:
        """The fields by name, as numbers, texts, lists and dictionaries, whatever is in them."""
        return {field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self)}

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Self:
        """The record whose `as_params` these are.

        Raises:
            TypeError: Where they are those of another kind of job.
        """
        return cls(**{name: _frozen(value) for name, value in params.items()})


def _frozen(value: Any) -> Any:
    """Lists as tuples, which records hold."""
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else value


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return {field.name: _plain(getattr(value, field.name)) for field in fields}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and math.isinf(value):
        return str(value)  # JSON knows no infinity
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a job cannot be told a value of type {type(value).__name__}")
