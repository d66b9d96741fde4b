"""The optimiser of every training."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import torch
from torch import Tensor


class AdamW(torch.optim.AdamW):
    """PyTorch's AdamW, without what prepares it for `torch.compile`.

    The first call of each of these methods would import the compiler (`torch._dynamo`), which takes
    a second, in trainings of seconds, and does nothing for a network that is not compiled.
    """

    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    state_dict = inspect.unwrap(torch.optim.AdamW.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.AdamW.load_state_dict)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients; zeros in their place, which PyTorch can leave, are never wanted."""
        # Without PyTorch's checks, which take 2% of a small network's step.
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """One step, as PyTorch's."""
        return _STEP(self, closure)


_STEP = inspect.unwrap(torch.optim.AdamW.step)
