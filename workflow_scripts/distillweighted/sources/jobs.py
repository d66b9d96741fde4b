"""What the jobs that load and ask sources are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from distillweighted.jobs import Job
from distillweighted.sources.model import Model


@dataclass(frozen=True)
class LoadJob(Job):
    """What a job that loads or describes a model which somebody else trained is told.

    meta.json says of every model: source, architecture, task, num_classes (0 for none), image_size,
    mean, std, gmacs, parameters, licence (the last three null where they are not known), and of a
    model that is shown images by a transform of its own, input (see `batches.model_inputs`).
    """

    name: str
    """Name of the model."""

    architecture: str
    """Its network."""

    task: str
    """The task that it was trained on."""

    origin: str
    """A name in `origins.registry.ORIGINS`."""

    num_classes: int | None
    """Outputs of its head: 0 where it has none, None where its file says."""

    image_size: int | None
    """Side of the images that its cost is counted on, in pixels; None for those that it is made
    for."""

    checkpoint: str
    """Its file."""

    file: str | None
    """The state of that file (`workflow.states`): its time as an input would not tell of another
    file that is older."""

    reference: str | None = None
    """What its origin calls it; None where architecture and task say."""

    head: str = "own"
    """What students learn from it: one of `sources.model.HEADS`."""

    mean: tuple[float, float, float] | None = None
    """Mean that its inputs are normalised with, where the user says."""

    std: tuple[float, float, float] | None = None
    """Their standard deviation, where the user says."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of its origin."""


@dataclass(frozen=True)
class InferenceJob(Job):
    """What a job that runs a source over a target's images is told."""

    target: str
    """The target."""

    source: str
    """The source."""

    view: Mapping[str, Any] | None
    """How an image becomes what the network sees: arguments of `batches.views.make_view`; None for
    the source's own transform, which its meta.json says."""

    statistics: tuple[tuple[float, ...], tuple[float, ...]] | None
    """Mean and standard deviation, by channel, to normalise with; None for the source's own."""

    activation: str
    """How outputs become probabilities: softmax or sigmoid."""

    device: str
    """auto, cpu or cuda."""

    origin: str = "trained"
    """Where the source comes from: a name in `origins.registry.ORIGINS`."""

    head: str = "own"
    """What students learn from it: one of `sources.model.HEADS`."""

    text: str | None = None
    """File of text embeddings of classes, for head zero_shot."""

    files: str | None = None
    """The state of that file, and of an outside source's (`workflow.states`)."""

    test_images: bool = False
    """Whether it is asked about the target's test images too."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of its origin."""


@dataclass(frozen=True)
class ViewsJob(Job):
    """What a job that asks a source about fixed views of a target's images is told."""

    inference: InferenceJob
    """How it is asked about the images as they are."""

    count: int
    """How many views of each image."""

    seen: Mapping[str, Any]
    """How students see images: arguments of `batches.views.make_view`."""

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Self:
        return super().of({**params, "inference": InferenceJob.of(params["inference"])})


@dataclass(frozen=True)
class FetchJob(Job):
    """What a job that downloads what a run needs is told."""

    tasks: tuple[str, ...]
    """Data sets."""

    models: tuple[Model, ...]
    """The models that are loaded, and those that stay outside."""

    data_root: str | None
    """The folder that holds the data sets."""

    models_root: str | None
    """The folder that holds checkpoints."""

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Self:
        models = tuple(Model(**model) for model in params["models"])
        return super().of({**params, "models": models})
