"""Distillation of one or several sources: eq. 4, which is eq. 1 where one has all the weight."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from distillweighted import losses
from distillweighted.batches.target_batches import TargetBatches
from distillweighted.training.student import StudentInTraining

SourceLoss = Callable[[Tensor, Tensor], Tensor]
"""A loss for eq. 3: logits [B, C_s] and pseudo-labels [B, C_s] of one source, to a scalar."""


def step(student: StudentInTraining, batches: TargetBatches, step: int) -> dict[str, Tensor]:
    """The labelled loss, the distillation loss and their sum by lambda, of one step."""
    return distillation_step(student, batches, partial(sum_over_sources, student))


def sum_over_sources(student: StudentInTraining, logits: Tensor, targets: Tensor) -> Tensor:
    """The sum of eq. 4, sum_s alpha_s L_distill_s, of a student.

    Args:
        student: The student.
        logits: Of all its heads, side by side [B, sum C_s].
        targets: What its sources teach of the same images, in the same layout.
    """
    pseudo = student.pseudo_labels
    return losses.weighted_distillation_loss(
        logits,
        targets,
        pseudo.sizes,
        pseudo.weights,
        temperature=student.settings.temperature,
        scales=pseudo.scales,
    )


def distillation_step(
    student: StudentInTraining,
    batches: TargetBatches,
    distillation: Callable[[Tensor, Tensor], Tensor],
    *,
    unlabeled: Callable[[int], tuple[Tensor, Tensor]] | None = None,
) -> dict[str, Tensor]:
    """One step of eq. 4, whatever stands for the sum over sources.

    Args:
        student: The student.
        batches: This step's batches.
        distillation: That sum, of the logits of all heads [B, sum C_s] and their targets.
        unlabeled: Gives the images to distil on and their rows among the targets, given how many;
            by default those of the batches.
    """
    settings = student.settings
    images, labels = batches.labeled(settings.labeled_batch)
    distilled_on, rows = (unlabeled or batches.unlabeled)(settings.unlabeled_batch)
    features = student.model.backbone(student.inputs(batches, images, distilled_on))
    on_labeled, on_unlabeled = features.split([len(images), len(distilled_on)])
    labeled = losses.labeled_loss(student.model.head(on_labeled), labels.to(student.device))
    distilled = distillation(student.heads(on_unlabeled), student.lessons(rows))
    loss = losses.single_source_loss(labeled, distilled, settings.lam)
    return {"loss": loss, "labeled_loss": labeled, "unlabeled_loss": distilled}


def step_of(
    student: StudentInTraining, batches: TargetBatches, source_loss: SourceLoss
) -> dict[str, Tensor]:
    """One step of eq. 4 with another loss in the place of eq. 3.

    Raises:
        ValueError: Where a source teaches its features: such a loss is of pseudo-labels.
    """
    pseudo = student.pseudo_labels
    if pseudo.scales is not None:
        name = next(n for n, c in zip(pseudo.names, pseudo.scales, strict=True) if c is not None)
        raise ValueError(
            f"source '{name}' teaches its features, and this objective learns pseudo-labels "
            "(sources: head own, kmeans, prototypes or zero_shot)"
        )

    def distillation(logits: Tensor, probabilities: Tensor) -> Tensor:
        pairs = (logits.split(pseudo.sizes, dim=1), probabilities.split(pseudo.sizes, dim=1))
        sources = zip(pseudo.weights.tolist(), *pairs, strict=True)
        return sum(alpha * source_loss(z, q) for alpha, z, q in sources)

    return distillation_step(student, batches, distillation)
