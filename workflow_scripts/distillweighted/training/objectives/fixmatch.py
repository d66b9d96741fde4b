"""FixMatch: as many unlabelled as labelled images, a third of the step's budget a view."""

from __future__ import annotations

from torch import Tensor

from distillweighted import losses
from distillweighted.batches.target_batches import TargetBatches
from distillweighted.training.student import StudentInTraining


def step(student: StudentInTraining, batches: TargetBatches, step: int) -> dict[str, Tensor]:
    """The labelled loss, the consistency loss and their weighted sum, of one step."""
    settings = student.settings
    size = settings.images_per_step // 3
    images, labels = batches.labeled(size)
    weak, _ = batches.unlabeled(size)
    strong = batches.unlabeled_strong(size, step)
    logits = student.model(student.inputs(batches, images, weak, strong))
    on_labeled, on_weak, on_strong = logits.split([len(images), len(weak), len(strong)])
    labeled = losses.labeled_loss(on_labeled, labels.to(student.device))
    unlabeled = losses.fixmatch_loss(on_weak, on_strong, threshold=settings.fixmatch_threshold)
    loss = labeled + settings.fixmatch_weight * unlabeled
    return {"loss": loss, "labeled_loss": labeled, "unlabeled_loss": unlabeled}
