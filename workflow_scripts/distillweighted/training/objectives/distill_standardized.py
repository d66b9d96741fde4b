"""Distillation with standardised logits (Sun et al., CVPR 2024) in eq. 3.

Each image's logits, the source's and the student's, are brought to mean 0 and standard deviation 1
before the softmax, so that a student need not copy how large a source's logits are, only their
order and distances. A source's logits are the logarithms of its pseudo-labels but for a constant,
which standardising takes away.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from distillweighted.batches.target_batches import TargetBatches
from distillweighted.training.objectives.distill import step_of
from distillweighted.training.student import StudentInTraining

BASE_TEMPERATURE = 2.0
"""What standardised logits are divided by: the authors'. `training.temperature` multiplies it."""


def step(student: StudentInTraining, batches: TargetBatches, step: int) -> dict[str, Tensor]:
    """The labelled loss, the standardised distillation loss and their sum by lambda, of a step."""
    temperature = BASE_TEMPERATURE * student.settings.temperature
    return step_of(student, batches, lambda z, q: standardized_loss(z, q, temperature=temperature))


def standardized_loss(logits: Tensor, probabilities: Tensor, *, temperature: float) -> Tensor:
    """Cross-entropy of each image's pseudo-labels, both of standardised logits, times T^2 [B].

    Args:
        logits: `[B, C_s]` of the head for a source, C_s >= 2.
        probabilities: its pseudo-labels `[B, C_s]`; no gradient flows into them.
        temperature: T > 0, of both softmaxes.
    """
    q = probabilities.detach().float()
    # A probability that was rounded to 0 is below the smallest number above it.
    targets = _standardized(q.clamp_min(torch.finfo(q.dtype).tiny).log())
    softened = (targets / temperature).softmax(dim=1)
    z = _standardized(logits.float()) / temperature
    return temperature**2 * F.cross_entropy(z, softened, reduction="none")


def _standardized(logits: Tensor) -> Tensor:
    """Each row with mean 0 and standard deviation 1; 0 where all its values are equal."""
    variance, mean = torch.var_mean(logits, dim=1, keepdim=True)
    # Inside the root, whose gradient at 0 is not finite.
    return (logits - mean) / (variance + 1e-12).sqrt()
