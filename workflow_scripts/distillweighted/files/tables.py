"""Tables and facts that one job wrote and another reads, checked as they are read."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from distillweighted.errors import DamagedError


def read_table(
    path: Path, columns: Sequence[str], *, unique: Sequence[str] = ()
) -> list[tuple[str, ...]]:
    """Some columns of a CSV file.

    Args:
        path: The file.
        columns: Which of its columns, in which order.
        unique: Columns that name a row: no two rows have the same values there.

    Returns:
        The cells of these columns, row by row.

    Raises:
        DamagedError: Where it is not UTF-8, not a whole CSV file, or lacks a column.
    """
    try:
        # Without universal newlines, or a line break in a name would come back as another one.
        text = path.read_bytes().decode("utf-8")
        table = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = next(table, [])
        missing = [name for name in {*columns, *unique} if header.count(name) != 1]
        if missing:
            raise DamagedError(path, f"it has no column '{min(missing)}', or several")
        if not text.endswith("\n"):
            raise DamagedError(path, "its last line is not complete")
        rows = []
        for row in table:
            if len(row) != len(header):
                raise DamagedError(
                    path, f"line {table.line_num} has {len(row)} cells instead of {len(header)}"
                )
            rows.append(row)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DamagedError(path, f"it is not a CSV file ({error})") from error
    if unique:
        _check_unique(path, rows, [header.index(name) for name in unique])
    places = [header.index(name) for name in columns]
    return [tuple(row[place] for place in places) for row in rows]


def _check_unique(path: Path, rows: Iterable[Sequence[str]], places: Sequence[int]) -> None:
    seen = set()
    for row in rows:
        name = tuple(row[place] for place in places)
        if name in seen:
            raise DamagedError(path, f"'{', '.join(name)}' is in it twice")
        seen.add(name)


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file as `read_table` reads it."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        # All text is quoted: of a carriage return in a name, the writer would not think by itself.
        table = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        table.writerow(columns)
        table.writerows(rows)


def read_whole(path: Path, text: str, what: str, limit: float = math.inf) -> int:
    """A whole number of a table, from 0 to below `limit`.

    Raises:
        DamagedError: Where the text is anything else; `what` says of what.
    """
    if not (text.isascii() and text.isdecimal() and len(text) < 19 and int(text) < limit):
        raise DamagedError(path, f"the {what} is '{text:.40}', not a whole number below {limit:g}")
    return int(text)


def read_number(path: Path, text: str, what: str) -> float:
    """A finite number of a table.

    Raises:
        DamagedError: Where the text is anything else; `what` says of what.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DamagedError(path, f"the {what} is '{text:.40}', not a finite number")
    return number


def read_facts(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    """A JSON file that holds some facts by name.

    Raises:
        DamagedError: Where it is not a whole JSON file, or lacks one of the keys.
    """
    try:
        facts = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DamagedError(path, f"it is not a JSON file ({error})") from error
    missing = [key for key in keys if not isinstance(facts, dict) or key not in facts]
    if missing:
        raise DamagedError(path, f"it does not say {missing[0]}")
    return facts
