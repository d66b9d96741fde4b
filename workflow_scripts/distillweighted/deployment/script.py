"""The script that goes with a student: `predict`, made to stand alone.

It reads image files with the code that the task's own images were read with: not a copy of it that
could come to differ, but its text, put in the place of the import.
"""

from __future__ import annotations

import ast
from pathlib import Path

from distillweighted.deployment import predict
from distillweighted.tasks.own import images

_FUTURE = "from __future__ import annotations\n"


def standalone_script() -> str:
    """The text of predict.py, which imports nothing of this library."""
    text = Path(predict.__file__).read_text(encoding="utf-8")
    reading = Path(images.__file__).read_text(encoding="utf-8")
    (place,) = (
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.ImportFrom) and node.module == images.__name__
    )
    lines = text.splitlines(keepends=True)
    explained, code = reading.split(_FUTURE)
    comment = "".join(f"# {line}".rstrip() + "\n" for line in explained.strip('"\n').splitlines())
    lines[place.lineno - 1 : place.end_lineno] = [f"{comment}{code.rstrip()}\n"]
    return "".join(lines)
