"""Groups of architectures and tasks: the paper's source models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distillweighted.sources.model import Model
from distillweighted.tasks.registry import Task

REQUIRED = ("architectures", "tasks")
OPTIONAL = ("multi_label_outputs",)


def grid_models(group: Mapping[str, Any], tasks: Mapping[str, Task]) -> list[Model]:
    """Every architecture on every task of an entry of `sources`."""
    models = []
    for architecture in group["architectures"]:
        for name in group["tasks"]:
            task = tasks.get(name)
            multi_label = task is not None and task.multi_label
            models.append(
                Model(
                    f"{architecture}_{name}",
                    architecture,
                    name,
                    group["from"],
                    0 if task is None else task.num_classes,
                    group["multi_label_outputs"] if multi_label else "softmax",
                )
            )
    return models
