"""The labels of a linear probe: eq. 1 with the target's own head and a probe's probabilities.

A rival to distillation that needs no head of a source: a linear classifier on the features of one
source is fitted to the labelled images, and the student learns what it says of the others.
"""

from __future__ import annotations

from torch import Tensor

from distillweighted import losses
from distillweighted.batches.target_batches import TargetBatches
from distillweighted.training.student import StudentInTraining


def step(student: StudentInTraining, batches: TargetBatches, step: int) -> dict[str, Tensor]:
    """The labelled loss, the loss on the probe's labels and their sum by lambda, of one step."""
    settings = student.settings
    images, labels = batches.labeled(settings.labeled_batch)
    unlabeled, rows = batches.unlabeled(settings.unlabeled_batch)
    logits = student.model(student.inputs(batches, images, unlabeled))
    on_labeled, on_unlabeled = logits.split([len(images), len(unlabeled)])
    labeled = losses.labeled_loss(on_labeled, labels.to(student.device))
    copied = losses.distillation_loss(
        on_unlabeled,
        student.probe_labels[rows.to(student.device)],
        temperature=settings.temperature,
    )
    loss = losses.single_source_loss(labeled, copied, settings.lam)
    return {"loss": loss, "labeled_loss": labeled, "unlabeled_loss": copied}
