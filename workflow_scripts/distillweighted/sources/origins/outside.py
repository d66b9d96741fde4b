"""What origins of models that stay in the user's files share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from distillweighted.sources.model import Model
from distillweighted.sources.origins.own import file_problems, files_of, own_model


def outside_problems(group: Mapping[str, Any], endings: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What is wrong with an entry, as `Origin.problems`.

    Args:
        group: The entry.
        endings: The endings that its files may have.
    """
    yield from file_problems(group)
    files = files_of(group)
    wrong = [path for path in files if path.suffix.lower() not in endings]
    if wrong:
        yield "file", f"{wrong[0]} has another ending (allowed: {', '.join(endings)})"
    if group.get("head") == "zero_shot":
        text = "zero_shot is for image towers that run here; give the probabilities themselves"
        yield "head", f"{text} (allowed: own, kmeans, prototypes, features)"


def outside_models(
    group: Mapping[str, Any], num_outputs: int | None, settings: Mapping[str, Any]
) -> list[Model]:
    """The models of an entry, one a file, called as their files.

    Args:
        group: The entry.
        num_outputs: Outputs of their classifiers; 0 for none, None where only a file says.
        settings: Keys of their origin.
    """
    return [
        own_model(
            group, path.stem, group["from"], "", num_outputs, file=str(path), settings=settings
        )
        for path in files_of(group)
    ]
