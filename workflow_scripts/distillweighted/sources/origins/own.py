"""What origins of a user's own models share: keys of their entries, names, heads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from distillweighted.sources.model import Model

OPTIONAL = ("name", "head", "size", "mean", "std", "text")
"""Keys that an entry of `sources` may have, whatever its origin."""


def own_problems(group: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with the keys of `OPTIONAL` in an entry, as `Origin.problems`."""
    zero_shot = group.get("head") == "zero_shot"
    if zero_shot and "text" not in group:
        yield "text", "missing (head: zero_shot needs it: a file of text embeddings of the classes)"
    if "text" in group and not zero_shot:
        yield "text", "is read for head: zero_shot alone (allowed: that head, or no such key)"


def one_name_problem(group: Mapping[str, Any], found: int, key: str) -> Iterator[tuple[str, str]]:
    """The problem that an entry of several models has one name."""
    if "name" in group and found > 1:
        yield "name", f"is the name of one model, and {key} says {found} (allowed: one a name)"


def own_model(
    group: Mapping[str, Any],
    name: str,
    architecture: str,
    task: str,
    num_outputs: int | None,
    **facts: Any,
) -> Model:
    """A model of an entry of `sources`, with what the entry says in general.

    Args:
        group: The entry.
        name: Its name where the entry gives none; what no file name should have becomes `_`.
        architecture: Its network.
        task: What it was trained on.
        num_outputs: Outputs of its classifier; 0 for none, None where only its file says.
        facts: Further fields of the model.
    """
    return Model(
        group.get("name") or safe_name(name),
        architecture,
        task,
        group["from"],
        num_outputs,
        head=group.get("head") or ("kmeans" if num_outputs == 0 else "own"),
        input_size=group.get("size"),
        mean=_three(group.get("mean")),
        std=_three(group.get("std")),
        text=group.get("text"),
        **facts,
    )


def safe_name(text: str) -> str:
    """A text as a part of file names: letters, digits, _ . and -, one of the first two first."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip("_.-") or "model"


def _three(values: list[float] | None) -> tuple[float, float, float] | None:
    return None if values is None else tuple(values)
