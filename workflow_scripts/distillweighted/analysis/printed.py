"""Tables as text: CSV files with a Markdown and a LaTeX copy, and Table 1 for a terminal."""

import re
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from distillweighted.analysis.methods_accuracy import student_architecture

_TEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def publish_table(
    table: pd.DataFrame,
    path_csv: str | Path,
    *,
    decimals: int | Mapping[str, int] = 1,
    caption: str = "",
) -> None:
    """Writes a table unrounded as CSV, and rounded as Markdown and LaTeX beside it.

    Args:
        table: Text and number columns; the index is not written.
        path_csv: Where the CSV goes, ending in `.csv`; the copies end in `.md` and `.tex`. Missing
            folders are made.
        decimals: Of the copies: for every number column, or by column (1 for those not named).
            Whole-number columns are never given decimals.
        caption: Plain text above the Markdown table and in a comment of the LaTeX one.

    Raises:
        ValueError: `path_csv` does not end in `.csv`.
    """
    path = Path(path_csv)
    if path.suffix != ".csv":
        raise ValueError(f"a table is written to a .csv file, not {path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = _rounded(table, decimals)
    table.to_csv(path, index=False, lineterminator="\n")
    path.with_suffix(".md").write_text(_markdown(table, cells, caption), encoding="utf-8")
    path.with_suffix(".tex").write_text(_latex(table, cells, caption), encoding="utf-8")


def tex_escape(text: str) -> str:
    """`text` as LaTeX shows it literally; line breaks become blanks, Unicode stays."""
    return "".join(_TEX.get(letter, letter) for letter in _one_line(text))


def markdown_escape(text: str) -> str:
    """`text` as a Markdown table cell shows it literally; line breaks become blanks."""
    # An underscore between word characters is no emphasis, and most names have one.
    return re.sub(r"([\\|*`<>\[\]~$&]|(?<!\w)_|_(?!\w))", r"\\\1", _one_line(text))


def print_table1(table: pd.DataFrame, *, decimals: int = 1) -> str:
    """Table 1 as text for a terminal, the best of the student's rows marked with `*`.

    Args:
        table: The first table of `tables.table1_accuracy`.
        decimals: Of the accuracies.

    Returns:
        Lines without a trailing line break. Equal to the shown decimals counts as equally good.
    """
    values = list(table.columns[3:])
    student = student_architecture(table)
    rounded = table[values].round(decimals)
    own = rounded[table["student"] == student]
    rows = []
    for position, row in table.iterrows():
        first = position == 0 or table["student"].iloc[position - 1] != row["student"]
        name = f"{row['student']} ({row['gflops']:.3g} GMACs)" if first else ""
        cells = []
        for column in values:
            number = rounded.at[position, column]
            best = row["student"] == student and number == own[column].max()
            text = "-" if pd.isna(number) else f"{number:.{decimals}f}"
            cells.append(text + ("*" if best else " "))
        rows.append([_one_line(name), _one_line(row["method"]), *cells])
    heads = [textwrap.wrap(_one_line(c).replace("_", " "), 12) or [""] for c in values]
    height = max((len(head) for head in heads), default=1)
    header = [["", "", *(_line_of(head, height, i) + " " for head in heads)] for i in range(height)]
    header[-1][:2] = ["architecture", "method"]
    widths = [max(len(row[i]) for row in header + rows) for i in range(len(header[0]))]
    lines = [_aligned(row, widths) for row in header]
    lines.append("-" * max(sum(widths) + 2 * len(widths) - 2, 0))
    for position, row in enumerate(rows):
        if row[0] and position:
            lines.append("")
        lines.append(_aligned(row, widths))
    return "\n".join([*lines, f"* best {student} row of a column" if student else ""]).rstrip()


def _line_of(head: list[str], height: int, line: int) -> str:
    """Line `line` of a column head that stands at the bottom of `height` lines."""
    skipped = height - len(head)
    return head[line - skipped] if line >= skipped else ""


def _aligned(row: list[str], widths: list[int]) -> str:
    left = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
    right = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
    return "  ".join(left + right).rstrip()


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


def _rounded(table: pd.DataFrame, decimals: int | Mapping[str, int]) -> list[list[str | None]]:
    """The table's cells as text; None marks a number that is not there."""

    def shown(column: str, value: object) -> str | None:
        if pd.isna(value):
            return None
        if pd.api.types.is_float_dtype(table[column].dtype):
            places = decimals.get(column, 1) if isinstance(decimals, Mapping) else decimals
            return f"{value:.{places}f}"
        return str(value)

    return [
        [shown(column, value) for column, value in zip(table.columns, row, strict=True)]
        for row in table.itertuples(index=False, name=None)
    ]


def _escaped(
    table: pd.DataFrame, cells: list[list[str | None]], escape: Callable[[str], str]
) -> tuple[list[str], list[list[str]]]:
    body = [["–" if cell is None else escape(cell) for cell in row] for row in cells]
    return [escape(str(column)) for column in table.columns], body


def _is_number(table: pd.DataFrame) -> list[bool]:
    return [pd.api.types.is_numeric_dtype(dtype) for dtype in table.dtypes]


def _markdown(table: pd.DataFrame, cells: list[list[str | None]], caption: str) -> str:
    head, body = _escaped(table, cells, markdown_escape)
    rule = ["---:" if number else ":---" for number in _is_number(table)]
    lines = ["| " + " | ".join(row) + " |" for row in [head, rule, *body]]
    above = [markdown_escape(caption), ""] if caption else []
    return "\n".join([*above, *lines]) + "\n"


def _latex(table: pd.DataFrame, cells: list[list[str | None]], caption: str) -> str:
    head, body = _escaped(table, cells, tex_escape)
    spec = "".join("r" if number else "l" for number in _is_number(table))
    lines = [r"% needs \usepackage{booktabs}", *([f"% {_one_line(caption)}"] if caption else [])]
    lines += [rf"\begin{{tabular}}{{{spec}}}", r"\toprule", " & ".join(head) + r" \\", r"\midrule"]
    lines += [" & ".join(row) + r" \\" for row in body]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"
