"""Files of weights with their architecture: a state dict, or a model of this project."""

from __future__ import annotations

import functools
import glob
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from distillweighted.files.tensors import read_facts_of
from distillweighted.networks.architectures import EMBEDDED
from distillweighted.sources.jobs import LoadJob
from distillweighted.sources.model import Model
from distillweighted.sources.origins.origin import LoadedModel, Origin
from distillweighted.sources.origins.own import (
    OPTIONAL,
    one_name_problem,
    own_model,
    own_problems,
)
from distillweighted.tasks.registry import Task


def is_pattern(file: str) -> bool:
    """Whether a file's name has wildcards, and no file has that name."""
    return glob.has_magic(file) and not Path(file).exists()


def _files(group: Mapping[str, Any]) -> list[Path]:
    """The files of an entry, sorted; one that is not there yet is among them."""
    file = group["file"]
    return [Path(path) for path in sorted(glob.glob(file))] if is_pattern(file) else [Path(file)]


def own_facts(path: Path) -> dict[str, Any] | None:
    """What a model file of this project says of itself; None of other files."""
    if path.suffix != ".safetensors" or not path.is_file():
        return None
    stat = path.stat()
    return _own_facts(path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=10_000)
def _own_facts(path: Path, time: int, size: int) -> dict[str, Any] | None:
    facts = read_facts_of(path)
    return facts if facts is not None and "architecture" in facts else None


def _models(group: Mapping[str, Any], tasks: Mapping[str, Task]) -> list[Model]:
    models = []
    for path in _files(group):
        facts = own_facts(path) or {}
        # model.safetensors, which every model of this project is called, tells nobody which.
        name = path.parent.name if path.stem == "model" else path.stem
        architecture = group.get("architecture") or facts.get("architecture") or "unknown"
        outputs = facts.get("num_classes")
        settings = {"match": group["match"]} if "match" in group else {}
        models.append(
            own_model(
                group,
                facts.get("source") or name,
                architecture,
                facts.get("task") or "",
                outputs,
                file=str(path),
                settings=settings,
            )
        )
    return models


def _problems(group: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from own_problems(group)
    files = _files(group)
    if not files:
        yield "file", f"no file matches {group['file']}"
    yield from one_name_problem(group, len(files), "file")
    for path in files:
        facts = own_facts(path)
        if facts is not None:
            told = group.get("architecture", facts["architecture"])
            if told != facts["architecture"]:
                text = f"{path} is a model of this project, of {facts['architecture']}"
                yield "architecture", f"{text} (allowed: that, or no such key)"
            if group.get("head") == "own" and facts.get("num_classes") == 0:
                text = f"{path} has no classifier of its own"
                yield "head", f"{text} (allowed: kmeans, prototypes or features)"
        elif path.is_file() and "architecture" not in group:
            yield "architecture", f"missing ({path} does not say it)"
        elif group.get("match") == "order" and path.suffix == ".safetensors":
            text = f"{path} is a safetensors file, which does not keep the order of its weights"
            yield "match", f"{text} (allowed: names)"
    if group.get("architecture") in EMBEDDED and any(own_facts(path) is None for path in files):
        for key in ("size", "mean", "std"):
            if key not in group:
                yield key, f"missing (nobody published what {group['architecture']} sees)"


def _locate(model: Model, models_root: Path | None) -> Path | None:
    return Path(model.file)


def _advice(model: Model) -> str:
    return f"{model.file}: there is no such file"


def _load(job: LoadJob) -> LoadedModel:
    from distillweighted.sources.checkpoints import load_checkpoint

    return load_checkpoint(job)


CHECKPOINT = Origin(
    "checkpoint", "a file of weights", __name__,
    ("file",), (*OPTIONAL, "architecture", "match"), own_input=True,
    models=_models, problems=_problems, locate=_locate, advice=_advice, load=_load,
)  # fmt: skip
