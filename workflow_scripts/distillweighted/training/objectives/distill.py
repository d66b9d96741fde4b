"""Distillation of one or several sources: eq. 4, which is eq. 1 where one has all the weight."""

from __future__ import annotations

from torch import Tensor

from distillweighted import losses
from distillweighted.batches.target_batches import TargetBatches
from distillweighted.training.student import StudentInTraining


def step(student: StudentInTraining, batches: TargetBatches, step: int) -> dict[str, Tensor]:
    """The labelled loss, the distillation loss and their sum by lambda, of one step."""
    settings, pseudo = student.settings, student.pseudo_labels
    images, labels = batches.labeled(settings.labeled_batch)
    unlabeled, rows = batches.unlabeled(settings.unlabeled_batch)
    features = student.model.backbone(student.inputs(batches, images, unlabeled))
    on_labeled, on_unlabeled = features.split([len(images), len(unlabeled)])
    labeled = losses.labeled_loss(student.model.head(on_labeled), labels.to(student.device))
    distilled = losses.weighted_distillation_loss(
        student.heads(on_unlabeled),
        pseudo.probabilities.index_select(0, rows).to(student.device),
        pseudo.sizes,
        pseudo.weights,
        temperature=settings.temperature,
        scales=pseudo.scales,
    )
    loss = losses.single_source_loss(labeled, distilled, settings.lam)
    return {"loss": loss, "labeled_loss": labeled, "unlabeled_loss": distilled}
