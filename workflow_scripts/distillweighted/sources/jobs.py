"""What the jobs that load and ask sources are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distillweighted.jobs import Job


@dataclass(frozen=True)
class LoadJob(Job):
    """What a job that loads a model which somebody else trained is told."""

    name: str
    """Name of the model."""

    architecture: str
    """Its network."""

    task: str
    """The task that it was trained on."""

    origin: str
    """A name in `origins.registry.ORIGINS`."""

    num_classes: int
    """Outputs of its head."""

    image_size: int
    """Side of the images that its cost is counted on, in pixels."""

    checkpoint: str
    """Its file."""

    file: str | None
    """The state of that file (`workflow.states`): its time as an input would not tell of another
    file that is older."""


@dataclass(frozen=True)
class InferenceJob(Job):
    """What a job that runs a source over a target's images is told."""

    target: str
    """The target."""

    source: str
    """The source."""

    view: Mapping[str, Any]
    """How an image becomes what the network sees: arguments of `batches.views.make_view`."""

    statistics: tuple[tuple[float, ...], tuple[float, ...]] | None
    """Mean and standard deviation, by channel, to normalise with; None for the source's own."""

    activation: str
    """How outputs become probabilities: softmax or sigmoid."""

    device: str
    """auto, cpu or cuda."""
