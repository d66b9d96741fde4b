"""Networks whose kernels a GPU is given at once (CUDA graphs).

A small network, or a large one on a small batch, has kernels that take less time than to start
them: MobileNetV3 has two thousand a step. Recorded once, they are started together.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)


class Recorder:
    """Records the networks of trainings that take their steps in turn.

    What a network needs between its first kernel and its last gradient lies in memory that the next
    one uses again; so they must go on taking their steps in the order of their first ones.
    """

    def __init__(self):
        self._pool: Any = None
        self._recorded: dict[int, nn.Module] = {}

    def knows(self, network: nn.Module) -> bool:
        """Whether a network is recorded, or cannot be."""
        return id(network) in self._recorded

    def record(self, network: nn.Module, images: Tensor, *, name: str) -> None:
        """Record a network's kernels, forward and backward, at its first batch.

        From then on it takes batches of that size alone while it trains; in evaluation mode it
        takes any. One that cannot be recorded is left as it is, and the log says why.

        No other thread may use the GPU meanwhile.

        Args:
            network: The network, in training mode.
            images: The batch on the GPU, as the network will read them.
            name: What the log calls the network.
        """
        self._recorded[id(network)] = network
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        # It is recorded on a stream of its own, which autograd would warn of at every training.
        torch.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch(False)
        # Recording runs it a few times: that must not show in what it has counted or drawn.
        before = [buffer.clone() for buffer in network.buffers()]
        try:
            with (
                torch.random.fork_rng(devices=[images.device]),
                torch.autocast("cuda", torch.bfloat16, cache_enabled=False),
            ):
                torch.cuda.make_graphed_callables(network, (images.clone(),), pool=self._pool)
        except RuntimeError as error:
            log.warning("%s: its kernels are started one by one: %s", name, error)
        finally:
            for buffer, value in zip(network.buffers(), before, strict=True):
                buffer.copy_(value)

    def forget(self) -> None:
        """Give back the memory; the networks are as before, and can be saved."""
        for network in self._recorded.values():
            network.__dict__.pop("forward", None)
        self._recorded.clear()
        self._pool = None
