"""What the jobs that prepare and split tasks are told."""

from __future__ import annotations

from dataclasses import dataclass

from distillweighted.jobs import Job


@dataclass(frozen=True)
class GenerationJob(Job):
    """What a job that generates a task of the embedded benchmark is told."""

    task: str
    """Its name."""

    seed: int
    """Seed of class definitions and images."""

    image_size: int
    """Side of the images, in pixels."""

    train_images: int
    """Training images."""

    test_images: int
    """Test images."""


@dataclass(frozen=True)
class PreparationJob(Job):
    """What a job that prepares a public data set is told."""

    task: str
    """Its name."""

    data_root: str
    """The folder that holds its files."""

    files: str | None
    """The state of its files (`workflow.states`), so that others are prepared again."""

    check_counts: bool
    """Whether numbers of classes and images must be the published ones."""


@dataclass(frozen=True)
class OwnPreparationJob(Job):
    """What a job that prepares a user's own task is told."""

    spec: dict[str, str | float | int | None]
    """Where it lies and how it is read: `OwnTaskSpec.of` reads it."""

    files: str
    """The state of its images (`Scan.state`), so that others are prepared again."""


@dataclass(frozen=True)
class SplitJob(Job):
    """What a job that chooses a target's labelled images is told."""

    target: str
    """The target."""

    seed: int
    """Seed of the choice."""

    fraction: float | None
    """Share of the training images that are labelled; None where they are given."""

    validation: float | None = None
    """Share of the labelled images that are kept for validation; None for none."""
