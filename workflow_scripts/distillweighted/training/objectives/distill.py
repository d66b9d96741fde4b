"""Distillation of one or several sources: eq. 4, which is eq. 1 where one has all the weight."""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from distillweighted import losses
from distillweighted.batches.target_batches import TargetBatches
from distillweighted.training.student import StudentInTraining

ImageLoss = Callable[[Tensor, Tensor], Tensor]
"""A loss for eq. 3: logits [k, C_s] and pseudo-labels [k, C_s] of k images and sources with as many
classes, to a loss each [k]."""


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
    student: StudentInTraining, batches: TargetBatches, image_loss: ImageLoss
) -> dict[str, Tensor]:
    """One step of eq. 4 with another loss in the place of eq. 3, a mean over images.

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
        total = logits.new_zeros((), dtype=torch.float32)
        # Those with as many classes at once: most time goes into starting small operations.
        alpha = tuple(pseudo.weights.tolist())
        for size, columns, weights in _by_size(pseudo.sizes, alpha, logits.device):
            z = logits.index_select(1, columns).view(-1, size)
            q = probabilities.index_select(1, columns).view(-1, size)
            by_source = image_loss(z, q).view(-1, len(weights)).mean(dim=0)
            total = total + (weights * by_source).sum()
        return total

    return distillation_step(student, batches, distillation)


@functools.lru_cache(maxsize=256)
def _by_size(
    sizes: tuple[int, ...], alpha: tuple[float, ...], device: torch.device
) -> list[tuple[int, Tensor, Tensor]]:
    """For each number of classes c the columns of its k sources [k * c], and their alpha [k]."""
    starts = np.cumsum((0, *sizes[:-1]))
    groups = []
    for size in sorted({*sizes}):
        of_size = [s for s, c in enumerate(sizes) if c == size]
        columns = np.concatenate([np.arange(starts[s], starts[s] + size) for s in of_size])
        weights = torch.tensor([alpha[s] for s in of_size])
        groups.append((size, torch.from_numpy(columns).to(device), weights.to(device)))
    return groups
