"""What is wrong with a configuration, in words."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from distillweighted.networks.architectures import suggest


class Problem(NamedTuple):
    """What is wrong with the value of a key."""

    path: str
    text: str


def show(value: Any) -> str:
    """A value on one line, as YAML has it where that differs from Python."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else f"{'-' * (value < 0)}.inf"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a foreign object's; the message matters more than what it looks like
        text = f"an object of type {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:56]} ..."


def unknown_name(path: str, name: str, allowed: Iterable[str], what: str) -> Problem:
    """The problem that a name is none of those allowed; tells the nearest one."""
    allowed = sorted(allowed)
    hint = suggest(name, allowed)
    return Problem(path, f"unknown {what} {show(name)}{hint} (allowed: {', '.join(allowed)})")
