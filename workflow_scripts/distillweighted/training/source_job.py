"""What a job that trains a source is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from distillweighted.jobs import Job


@dataclass(frozen=True)
class SourceSettings:
    """What a source is trained with (configuration key `training.sources`)."""

    steps: int
    """Steps of the optimiser."""

    batch_size: int
    """Images a step."""

    learning_rate: float
    """Peak learning rate."""

    weight_decay: float
    """Of AdamW."""


@dataclass(frozen=True)
class SourceJob(Job):
    """What a job that trains a source, or a model that students start from, is told."""

    name: str
    """Name of the model."""

    architecture: str
    """The network that is trained."""

    seed: int
    """Seed of initialisation, order and crops, together with the name."""

    settings: SourceSettings
    """Training settings."""

    view: Mapping[str, Any]
    """How images become batches: arguments of `batches.views.make_view`."""

    image_size: int
    """Side of the images that the network sees, in pixels."""

    device: str
    """auto, cpu or cuda."""

    checkpoint: str
    """File in which the training is saved, so that it can go on after a kill."""

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Self:
        return super().of({**params, "settings": SourceSettings(**params["settings"])})
