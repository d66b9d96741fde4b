"""The settings that all students of a run share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StudentSettings:
    """What all students of a run are trained with (configuration keys `training`, `baselines`)."""

    steps: int
    """Steps of the optimiser."""

    labeled_batch: int
    """Labelled images a step, of a student that is distilled."""

    unlabeled_batch: int
    """Images to distil on, a step."""

    lam: float
    """lambda of eq. 1: the share of the distillation loss."""

    temperature: float
    """Of both softmaxes of the distillation loss."""

    learning_rate: float
    """Peak learning rate of the students that have none of their own."""

    weight_decay: float
    """Of AdamW."""

    fixmatch_threshold: float
    """Confidence from which FixMatch takes its own label."""

    fixmatch_weight: float
    """Weight of FixMatch's loss on unlabelled images."""

    @property
    def images_per_step(self) -> int:
        """Images that pass through the network a step, whatever the method."""
        return self.labeled_batch + self.unlabeled_batch
