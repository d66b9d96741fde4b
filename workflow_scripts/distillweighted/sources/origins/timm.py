"""timm's pretrained models, and those of the Hugging Face hub that timm understands."""

from __future__ import annotations

import fnmatch
import json
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from distillweighted.networks.architectures import TIMM_PREFIX, suggest
from distillweighted.sources.catalogues import EMBEDDING_WIDTHS, timm_models, timm_parameters
from distillweighted.sources.jobs import LoadJob
from distillweighted.sources.model import Model
from distillweighted.sources.model_caches import (
    cached_hub_file,
    cached_torch_file,
    hub_folder,
    torch_file_name,
    torch_folder,
)
from distillweighted.sources.origins.origin import LoadedModel, Origin
from distillweighted.sources.origins.own import (
    OPTIONAL,
    one_name_problem,
    own_model,
    own_problems,
    safe_name,
)
from distillweighted.tasks.registry import Task

log = logging.getLogger(__name__)

HUB = "hf-hub:"
"""What timm puts before names of the hub."""

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""Files of a repository's weights, as timm looks for them."""

NO_CLASSIFIER = "has no classifier of its own"


def is_pattern(name: str) -> bool:
    """Whether a name has wildcards."""
    return any(character in name for character in "*?[")


def matching(name: str, max_parameters: float | None = None) -> list[str]:
    """timm's pretrained models that a name or a pattern means, sorted; [] for none.

    Args:
        name: A name with a tag, one without (its default tag), or a pattern.
        max_parameters: Of a pattern, only those with so many millions of parameters or fewer.
    """
    models = timm_models()
    if not is_pattern(name):
        if name in models:
            return [name]
        return [
            n for n, facts in models.items() if facts["default"] and facts["architecture"] == name
        ]
    found = sorted(fnmatch.filter(models, name))
    if max_parameters is None:
        return found
    counts = timm_parameters(found)
    return [name for name in found if counts[name] <= 1e6 * max_parameters]


def timm_file(name: str) -> Path | None:
    """The file of a pretrained model's weights in this machine's caches; None where none is."""
    facts = timm_models()[name]
    if facts["hub"] and (path := cached_hub_file(facts["hub"], WEIGHTS)) is not None:
        return path
    return cached_torch_file(facts["url"]) if facts["url"] else None


def _references(group: Mapping[str, Any]) -> list[str]:
    """The models of an entry: names with tags, and of the hub as they stand."""
    found: list[str] = []
    for name in group["models"]:
        of_hub = name.startswith(HUB)
        found += [name] if of_hub else matching(name, group.get("max_parameters"))
    return list(dict.fromkeys(found))


def _models(group: Mapping[str, Any], tasks: Mapping[str, Task]) -> list[Model]:
    return [_model(group, reference) for reference in _references(group)]


def _model(group: Mapping[str, Any], reference: str) -> Model:
    named = {"reference": reference, "file": group.get("weights")}
    if reference.startswith(HUB):
        repository = reference.removeprefix(HUB)
        config = _hub_config(repository) or {}
        # What is not on this machine is planned under the name that it has.
        architecture = config.get("architecture") or safe_name(repository)
        outputs = _hub_outputs(config)
        if outputs in EMBEDDING_WIDTHS:
            outputs = 0
        return own_model(
            group, repository.partition("@")[0], TIMM_PREFIX + architecture, "", outputs, **named
        )
    facts = timm_models()[reference]
    architecture = TIMM_PREFIX + facts["architecture"]
    return own_model(group, reference, architecture, facts["tag"], facts["classes"], **named)


def _problems(group: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from own_problems(group)
    unknown = False
    for k, name in enumerate(group["models"]):
        text = _hub_problem(name) if name.startswith(HUB) else _name_problem(name, group)
        if text:
            unknown = True
            yield f"models.{k}", text
    if unknown:
        return
    references = _references(group)
    yield from one_name_problem(group, len(references), "models")
    if "weights" in group and len(references) != 1:
        text = f"is the file of one model, and models says {len(references)} (allowed: one a file)"
        yield "weights", text
    yield from _head_problems(group)


def _head_problems(group: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for model in _models(group, {}):
        if model.head == "own" and model.num_outputs == 0:
            allowed = "kmeans, prototypes or features; zero_shot where it was trained with texts"
            yield "head", f"'{model.reference}' {NO_CLASSIFIER} (allowed: {allowed})"
        if model.head == "zero_shot" and model.num_outputs:
            text = f"'{model.reference}' is a classifier, and was not trained with texts"
            yield "head", f"{text} (allowed: own, kmeans, prototypes or features)"


def _name_problem(name: str, group: Mapping[str, Any]) -> str | None:
    if matching(name, group.get("max_parameters")):
        return None
    if is_pattern(name):
        few = matching(name) and f" of at most {group['max_parameters']:g} million parameters"
        return f"no pretrained model of timm{few or ''} matches '{name}'"
    models = timm_models()
    known = {*models, *(facts["architecture"] for facts in models.values())}
    hint = suggest(name, known)
    return (
        f"timm has no pretrained model '{name[:60]}'{hint} (python -m distillweighted models "
        "PATTERN lists what it has)"
    )


def _hub_problem(name: str) -> str | None:
    repository = name.removeprefix(HUB)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+(@[\w.-]+)?", repository):
        return f"'{name[:60]}' is no name of the hub (allowed: {HUB}<owner>/<name>)"
    config = _hub_config(repository)
    if config is not None and not config.get("architecture"):
        return f"'{name}' is no model of timm: its config.json names no architecture"
    return None


def _hub_config(repository: str) -> dict[str, Any] | None:
    """config.json of a repository, where it is in the cache."""
    path = cached_hub_file(repository, ["config.json"])
    return None if path is None else _read_config(path)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return config if isinstance(config, dict) else {}


def _hub_outputs(config: Mapping[str, Any]) -> int | None:
    inside = config.get("pretrained_cfg", {})
    return config.get("num_classes", inside.get("num_classes"))


def _repository(model: Model) -> str | None:
    if model.reference.startswith(HUB):
        return model.reference.removeprefix(HUB)
    return timm_models()[model.reference]["hub"]


def _locate(model: Model, models_root: Path | None) -> Path | None:
    if model.file is not None:
        return Path(model.file)
    if not model.reference.startswith(HUB):
        return timm_file(model.reference)
    repository = _repository(model)
    # Without its config.json nobody knows what network it is.
    return cached_hub_file(repository, WEIGHTS) if _hub_config(repository) else None


def _advice(model: Model) -> str:
    if model.file is not None:
        return f"{model.file}: there is no such file"
    if (repository := _repository(model)) is None:
        url = timm_models()[model.reference]["url"]
        return f"is not in torch's cache, {torch_folder()}: put {url} there"
    name, _, revision = repository.partition("@")
    files = f"{WEIGHTS[0]} config.json"
    command = f"hf download {name} {files}{f' --revision {revision}' if revision else ''}"
    return f"is not in the hub's cache, {hub_folder()}: {command}"


def _fetch(model: Model) -> None:
    """Download weights to the caches; what fails is logged, and missing still."""
    if model.file is not None:
        return
    if (repository := _repository(model)) is None:
        from distillweighted.files.downloads.download import download

        url = timm_models()[model.reference]["url"]
        download(url, torch_folder() / torch_file_name(url))
        return
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    name, _, revision = repository.partition("@")
    told = {"repo_id": name, "revision": revision or None, "cache_dir": hub_folder()}
    try:
        hf_hub_download(filename="config.json", **told)
        for file in WEIGHTS:
            try:
                hf_hub_download(filename=file, **told)
                return
            except EntryNotFoundError:
                continue
    except (OSError, ValueError, HfHubHTTPError) as error:
        log.error("%s: %s", repository, " ".join(str(error).split())[:300])


def _load(job: LoadJob) -> LoadedModel:
    from distillweighted.sources.timm_weights import load_timm

    return load_timm(job)


TIMM = Origin(
    "timm", "a pretrained model of timm or of the Hugging Face hub", __name__,
    ("models",), (*OPTIONAL, "max_parameters", "weights"), own_input=True,
    models=_models, problems=_problems, locate=_locate, advice=_advice, fetch=_fetch, load=_load,
)  # fmt: skip
