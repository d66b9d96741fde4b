"""A student to train, and its state while it trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distillweighted.batches.target_batches import TargetBatches
from distillweighted.networks.classifier import Classifier
from distillweighted.networks.devices import seed_layers
from distillweighted.seeds import derive_seed
from distillweighted.training.objectives.registry import OBJECTIVES
from distillweighted.training.settings import StudentSettings
from distillweighted.training.trainee import Trainee


@dataclass(frozen=True)
class PseudoLabels:
    """What a student is distilled from: the sources with a weight above 0."""

    probabilities: Tensor
    """float32 [n, sum C_s]: the sources' probabilities side by side, a row an image; of a source
    with a scale, its standardised features."""

    sizes: tuple[int, ...]
    """C_s of each source [S]: how many columns are its."""

    weights: np.ndarray
    """alpha [S], above 0, sum 1."""

    names: tuple[str, ...]
    """Names of the sources [S]."""

    scales: tuple[float | None, ...] | None = None
    """For each source that teaches its features, what its loss is multiplied by, else None [S]
    (`losses.weighted_distillation_loss`); None where all teach pseudo-labels."""

    @classmethod
    def of(
        cls,
        probabilities: Mapping[str, np.ndarray],
        weights: Mapping[str, float],
        scales: Mapping[str, float] | None = None,
    ) -> PseudoLabels:
        """The pseudo-labels of sources by name: those with a weight above 0.

        Args:
            probabilities: float32 [n, C_s] of each source, a row an image.
            weights: alpha of each source, not negative, sum 1.
            scales: Scale of each source whose `probabilities` are standardised features.
        """
        names = tuple(name for name, weight in weights.items() if weight > 0)
        side_by_side = np.concatenate([probabilities[name] for name in names], axis=1)
        return cls(
            torch.from_numpy(side_by_side),
            tuple(probabilities[name].shape[1] for name in names),
            np.array([weights[name] for name in names]),
            names,
            tuple(scales.get(name) for name in names) if scales else None,
        )


@dataclass
class Student:
    """One student to train."""

    recipe: str
    """Its name, for messages and seeds."""

    objective: str
    """A name in `objectives.registry.OBJECTIVES`."""

    model: Classifier
    """The network at its start, with a head for the target's classes; trained in place."""

    mean: Sequence[float]
    """Mean of the network's inputs, by channel, in 0..1."""

    std: Sequence[float]
    """Their standard deviation."""

    pseudo_labels: PseudoLabels | None = None
    """What it is distilled from; None where its objective distils nothing."""

    learning_rate: float | None = None
    """Its peak learning rate; None takes that of the settings."""

    probe_labels: Tensor | None = None
    """float32 [n, C]: the target's classes as a linear probe sees them, or a mixture of several, a
    row an image; None where its objective learns none."""

    lam: float | None = None
    """Its lambda; None takes that of the settings."""


class StudentInTraining(Trainee):
    """A student with its heads, while it trains; objectives read its attributes.

    Args:
        student: The student.
        settings: Training settings.
        seed: Seed of heads and of layers that draw (dropout).
        device: Where it trains.
    """

    rate_key = (
        "training.learning_rate, or that of training.sources where a source architecture is "
        "fine-tuned"
    )

    def __init__(
        self, student: Student, settings: StudentSettings, *, seed: int, device: torch.device
    ):
        own = {} if student.lam is None else {"lam": student.lam}
        self.settings, self.seed = replace(settings, **own), seed
        self.pseudo_labels, self.probe_labels = student.pseudo_labels, student.probe_labels
        self.heads: nn.Linear | None = None
        if student.pseudo_labels is not None:
            width = student.model.num_features
            self.heads = _source_heads(width, student.pseudo_labels, seed=seed).to(device)
        super().__init__(
            student.recipe,
            student.model,
            extra=() if self.heads is None else self.heads.parameters(),
            learning_rate=student.learning_rate or settings.learning_rate,
            weight_decay=settings.weight_decay,
            steps=settings.steps,
            device=device,
            mean=student.mean,
            std=student.std,
        )
        self._objective = OBJECTIVES[student.objective].load()

    def lessons(self, rows: Tensor) -> Tensor:
        """What its sources teach of the images of some rows, side by side [B, sum C_s]."""
        return self.pseudo_labels.probabilities.index_select(0, rows.to(self.device))

    def losses(self, batches: TargetBatches, step: int) -> dict[str, Tensor]:
        return self._objective(self, batches, step)

    def seed_draws(self, step: int) -> None:
        # Layers such as dropout draw from the global state: set it, so that company does not
        # matter.
        seed_layers(derive_seed(self.seed, "step", step), self.device)

    def parts(self) -> dict[str, Any]:
        parts = super().parts()
        return parts if self.heads is None else {**parts, "heads": self.heads}


def _source_heads(width: int, pseudo_labels: PseudoLabels, *, seed: int) -> nn.Linear:
    """One linear head a source, side by side; a source's head starts alike in every student."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        heads = nn.Linear(width, sum(pseudo_labels.sizes))
        row = 0
        for name, size in zip(pseudo_labels.names, pseudo_labels.sizes, strict=True):
            seed_layers(derive_seed(seed, "head", name), torch.device("cpu"))
            head = nn.Linear(width, size)
            heads.weight[row : row + size] = head.weight
            heads.bias[row : row + size] = head.bias
            row += size
    return heads
