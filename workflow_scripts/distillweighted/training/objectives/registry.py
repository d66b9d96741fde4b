"""Every training objective by name.

Light, so that a plan can be made with it: an objective's module is loaded by the job that trains
with it. The fingerprint of a student's code counts the module of its own objective, not this table,
so that an objective more, or a change of another one, trains nothing again.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Objective:
    """An objective: the function `step(student, batches, step)` of a module of this folder.

    It computes one step's losses of a `training.student.StudentInTraining` on this step's batches:
    scalars by name, of which `loss` is differentiated and all are recorded.
    """

    name: str
    """Its name."""

    summary: str
    """What it computes, for a reader."""

    pseudo_labels: bool = False
    """Whether it learns what sources teach, weighted; such a student has a head for each source
    unless they are mixed."""

    mixed: bool = False
    """Whether what they teach, all of the target's classes, is mixed by their weights to one label,
    which the target's own head learns as it does a probe's."""

    lam: bool = False
    """Whether it has a lambda (eqs. 1 and 4)."""

    probe_labels: bool = False
    """Whether it learns the probabilities of a linear probe on a source's features."""

    views: bool = False
    """Whether it learns what sources say of fixed views of the images, not of the images."""

    divisor: int = 1
    """What the number of a step's images must be a multiple of."""

    module: str | None = None
    """Its module, where that is another's; None for the one of its name."""

    @property
    def path(self) -> str:
        """The dotted name of its module."""
        return f"distillweighted.training.objectives.{self.module or self.name}"

    def load(self) -> Callable:
        """Its `step`."""
        return importlib.import_module(self.path).step


OBJECTIVES: dict[str, Objective] = {
    objective.name: objective
    for objective in (
        Objective("distill", "eq. 4 (eq. 1 with one source)", pseudo_labels=True, lam=True),
        Objective("transfer", "eq. 2: the labelled images alone"),
        Objective("labeled_batch", "eq. 2 on the labelled images of a step of distillation alone"),
        # Labelled, weak and strong views.
        Objective("fixmatch", "FixMatch (Sohn et al. 2020)", divisor=3),
        Objective(
            "probe_labels", "eq. 1 on the labels of a linear probe", probe_labels=True, lam=True
        ),
        Objective(
            "mixed_labels",
            "eq. 1 on what sources say of the target's classes, mixed by their weights",
            pseudo_labels=True,
            mixed=True,
            lam=True,
            module="probe_labels",
        ),
        Objective(
            "distill_fixmatch",
            "eq. 4 with FixMatch's loss beside the labelled one",
            pseudo_labels=True,
            lam=True,
            divisor=3,
        ),
        Objective(
            "distill_decoupled",
            "eq. 4 with decoupled distillation (Zhao et al. 2022) for eq. 3",
            pseudo_labels=True,
            lam=True,
        ),
        Objective(
            "distill_standardized",
            "eq. 4 with standardised logits (Sun et al. 2024) in eq. 3",
            pseudo_labels=True,
            lam=True,
        ),
        Objective(
            "distill_views",
            "eq. 4 on views that the sources were asked about (Beyer et al. 2022)",
            pseudo_labels=True,
            lam=True,
            views=True,
        ),
    )
}
"""Every objective by name."""
