"""What a job that trains the students of a cohort is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from distillweighted.jobs import Job
from distillweighted.training.settings import StudentSettings

STORED_HEADS = ("own", "kmeans", "zero_shot")
"""What sources teach by whose pseudo-labels inference stores; those of prototypes, which need
labels, and features are made where students are trained."""


@dataclass(frozen=True)
class StudentJob:
    """What the job is told of one of its students."""

    recipe: str
    """Its name; the folder that it is written to has it too."""

    objective: str
    """A name in `objectives.registry.OBJECTIVES`."""

    architecture: str
    """The network that is trained."""

    learning_rate: float
    """Its peak learning rate."""

    lam: float | None
    """Its lambda; None for that of the settings."""

    choice: str | None
    """The file with its learning rate and lambda, where they were chosen (`training.choice`); None
    where these fields say."""

    source: str | None
    """The source that has all the weight; None where `weights` says, or it has none."""

    weights: str | None
    """File of its weights over the sources; None for a single source or none."""

    initial: str | None
    """The model that it starts from; None for a random start, or where `start_choice` says."""

    start_choice: str | None
    """File of weights over the sources of its architecture, of which it starts from the one with
    the most; None where the start is fixed."""

    folder: str
    """Where the finished student lies, or will: one that was made from the same is taken over."""

    head: str | None
    """What every source teaches it by, whatever its own head; None for each source's own."""

    code: str
    """Fingerprint of the code that trains it."""


@dataclass(frozen=True)
class CohortJob(Job):
    """What a job that trains the students of a cohort is told: they share target and batches."""

    target: str
    """The target."""

    seed: int
    """Seed of batches, heads and layers that draw."""

    students: tuple[StudentJob, ...]
    """The students."""

    sources: tuple[str, ...]
    """The sources that any student may be distilled from, in the order of their files."""

    heads: Mapping[str, str]
    """What each of them teaches by: own, kmeans, zero_shot, prototypes or features."""

    models: tuple[str, ...]
    """The models that any student may start from, in the order of their files."""

    image_size: int
    """Side of the images that the networks see, in pixels."""

    settings: StudentSettings
    """Training settings."""

    view: Mapping[str, Any]
    """How images become batches: arguments of `batches.views.make_view`."""

    statistics: tuple[tuple[float, ...], tuple[float, ...]] | None
    """Mean and standard deviation, by channel, that every student normalises with; None for those
    of the model that it starts from."""

    distill_labeled: bool
    """Whether to distil on the labelled images too."""

    feature_scale: float
    """A further factor of the loss on features."""

    device: str
    """auto, cpu or cuda."""

    checkpoint: str
    """File in which the training is saved, so that it can go on after a kill."""

    views: int | None = None
    """How many fixed views of an image the sources were asked about; None where no student learns
    from such."""

    def as_params(self) -> dict[str, Any]:
        params = super().as_params()
        # A cohort that has nothing to do with views is not trained again because there are any.
        if self.views is None:
            del params["views"]
        return params

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Self:
        students = tuple(StudentJob(**student) for student in params["students"])
        settings = StudentSettings(**params["settings"])
        return super().of({**params, "students": students, "settings": settings})
