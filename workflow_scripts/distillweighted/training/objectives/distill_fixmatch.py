"""Distillation beside FixMatch, which the paper leaves to future work: eq. 4 with one more loss.

The labelled loss is FixMatch's whole one, lam (L_labeled + w L_FixMatch) + (1 - lam) L_distill: at
lambda = 1 it is the baseline, at w = 0 eq. 4. As many images as any step sees, a third each:
labelled, weakly augmented (on which the sources are distilled too) and strongly augmented.
"""

from __future__ import annotations

from torch import Tensor

from distillweighted import losses
from distillweighted.batches.target_batches import TargetBatches
from distillweighted.training.objectives.distill import sum_over_sources
from distillweighted.training.student import StudentInTraining


def step(student: StudentInTraining, batches: TargetBatches, step: int) -> dict[str, Tensor]:
    """The labelled, consistency and distillation losses and their weighted sum, of one step."""
    settings = student.settings
    size = settings.images_per_step // 3
    images, labels = batches.labeled(size)
    weak, rows = batches.unlabeled(size)
    strong = batches.unlabeled_strong(size, step)
    features = student.model.backbone(student.inputs(batches, images, weak, strong))
    sizes = [len(images), len(weak), len(strong)]
    _, weak_features, _ = features.split(sizes)
    on_labeled, on_weak, on_strong = student.model.head(features).split(sizes)
    labeled = losses.labeled_loss(on_labeled, labels.to(student.device))
    consistency = losses.fixmatch_loss(on_weak, on_strong, threshold=settings.fixmatch_threshold)
    distilled = sum_over_sources(student, student.heads(weak_features), student.lessons(rows))
    fixmatch = labeled + settings.fixmatch_weight * consistency
    loss = losses.single_source_loss(fixmatch, distilled, settings.lam)
    parts = {"labeled_loss": labeled, "consistency_loss": consistency, "unlabeled_loss": distilled}
    return {"loss": loss, **parts}
