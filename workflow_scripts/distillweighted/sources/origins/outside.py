"""What origins of models that stay in the user's files share."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from distillweighted.sources.model import Model
from distillweighted.sources.origins.own import one_name_problem, own_model


def files_of(group: Mapping[str, Any]) -> list[Path]:
    """The files of an entry of `sources`, sorted: those that its pattern matches, or the one that
    it names, which need not be there."""
    file = group["file"]
    if glob.has_magic(file) and not Path(file).exists():
        return [Path(path) for path in sorted(glob.glob(file))]
    return [Path(file)]


def outside_problems(group: Mapping[str, Any], endings: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What is wrong with an entry, as `Origin.problems`.

    Args:
        group: The entry.
        endings: The endings that its files may have.
    """
    files = files_of(group)
    if not files:
        yield "file", f"no file matches {group['file']}"
    yield from one_name_problem(group, len(files), "file")
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


def locate(model: Model, models_root: Path | None) -> Path | None:
    """The file of a model: as the entry says."""
    return Path(model.file)


def advice(model: Model) -> str:
    """What to tell of one that is not there."""
    return f"{model.file}: there is no such file"
