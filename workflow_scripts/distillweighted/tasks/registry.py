"""Every task that a run can learn: the embedded benchmark's, public data sets, a user's own.

Tasks belong to a run, not to an import: how many images one has, and how networks see them, depends
on the configuration.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from distillweighted.tasks import embedded
from distillweighted.tasks.datasets.registry import DATASETS
from distillweighted.tasks.listing import TEST_FRACTION, DataSet
from distillweighted.tasks.own.scan import planned_sizes, scan_own_task
from distillweighted.tasks.own.spec import OwnTaskSpec
from distillweighted.tasks.published_statistics import Statistics, training_statistics

DIGITS_POOLS = {"train_images": 1100, "test_images": 697}
"""Images that there are of the embedded benchmark's real digits, by pool."""


@dataclass(frozen=True)
class Task:
    """A classification task; its kinds say where its images come from."""

    name: str
    """Its name in configurations and paths."""

    num_classes: int
    """Classes, as published; a copy on disk may have fewer where its counts are not checked."""

    role: str
    """source, target, both, generalist (stands for ImageNet) or development."""

    multi_label: bool = False
    """Whether an image has several classes; such a task cannot be a target."""

    generated = False
    """Whether its images are made, not read."""

    own = False
    """Whether it is a user's own: its labelled images are given, and its sources are asked about
    its test images too."""

    def sizes(self, config: Mapping[str, Any]) -> dict[str, int]:
        """How many images it has, by pool: train_images and test_images."""
        raise NotImplementedError

    def image_size(self, config: Mapping[str, Any]) -> int:
        """Side of its images as networks see them, in pixels."""
        raise NotImplementedError

    def view(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """How its images become batches: arguments of `batches.views.make_view`."""
        raise NotImplementedError

    def shared_statistics(self, config: Mapping[str, Any]) -> Statistics | None:
        """Mean and standard deviation that all networks of it normalise with; None for each
        network's own."""
        return None


@dataclass(frozen=True)
class GeneratedTask(Task):
    """A task of the embedded benchmark."""

    generated = True

    def sizes(self, config: Mapping[str, Any]) -> dict[str, int]:
        sizes = config["embedded"]
        counts = {
            "train_images": sizes[self.train_images_key(config)],
            "test_images": sizes["test_images"],
        }
        if embedded.TASKS[self.name].family == "digits":
            counts = {pool: min(size, DIGITS_POOLS[pool]) for pool, size in counts.items()}
        return counts

    def train_images_key(self, config: Mapping[str, Any]) -> str:
        """The key of `embedded` that says how many training images it has."""
        if self.name in target_names(config):
            return "target_images"
        return "generalist_images" if self.role == "generalist" else "source_images"

    def image_size(self, config: Mapping[str, Any]) -> int:
        return config["embedded"]["image_size"]

    def view(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return {"kind": "padded_crop", "padding": config["training"]["crop_padding"]}


class _DecodedTask(Task):
    """A task whose images were decoded from files and have many sizes."""

    def image_size(self, config: Mapping[str, Any]) -> int:
        return config["images"]["size"]

    def view(self, config: Mapping[str, Any]) -> dict[str, Any]:
        images = config["images"]
        if images["transforms"] == "parc":
            # What torchvision's RandomResizedCrop does by itself; CIFAR-10 is shown whole.
            return {
                "kind": "parc",
                "size": images["size"],
                "min_scale": 0.08,
                "flip": False,
                "whole": self.name == "cifar10",
            }
        return {
            "kind": "resized_crop",
            "size": images["size"],
            "min_scale": images["min_scale"],
            "flip": images["flip"],
        }

    def shared_statistics(self, config: Mapping[str, Any]) -> Statistics | None:
        parity = config["images"]["transforms"] == "parc"
        return training_statistics(self.name) if parity else None


@dataclass(frozen=True)
class PublishedTask(_DecodedTask):
    """A public data set."""

    data_set: DataSet | None = None
    """Where it is on disk."""

    def sizes(self, config: Mapping[str, Any]) -> dict[str, int]:
        data_set = self.data_set
        if data_set.official_split:
            return {"train_images": data_set.num_train, "test_images": data_set.num_test}
        test = math.ceil(data_set.num_train * TEST_FRACTION)
        return {"train_images": data_set.num_train - test, "test_images": test}

    @property
    def reader(self) -> str:
        """The dotted name of the module that reads it."""
        return inspect.getmodule(self.data_set.read).__name__


class OwnTask(_DecodedTask):
    """A user's own task; how many images and classes it has is looked up when it is asked for."""

    own = True

    def __init__(self, spec: OwnTaskSpec):
        # Of the fields of a task, the number of classes is a property.
        for field, value in {"name": spec.name, "role": "target", "multi_label": False}.items():
            object.__setattr__(self, field, value)
        object.__setattr__(self, "spec", spec)

    spec: OwnTaskSpec
    """Where it lies."""

    @property
    def num_classes(self) -> int:
        """Classes that have labelled images."""
        return len(scan_own_task(self.spec).classes)

    def sizes(self, config: Mapping[str, Any]) -> dict[str, int]:
        return planned_sizes(scan_own_task(self.spec), self.spec.test_fraction)


_GENERATED = {t.name: GeneratedTask(t.name, t.num_classes, t.role) for t in embedded.TASKS.values()}
_PUBLISHED = {
    d.name: PublishedTask(
        d.name, d.num_classes, "source" if d.multi_label else "both", d.multi_label, data_set=d
    )
    for d in DATASETS.values()
}

KNOWN_TASKS: dict[str, Task] = {**_GENERATED, **_PUBLISHED}
"""The tasks that any configuration may name, by name."""


def target_names(config: Mapping[str, Any]) -> list[str]:
    """Names of a configuration's targets, in its order: those of own tasks among them."""
    return [
        target["name"] if isinstance(target, Mapping) else target for target in config["targets"]
    ]


def list_tasks(config: Mapping[str, Any]) -> dict[str, Task]:
    """Every task that a configuration may name, by name.

    Args:
        config: A configuration, which need not be checked yet.
    """
    own = {spec.name: OwnTask(spec) for spec in own_specs(config).values()}
    return {**own, **KNOWN_TASKS}


def own_specs(config: Mapping[str, Any]) -> dict[int, OwnTaskSpec]:
    """The own tasks among a configuration's targets, by their place there.

    Args:
        config: A configuration, which need not be checked yet: what has no name is left out.
    """
    targets, known = config.get("targets"), {field.name for field in fields(OwnTaskSpec)}
    return {
        place: OwnTaskSpec.of({key: value for key, value in entry.items() if key in known})
        for place, entry in enumerate(targets if isinstance(targets, list) else [])
        if isinstance(entry, Mapping) and isinstance(entry.get("name"), str)
    }
