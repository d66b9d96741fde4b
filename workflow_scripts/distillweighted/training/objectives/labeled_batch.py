"""A control: eq. 2 on the labelled images of a step of distillation, and on no others."""

from __future__ import annotations

from torch import Tensor

from distillweighted import losses
from distillweighted.batches.target_batches import TargetBatches
from distillweighted.training.student import StudentInTraining


def step(student: StudentInTraining, batches: TargetBatches, step: int) -> dict[str, Tensor]:
    """The labelled loss of one step."""
    images, labels = batches.labeled(student.settings.labeled_batch)
    logits = student.model(student.inputs(batches, images))
    loss = losses.labeled_loss(logits, labels.to(student.device))
    return {"loss": loss, "labeled_loss": loss}
