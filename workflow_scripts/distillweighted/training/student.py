"""A student to train, and its state while it trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distillweighted.batches.target_batches import TargetBatches
from distillweighted.networks.classifier import Classifier
from distillweighted.seeds import derive_seed
from distillweighted.training.objectives.registry import OBJECTIVES
from distillweighted.training.settings import StudentSettings


class TrainingError(RuntimeError):
    """A model that cannot be trained; the message says which and why."""


@dataclass(frozen=True)
class PseudoLabels:
    """What a student is distilled from: the sources with a weight above 0."""

    probabilities: Tensor
    """float32 [n, sum C_s]: the sources' probabilities side by side, a row an image."""

    sizes: tuple[int, ...]
    """C_s of each source [S]."""

    weights: np.ndarray
    """alpha [S], above 0, sum 1."""

    names: tuple[str, ...]
    """Names of the sources [S]."""

    @classmethod
    def of(
        cls, probabilities: Mapping[str, np.ndarray], weights: Mapping[str, float]
    ) -> PseudoLabels:
        """The pseudo-labels of sources by name: those with a weight above 0.

        Args:
            probabilities: float32 [n, C_s] of each source, a row an image.
            weights: alpha of each source, not negative, sum 1.
        """
        names = tuple(name for name, weight in weights.items() if weight > 0)
        side_by_side = np.concatenate([probabilities[name] for name in names], axis=1)
        return cls(
            torch.from_numpy(side_by_side),
            tuple(probabilities[name].shape[1] for name in names),
            np.array([weights[name] for name in names]),
            names,
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


@dataclass
class Outcome:
    """What came of a student: a trained model and its history, or an error."""

    recipe: str
    model: Classifier | None = None
    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    error: str | None = None


class StudentInTraining:
    """A student with its heads, optimiser and schedule; objectives read its attributes.

    Args:
        student: The student.
        settings: Training settings.
        seed: Seed of heads and of layers that draw (dropout).
        device: Where it trains.
    """

    def __init__(
        self, student: Student, settings: StudentSettings, *, seed: int, device: torch.device
    ):
        self.recipe, self.pseudo_labels = student.recipe, student.pseudo_labels
        self.settings, self.seed, self.device = settings, seed, device
        self.model = student.model.to(device).train()
        self.outcome = Outcome(student.recipe)
        self._mean, self._std = student.mean, student.std
        parameters = list(self.model.parameters())
        self.heads: nn.Linear | None = None
        if student.pseudo_labels is not None:
            self.heads = _source_heads(self.model.num_features, student.pseudo_labels, seed=seed)
            self.heads.to(device)
            parameters += list(self.heads.parameters())
        self.learning_rate = student.learning_rate or settings.learning_rate
        self.optimizer = torch.optim.AdamW(
            parameters, lr=self.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, self.learning_rate, total_steps=settings.steps + 1
        )
        self._step = OBJECTIVES[student.objective].load()

    def inputs(self, batches: TargetBatches, *parts: Tensor) -> Tensor:
        """This step's batches `parts` one after the other, as its network reads them."""
        return batches.normalized(*parts, mean=self._mean, std=self._std, device=self.device)

    def step(self, batches: TargetBatches, step: int) -> dict[str, Tensor]:
        """Train one step; returns the losses by name."""
        # Layers such as dropout draw from the global state: set it, so that company does not
        # matter.
        torch.manual_seed(derive_seed(self.seed, "step", step))
        self.current_rate = self.schedule.get_last_lr()[0]
        amp = self.device.type == "cuda"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=amp):
            parts = self._step(self, batches, step)
        self.optimizer.zero_grad(set_to_none=True)
        parts["loss"].backward()
        self.optimizer.step()
        self.schedule.step()
        return {name: value.detach() for name, value in parts.items()}

    def state(self) -> dict[str, Any]:
        """All that a step changes; of one that failed, why."""
        outcome = self.outcome
        state: dict[str, Any] = {
            "history": outcome.history,
            "seconds": outcome.seconds,
            "error": outcome.error,
        }
        if outcome.error is None:
            state |= {name: part.state_dict() for name, part in self._parts().items()}
        return state

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on as the student of the same arguments that had this state."""
        outcome = self.outcome
        outcome.history, outcome.seconds = state["history"], state["seconds"]
        outcome.error = state["error"]
        if outcome.error is None:
            for name, part in self._parts().items():
                part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        parts = {"model": self.model, "optimizer": self.optimizer, "schedule": self.schedule}
        return parts if self.heads is None else {**parts, "heads": self.heads}


def _source_heads(width: int, pseudo_labels: PseudoLabels, *, seed: int) -> nn.Linear:
    """One linear head a source, side by side; a source's head starts alike in every student."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        heads = nn.Linear(width, sum(pseudo_labels.sizes))
        row = 0
        for name, size in zip(pseudo_labels.names, pseudo_labels.sizes, strict=True):
            torch.manual_seed(derive_seed(seed, "head", name))
            head = nn.Linear(width, size)
            heads.weight[row : row + size] = head.weight
            heads.bias[row : row + size] = head.bias
            row += size
    return heads
