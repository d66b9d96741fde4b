"""What the jobs that hand a student over and compare it are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from distillweighted.jobs import Job


@dataclass(frozen=True)
class ExportJob(Job):
    """What the job that exports a student is told."""

    run: str
    """The run's name."""

    target: str
    """The target."""

    replicate: str
    """The replicate whose student is exported."""

    candidates: tuple[str, ...]
    """Recipes of the students that it may be, in the order of their files; of several, a file of a
    choice names one."""

    view: Mapping[str, Any]
    """How images become what the network sees: arguments of `batches.views.make_view`."""

    image_size: int
    """Side of these images, in pixels."""

    device: str
    """auto, cpu or cuda."""


@dataclass(frozen=True)
class ComparedMethod:
    """A method of the comparison, one row: its students, one a seed."""

    method: str
    """A name in `methods.METHODS`, with the architecture of another network than the student's."""

    label: str
    """Its name for a reader."""

    recipe: str | None
    """Its students' recipe; None for the single-source student of the nearest source, whichever
    that is."""

    distils: bool
    """Whether it distils."""


@dataclass(frozen=True)
class ComparisonJob(Job):
    """What the job that compares the methods of a target is told."""

    target: str
    """The target."""

    replicates: tuple[str, ...]
    """The replicates, one a seed."""

    methods: tuple[ComparedMethod, ...]
    """The methods, in the order of the table."""

    reference: str | None
    """The method that all are compared with, transfer from the same start; None if it is not in the
    grid."""

    chosen: bool
    """Whether validation images choose the student that is handed over."""

    probe: bool
    """Whether there is a linear probe on the nearest source."""

    draws: int
    """Bootstrap samples of the intervals."""

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Self:
        methods = tuple(ComparedMethod(**method) for method in params["methods"])
        return super().of({**params, "methods": methods})


@dataclass(frozen=True)
class DescriptionJob(Job):
    """What the job that describes a student is told."""

    run: str
    """The run's name."""

    target: str
    """The target."""

    initialization: str
    """What the student started from, in words."""

    command: str
    """What makes it."""
