"""Distillation on fixed views: teachers and student see the same (Beyer et al., CVPR 2022).

Eq. 4, where a student sees an image in one of a few augmented views that were drawn once, and
learns what the sources say of just that view. In `distill` it sees a new one each time, and learns
what they say of the image as it is. The authors ask the teacher anew in each step, of views that
are never the same; here it is asked once about each.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor

from distillweighted.batches.target_batches import TargetBatches
from distillweighted.training.objectives.distill import distillation_step, sum_over_sources
from distillweighted.training.student import StudentInTraining


def step(student: StudentInTraining, batches: TargetBatches, step: int) -> dict[str, Tensor]:
    """The labelled loss, the distillation loss and their sum by lambda, of one step."""
    on_sources = partial(sum_over_sources, student)
    return distillation_step(student, batches, on_sources, unlabeled=batches.unlabeled_fixed)
