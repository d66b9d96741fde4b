"""Checks of a configuration's numbers: images, labels and batches that misfit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from distillweighted.methods import METHODS
from distillweighted.sources.zoo import list_sources
from distillweighted.tasks.registry import GeneratedTask, list_tasks, target_names
from distillweighted.training.objectives.registry import OBJECTIVES
from distillweighted.workflow.problems import Problem
from distillweighted.workflow.recipes import asked


def pool_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Generated tasks with fewer images than classes."""
    initialization = config["student"]["initialization"]
    known = list_tasks(config)
    names = {source.task for source in list_sources(config)} | {*target_names(config)}
    if initialization in known:
        names.add(initialization)
    needed: dict[str, tuple[int, str]] = {}
    for task in (known[name] for name in names if name in known):
        if not isinstance(task, GeneratedTask):
            continue
        classes = (task.num_classes, task.name)
        for key in (task.train_images_key(config), "test_images"):
            needed[key] = max(needed.get(key, classes), classes)
    for key, (classes, task) in sorted(needed.items()):
        images = config["embedded"][key]
        if images < classes:
            yield Problem(
                f"embedded.{key}",
                f"{images:g} is too few to show every class: {task} has {classes} classes "
                f"(allowed: {classes} or more)",
            )


def probe_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """A probe that cannot hold every class of a target."""
    tasks = list_tasks(config)
    classes, target = max((tasks[name].num_classes, name) for name in target_names(config))
    if config["probe"]["size"] < classes:
        yield Problem(
            "probe.size",
            f"{config['probe']['size']:g} is smaller than the {classes} classes of target "
            f"'{target}' (allowed: {classes} or more; take at least {2 * classes}, two images a "
            "class)",
        )


def label_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Label fractions that leave a target too few images, labelled or not."""
    training = config["training"]
    yield from _split_problems(config, "training.label_fraction", training["label_fraction"])
    for i, fraction in enumerate(training["other_label_fractions"]):
        key = f"training.other_label_fractions.{i}"
        if fraction == training["label_fraction"]:
            yield Problem(key, f"{fraction:g} is training.label_fraction (allowed: others)")
        yield from _split_problems(config, key, fraction)


def _split_problems(config: Mapping[str, Any], key: str, fraction: float) -> Iterator[Problem]:
    tasks = list_tasks(config)
    for target in target_names(config):
        if tasks[target].own:
            continue  # its labels are given
        classes, images = tasks[target].num_classes, tasks[target].sizes(config)["train_images"]
        labeled = int(images * fraction)
        start = f"{fraction:g} of {images:g} images leaves"
        if labeled < 2 * classes:
            yield Problem(
                key,
                f"{start} {labeled} labelled images for the {classes} classes of target '{target}' "
                f"(allowed: what leaves {2 * classes} or more, two a class)",
            )
        elif images - labeled < classes:
            yield Problem(
                key,
                f"{start} {images - labeled:g} unlabelled images for the {classes} classes of "
                f"target '{target}' (allowed: what leaves {classes} or more, one a class)",
            )


def batch_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """A step's images that the objective of a method cannot share out."""
    training = config["training"]
    images = training["labeled_batch"] + training["unlabeled_batch"]
    for method in METHODS.values():
        if method.objective is None or not asked(method, config):
            continue
        divisor = OBJECTIVES[method.objective].divisor
        if images % divisor:
            yield Problem(
                "training.unlabeled_batch",
                f"{training['unlabeled_batch']} with training.labeled_batch "
                f"{training['labeled_batch']} makes {images} images a step, which {method.label} "
                f"cannot divide by {divisor} (allowed: a sum that is a multiple of {divisor}, or "
                f"{method.switch} switched off)",
            )
