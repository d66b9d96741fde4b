"""Images that a table lists: CSV or Parquet, with the columns path, label and perhaps split."""

from __future__ import annotations

import csv
import io
import math
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distillweighted.tasks.own.found import Flaw, Found, OwnImage, is_plain, printable, some
from distillweighted.tasks.own.spec import OwnTaskSpec

COLUMNS = ("path", "label", "split")
"""Columns that are read; others may be there. The last one may be left out."""

MAX_BYTES = 2**30
"""Bytes that a table may have."""


class _TableError(ValueError):
    """A table that cannot be read; the message is a flaw's text."""


def find_in_table(spec: OwnTaskSpec) -> Found:
    """The images of a task that a table lists."""
    found = Found()
    try:
        rows = list(_read(Path(spec.table)))
    except _TableError as error:
        found.flaws.append(Flaw("table", f"{printable(spec.table)} {error}"))
        return found
    folder = os.path.dirname(spec.table)
    problems: dict[str, list[str]] = {}
    first: dict[str, str] = {}
    for where, (path, label, split) in rows:
        text = f"{where}: {printable(path)}"
        if not is_plain(path) or not is_plain(label):
            what = "a line break or a control character in a path or a label"
            problems.setdefault(what, []).append(text)
            continue
        if split.lower() not in ("", "train", "test"):
            what = "an unknown split (allowed: train, test, or nothing, which means train)"
            problems.setdefault(what, []).append(f"{where}: {printable(split)}")
            continue
        if split.lower() == "test" and not label:
            problems.setdefault("test images without a label", []).append(text)
        file = _file(folder, path)
        if file is None:
            problems.setdefault("images that are not there", []).append(text)
            continue
        same = unicodedata.normalize("NFC", os.path.normpath(file))
        if same in first:
            problems.setdefault("images that are listed twice", []).append(
                f"{text} ({first[same]} has it already)"
            )
            continue
        first[same] = where
        part = "test" if split.lower() == "test" else "labeled" if label else "unlabeled"
        found.images.append(OwnImage(path, file, part, label or None))
    for what, texts in problems.items():
        found.flaws.append(Flaw("table", f"{what}: {some(texts, limit=3)}"))
    if rows and not any(label for _, (_, label, _) in rows):
        found.flaws.append(Flaw("table", f"no row of {printable(spec.table)} has a label"))
    return found


def _file(folder: str, path: str) -> str | None:
    """The file that a table's path names; None where there is none."""
    for form in (path, unicodedata.normalize("NFC", path), unicodedata.normalize("NFD", path)):
        # Systems write one accented letter in two ways, and a table comes from another system.
        file = os.path.join(folder, form)
        if path and os.path.isfile(file):
            return file
    return None


def _read(path: Path) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """Where each row is, and its path, label and split as text, "" for what is empty."""
    try:
        if not path.is_file():
            raise _TableError("is no file")
        if path.stat().st_size > MAX_BYTES:
            raise _TableError(f"has more than {MAX_BYTES} bytes")
        with open(path, "rb") as file:
            parquet = file.read(4) == b"PAR1"
        yield from (_read_parquet if parquet else _read_csv)(path)
    except OSError as error:
        raise _TableError(f"cannot be read: {error.strerror or error}") from None


def _read_csv(path: Path) -> Iterator[tuple[str, tuple[str, str, str]]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _TableError(
            f"is neither Parquet nor UTF-8 text (at byte {error.start}); save it as UTF-8"
        ) from None
    header, delimiter = text.split("\n", 1)[0], ","
    # Spreadsheets of some countries separate by semicolons.
    delimiter = max(",;\t", key=header.count)
    table = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    try:
        names = [name.strip().lower() for name in next(table, [])]
        places = _places(names)
        for cells in table:
            if not any(cells):
                continue
            where = f"line {table.line_num}"
            if len(cells) != len(names):
                raise _TableError(
                    f"has {len(cells)} cells in {where}, and {len(names)} in its header"
                )
            path_cell, label, split = (cells[i] if i is not None else "" for i in places)
            yield where, (path_cell, _normal(label), split.strip())
    except csv.Error as error:
        raise _TableError(f"is not a CSV file: line {table.line_num}: {error}") from None


def _read_parquet(path: Path) -> Iterator[tuple[str, tuple[str, str, str]]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise _TableError("is a Parquet file, which needs `pip install pyarrow`") from None
    try:
        names = parquet.read_schema(path).names
        places = _places([name.lower() for name in names])
        chosen = [names[place] for place in places if place is not None]
        columns = parquet.read_table(path, columns=chosen).to_pydict()
    except (ArrowException, OSError) as error:
        raise _TableError(f"is not a Parquet file: {' '.join(str(error).split())[:200]}") from None
    values = [list(map(_text, columns[name])) for name in chosen]
    if len(values) < len(COLUMNS):
        values.append([""] * len(values[0]))
    for number, (path_cell, label, split) in enumerate(zip(*values, strict=True), start=1):
        yield f"row {number}", (path_cell, _normal(label), split.strip())


def _text(value: Any) -> str:
    """A cell of a typed table as text: a whole number without a point, nothing for null."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else str(value)


def _normal(label: str) -> str:
    return unicodedata.normalize("NFC", label.strip())


def _places(names: list[str]) -> list[int | None]:
    """Where each of `COLUMNS` stands; None for a split that is not there."""
    for name in COLUMNS:
        if names.count(name) > 1:
            raise _TableError(f"has the column '{name}' twice")
        if name not in names and name != "split":
            have = some(map(printable, names)) or "none"
            raise _TableError(f"has no column '{name}' (its columns: {have})")
    return [names.index(name) if name in names else None for name in COLUMNS]
