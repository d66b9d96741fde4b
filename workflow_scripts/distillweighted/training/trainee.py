"""A network while it trains: what every training has, whatever its loss."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from distillweighted.batches.target_batches import TargetBatches
from distillweighted.networks.classifier import Classifier
from distillweighted.training.optimizer import AdamW
from distillweighted.training.recorder import Recorder


class TrainingError(RuntimeError):
    """A model that cannot be trained; the message says which and why."""


@dataclass
class Outcome:
    """What came of a training: a model and its history, or an error."""

    recipe: str
    """The name of what was trained."""

    model: Classifier | None = None
    """The trained model; None where there is an error."""

    history: list[dict[str, float]] = field(default_factory=list)
    """step, learning_rate and the losses, at every tenth of the steps and at the last one."""

    seconds: float = 0.0
    """Time that its steps took."""

    error: str | None = None
    """Why it has no model."""


class Trainee:
    """A network with its optimiser (AdamW), its schedule (one cycle) and its history.

    The rate rises from 1/25 of its peak over 30% of the steps and falls to almost 0, along cosines
    (PyTorch's OneCycleLR); AdamW's beta1 stays 0.9. Vectors (biases, and the gains and shifts of
    normalisation) have no weight decay.

    Subclasses say what a step computes (`losses`) and what it draws from (`seed_draws`).

    Args:
        name: What messages call it.
        model: The network; it is put on the device and trained in place.
        extra: Further parameters to train with it.
        learning_rate: The peak learning rate.
        weight_decay: Of AdamW.
        steps: How many steps there will be.
        device: Where it trains.
        mean: Mean of the network's inputs, by channel, in 0..1.
        std: Their standard deviation.
    """

    rate_key = "training.learning_rate"
    """Where the configuration says its learning rate."""

    recorder: Recorder | None = None
    """Records its network's kernels at its first step; without it they are started one by one."""

    def __init__(
        self,
        name: str,
        model: Classifier,
        *,
        extra: Iterable[nn.Parameter] = (),
        learning_rate: float,
        weight_decay: float,
        steps: int,
        device: torch.device,
        mean: Sequence[float],
        std: Sequence[float],
    ):
        self._mean, self._std = mean, std
        self.recipe, self.device, self.learning_rate = name, device, learning_rate
        self.model = model.to(device).train()
        self.outcome, self.clock = Outcome(name), StepClock(device)
        self.current_rate = learning_rate
        self.optimizer = AdamW(
            _groups([*self.model.parameters(), *extra], weight_decay),
            lr=learning_rate,
            fused=True,
        )
        # By default it cycles beta1 too, against the rate.
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, learning_rate, total_steps=steps + 1, cycle_momentum=False
        )

    def losses(self, batches: TargetBatches, step: int) -> dict[str, Tensor]:
        """This step's losses, scalars by name; `loss` is differentiated."""
        raise NotImplementedError

    def seed_draws(self, step: int) -> None:
        """Set what layers that draw (dropout) draw from in this step."""

    def inputs(self, batches: TargetBatches, *parts: Tensor) -> Tensor:
        """This step's batches `parts` one after the other, as its network reads them."""
        images = batches.normalized(*parts, mean=self._mean, std=self._std, device=self.device)
        if self.recorder is not None and not self.recorder.knows(self.model.backbone):
            batches.settle()
            self.recorder.record(self.model.backbone, images, name=self.recipe)
        return images

    def step(self, batches: TargetBatches, step: int) -> dict[str, Tensor]:
        """Train one step; returns the losses by name."""
        self.seed_draws(step)
        self.current_rate = self.schedule.get_last_lr()[0]
        amp = self.device.type == "cuda"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=amp):
            parts = self.losses(batches, step)
        self.optimizer.zero_grad()
        parts["loss"].backward()
        self.optimizer.step()
        self.schedule.step()
        return {name: value.detach() for name, value in parts.items()}

    def parts(self) -> dict[str, Any]:
        """What a step changes, by name: all that has a `state_dict`."""
        return {"model": self.model, "optimizer": self.optimizer, "schedule": self.schedule}

    def state(self) -> dict[str, Any]:
        """All that a step changes; of one that failed, why."""
        outcome = self.outcome
        outcome.seconds += self.clock.take()
        state: dict[str, Any] = {
            "history": outcome.history,
            "seconds": outcome.seconds,
            "error": outcome.error,
        }
        if outcome.error is None:
            state |= {name: part.state_dict() for name, part in self.parts().items()}
        return state

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on as the trainee of the same arguments that had this state."""
        outcome = self.outcome
        outcome.history, outcome.seconds = state["history"], state["seconds"]
        outcome.error = state["error"]
        if outcome.error is None:
            for name, part in self.parts().items():
                part.load_state_dict(state[name])


class StepClock:
    """The time that steps take: on a GPU its own, which goes on after the step was asked for.

    Args:
        device: Where the steps are computed.
    """

    def __init__(self, device: torch.device):
        self._on_gpu = device.type == "cuda"
        self._spans: list[tuple[Any, Any]] = []
        self._start: Any = None

    def start(self) -> None:
        """A step begins."""
        self._start = self._now()

    def stop(self) -> None:
        """The step that began last has ended, or failed."""
        self._spans.append((self._start, self._now()))

    def take(self) -> float:
        """Seconds of the steps since the last call; waits for a GPU."""
        spans, self._spans = self._spans, []
        if not self._on_gpu:
            return sum(stop - start for start, stop in spans)
        if spans:
            spans[-1][1].synchronize()
        return sum(start.elapsed_time(stop) for start, stop in spans) / 1000

    def _now(self) -> Any:
        if not self._on_gpu:
            return time.monotonic()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


def _groups(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Parameters by whether they decay, as an optimiser takes them."""
    decays: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for parameter in parameters:
        decays[parameter.ndim > 1].append(parameter)
    groups = [
        {"params": decays[True], "weight_decay": weight_decay},
        {"params": decays[False], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
