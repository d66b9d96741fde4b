"""Distillation with a decoupled loss (Zhao et al., CVPR 2022) in the place of eq. 3.

The divergence of pseudo-labels q and predictions p is that of the most probable class t against the
others, and (1 - q_t) times that among the others. Decoupled, the second has a weight of its own, so
that confident pseudo-labels teach what is alike beside their class. In the original t is the label
of the image; unlabelled images have none, so it is the source's own first choice.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distillweighted import losses
from distillweighted.batches.target_batches import TargetBatches
from distillweighted.training.objectives.distill import step_of
from distillweighted.training.student import StudentInTraining

TARGET_WEIGHT = 1.0
"""Weight of the divergence of the first class against the others (the authors' alpha)."""

OTHERS_WEIGHT = 2.0
"""Weight of the divergence among the others (their beta): that of their configuration for a
ResNet-50 and a MobileNet on ImageNet at temperature 1, the nearest to the paper's."""


def step(student: StudentInTraining, batches: TargetBatches, step: int) -> dict[str, Tensor]:
    """The labelled loss, the decoupled distillation loss and their sum by lambda, of one step."""
    temperature = student.settings.temperature
    return step_of(student, batches, lambda z, q: decoupled_loss(z, q, temperature=temperature))


def decoupled_loss(
    logits: Tensor,
    probabilities: Tensor,
    *,
    temperature: float = 1.0,
    target_weight: float = TARGET_WEIGHT,
    others_weight: float = OTHERS_WEIGHT,
) -> Tensor:
    """The decoupled divergence of each image's pseudo-labels, in nats [B].

    Args:
        logits: `[B, C_s]` of the head for a source, C_s >= 2.
        probabilities: its pseudo-labels `[B, C_s]`; no gradient flows into them.
        temperature: T > 0, as of `losses.distillation_loss`.
        target_weight: of the first class against the others.
        others_weight: of the divergence among the others.
    """
    z = logits.float() / temperature
    q = losses.softened(probabilities.detach().to(z.dtype), temperature)
    first = q.argmax(dim=1, keepdim=True)
    is_first = torch.zeros_like(q, dtype=torch.bool).scatter_(1, first, True)
    rest = z.masked_fill(is_first, -torch.inf).logsumexp(dim=1, keepdim=True)
    total = torch.logaddexp(z.gather(1, first), rest)
    q_first = q.gather(1, first)
    # Summed, not 1 - q_first, which rounding may make 0 or less beside confident pseudo-labels.
    q_rest = q.masked_fill(is_first, 0).sum(dim=1, keepdim=True)
    tiny = torch.finfo(q.dtype).tiny
    among = (q / q_rest.clamp_min(tiny)).masked_fill(is_first, 0)
    against = torch.cat([q_first, q_rest], dim=1)
    log_against = torch.cat([z.gather(1, first), rest], dim=1) - total
    target = (torch.special.xlogy(against, against) - against * log_against).sum(dim=1)
    others = (torch.special.xlogy(among, among) - among * (z - rest)).sum(dim=1)
    return temperature**2 * (target_weight * target + others_weight * others)
