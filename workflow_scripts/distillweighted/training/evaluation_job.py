"""What a job that evaluates a student is told."""

from __future__ import annotations

from dataclasses import dataclass

from distillweighted.jobs import Job


@dataclass(frozen=True)
class EvaluationJob(Job):
    """A student's row of the grid, as its metrics.json has it."""

    target: str
    """The target."""

    recipe: str
    """Its name."""

    method: str
    """Its method."""

    source: str | None
    """The source of a single-source student."""

    seed: int
    """The seed of its replicate."""

    label_fraction: float | None
    """Share of the training images that are labelled; None where the task says which are."""

    student: str
    """The network that was trained."""

    p: str | None
    """The exponent of eq. 5 as it stands in the recipe's name; None where there is none."""

    benchmark_seed: int
    """Seed of the embedded benchmark."""
