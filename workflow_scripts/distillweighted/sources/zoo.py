"""The models of a run: its sources, and what students and sources start from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distillweighted.networks.architectures import TIMM_PREFIX, is_timm
from distillweighted.sources.model import Model
from distillweighted.sources.origins.registry import ORIGINS
from distillweighted.sources.origins.timm import matching as timm_matching
from distillweighted.sources.origins.torchvision import IMAGENET, IMAGENET_CLASSES
from distillweighted.sources.origins.torchvision import matching as torchvision_matching
from distillweighted.tasks.registry import Task, list_tasks

CHOSEN_STARTS = ("random", "nearest_source")
"""Values of `student.initialization` that name no model."""

OWN_STARTS = ("weights", "pretrained")
"""Values of `student.initialization` for the user's own file of weights, and for those that were
published for the student's architecture."""


def list_sources(config: Mapping[str, Any], tasks: Mapping[str, Task] | None = None) -> list[Model]:
    """All sources of a configuration, sorted by name (ties in similarity go to the first).

    Args:
        config: A configuration, whose `sources` are valid but for names of tasks.
        tasks: By default, those that the configuration may name.
    """
    tasks = list_tasks(config) if tasks is None else tasks
    groups = [ORIGINS[group["from"]].models(group, tasks) for group in config["sources"]]
    return sorted((model for models in groups for model in models), key=lambda model: model.name)


def start_name(architecture: str, initialization: str) -> str | None:
    """The model that a network of an architecture starts from; None where no name says.

    Args:
        architecture: The network.
        initialization: `student.initialization` of the configuration.
    """
    return None if initialization in CHOSEN_STARTS else f"{architecture}_{initialization}"


def list_starts(
    config: Mapping[str, Any], architectures: set[str], tasks: Mapping[str, Task]
) -> list[Model]:
    """The models that students and trained sources start from, sorted by name.

    Args:
        config: A complete configuration.
        architectures: Those of the students that start as `student.initialization` says.
        tasks: The run's tasks.
    """
    initialization = config["student"]["initialization"]
    wanted = {(a, initialization) for a in architectures if start_name(a, initialization)}
    if config["training"]["sources"]["initialization"] == IMAGENET:
        trained = {s.architecture for s in list_sources(config, tasks) if s.origin == "trained"}
        trained |= {architecture for architecture, _ in wanted}
        wanted |= {(architecture, IMAGENET) for architecture in trained}
    starts = []
    for architecture, task in wanted:
        name = start_name(architecture, task)
        if task in OWN_STARTS:
            starts.append(_own_start(name, architecture, config["student"]))
            continue
        if task == IMAGENET:
            facts = ("torchvision", IMAGENET_CLASSES)
        else:
            facts = ("trained", tasks[task].num_classes)
        starts.append(Model(name, architecture, task, *facts, is_source=False))
    return sorted(starts, key=lambda model: model.name)


def _own_start(name: str, architecture: str, student: Mapping[str, Any]) -> Model:
    """The model that a student starts from by the user's own weights or the published ones; it need
    not have a classifier."""
    if student["initialization"] == "weights":
        match = student["weights_match"]
        return Model(
            name,
            architecture,
            "",
            "checkpoint",
            None,
            is_source=False,
            head="kmeans",
            file=student["weights"],
            settings={} if match == "names" else {"match": match},
        )
    origin, reference = published_reference(architecture)
    facts = {"is_source": False, "head": "kmeans", "reference": reference}
    return Model(name, architecture, "", origin, None, **facts)


def published_reference(architecture: str) -> tuple[str, str] | None:
    """Origin and name of the weights that were published for an architecture of timm's or
    torchvision's, its default ones; None where there are none."""
    origin = "timm" if is_timm(architecture) else "torchvision"
    matching = timm_matching if origin == "timm" else torchvision_matching
    found = matching(architecture.removeprefix(TIMM_PREFIX))
    return (origin, found[0]) if found else None


def initial_of(config: Mapping[str, Any], model: Model) -> str | None:
    """The model that the training of a model starts from; None for a random start, or where the
    workflow does not train it."""
    initialization = config["training"]["sources"]["initialization"]
    return start_name(model.architecture, initialization) if model.origin == "trained" else None


def excluded_sources(config: Mapping[str, Any], target: str) -> dict[str, str]:
    """Names of the sources that may not serve a target, each with the reason."""
    excluded = {}
    for source in list_sources(config):
        # Of a model of the user's own, a task is only what somebody calls it.
        if source.task == target and not ORIGINS[source.origin].own_input:
            excluded[source.name] = "trained on the target's own task"
        elif source.settings.get("target", target) != target:
            excluded[source.name] = "its answers are of another target's images"
        elif any(
            entry["target"] == target
            and (source.name in entry["sources"] or source.task in entry["sources"])
            for entry in config["exclude"]
        ):
            excluded[source.name] = "listed under `exclude`"
    return excluded


def admissible_sources(config: Mapping[str, Any], target: str) -> list[Model]:
    """The sources that may serve a target, sorted by name."""
    excluded = excluded_sources(config, target)
    return [source for source in list_sources(config) if source.name not in excluded]


def baseline_architectures(config: Mapping[str, Any]) -> list[str]:
    """The source architectures for which baselines are trained, in the configuration's order: by
    default those of its groups of architectures; a pool of models may have hundreds."""
    chosen = config["baselines"]["source_architectures"]
    if chosen is not None:
        return list(chosen)
    groups = [group.get("architectures", ()) for group in config["sources"]]
    return list(dict.fromkeys(architecture for group in groups for architecture in group))
