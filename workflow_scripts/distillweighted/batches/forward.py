"""One un-augmented pass of one network or several over all images of a pool."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from distillweighted.batches.normalization import normalize, to_device
from distillweighted.batches.views import AS_STORED, View
from distillweighted.tasks.pools import Pool, as_pool

FAILURES = (ValueError, RuntimeError, OSError)
"""What a network that fails by itself raises, for want of memory too; all else ends the pass."""


@dataclass(frozen=True)
class Network:
    """A network that is shown images."""

    outputs_of: Callable[[Tensor], tuple[Tensor, ...]]
    """Gives its outputs [k, ...] for a normalised batch float32 [k, 3, h, w] on the device, where
    it is itself, in evaluation mode."""

    mean: Sequence[float]
    """Mean to normalise with, by channel, in 0..1."""

    std: Sequence[float]
    """Standard deviation to normalise with."""


@torch.no_grad()
def forward_together(
    networks: Mapping[str, Network],
    images: Pool | np.ndarray,
    *,
    device: torch.device,
    view: View = AS_STORED,
    batch_size: int | None = None,
    ahead: bool | None = None,
) -> dict[str, tuple[Tensor, ...] | Exception]:
    """Outputs of networks for every image: each batch of views is made once, and all see it.

    What a network says does not depend on the others. One that fails is shown no more, and its
    memory is free again; the others go on.

    Args:
        networks: The networks, by name.
        images: The n images, n > 0.
        device: Where the networks are.
        view: How an image becomes what the networks see, without augmentation.
        batch_size: Images a batch; by default what suits the pool.
        ahead: Whether a thread prepares the next batch of views while the networks see this one; by
            default on a GPU, which would wait for it.

    Returns:
        By name each of a network's outputs, float32 [n, ...], on the CPU; of one that failed, the
        error, one of `FAILURES`.

    Raises:
        ValueError: Where the images have many sizes and the view does not resize them.
        DamagedError: Where an image is not as it was written.
    """
    images = as_pool(images)
    size = images.inference_batch_size if batch_size is None else batch_size
    on_gpu = device.type == "cuda"
    # Those that share statistics follow one another, so that only one's floats are there at a time.
    asked = dict(sorted(networks.items(), key=lambda item: _statistics(item[1])))
    parts: dict[str, list[list[Tensor]]] = {name: [] for name in networks}
    errors: dict[str, Exception] = {}
    copies: list[_Copies] = []
    for batch in _batches(images, view, size, ahead=on_gpu if ahead is None else ahead, pin=on_gpu):
        shown, floats, read = to_device(batch, device), None, None
        copies.append(_Copies({}, None))
        for name, network in list(asked.items()):
            # The network before may have changed them in place.
            if floats is None or read != (_statistics(network), floats._version):
                floats = None
                floats = normalize(shown, network.mean, network.std)
                read = (_statistics(network), floats._version)
            try:
                outputs = network.outputs_of(floats)
                copies[-1].outputs[name] = [
                    output.float().to("cpu", non_blocking=True) for output in outputs
                ]
            except FAILURES as error:
                # Its frames hold what the network had computed.
                traceback.clear_frames(error.__traceback__)
                errors[name] = error
                del asked[name], parts[name]
        if not asked:
            break
        if on_gpu:
            # Waiting must not keep the thread that prepares views from the only core.
            copies[-1].made = torch.cuda.Event(blocking=True)
            copies[-1].made.record()
        # One batch later, so that a GPU has the next one to work on meanwhile.
        if len(copies) > 1:
            copies.pop(0).collect(parts)
    for last in copies:
        last.collect(parts)
    # One network's parts at a time are there twice.
    return {name: errors[name] if name in errors else _whole(parts.pop(name)) for name in networks}


@dataclass
class _Copies:
    """The outputs of a batch, on their way to the CPU."""

    outputs: dict[str, list[Tensor]]
    made: torch.cuda.Event | None
    """When they are there; None on the CPU."""

    def collect(self, parts: Mapping[str, list[list[Tensor]]]) -> None:
        """Wait for them and add them to those networks that have not failed since."""
        if self.made is not None:
            self.made.synchronize()
        for name, outputs in self.outputs.items():
            if name in parts:
                # Out of the pinned memory, which the next copies take.
                parts[name].append([o if self.made is None else o.clone() for o in outputs])


def _statistics(network: Network) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(network.mean), tuple(network.std)


def _whole(parts: list[list[Tensor]]) -> tuple[Tensor, ...]:
    return tuple(torch.cat(output) for output in zip(*parts, strict=True))


def _batches(images: Pool, view: View, size: int, *, ahead: bool, pin: bool) -> Iterator[Tensor]:
    """The views of all images in batches, uint8 [k, 3, h, w] each."""

    def make(start: int) -> Tensor:
        views = view.plain(images, np.arange(start, min(start + size, len(images))))
        return views.pin_memory() if pin else views

    starts = range(0, len(images), size)
    if not ahead:
        yield from map(make, starts)
        return
    with ThreadPoolExecutor(1, "views") as executor:
        made = executor.submit(make, 0)
        for start in starts[1:]:
            views, made = made.result(), executor.submit(make, start)
            yield views
        yield made.result()


def forward(
    outputs_of: Callable[[Tensor], tuple[Tensor, ...]],
    images: Pool | np.ndarray,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    device: torch.device,
    view: View = AS_STORED,
    batch_size: int | None = None,
) -> tuple[Tensor, ...]:
    """Outputs of one network for every image, in the order of the pool.

    `outputs_of`, `mean` and `std` are those of a `Network`, the others those of
    `forward_together`.

    Returns:
        Each of the outputs, float32 [n, ...], on the CPU.

    Raises:
        ValueError: Where the images have many sizes and the view does not resize them.
    """
    only = {"": Network(outputs_of, mean, std)}
    (outputs,) = forward_together(
        only, images, device=device, view=view, batch_size=batch_size
    ).values()
    if isinstance(outputs, Exception):
        raise outputs
    return outputs


def predict(
    model: nn.Module,
    images: Pool | np.ndarray,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    device: torch.device,
    view: View = AS_STORED,
    batch_size: int | None = None,
) -> Tensor:
    """Logits float32 [n, num_classes] of un-augmented images, on the CPU.

    The model is left on the device and in evaluation mode; the arguments are those of `forward`.
    """
    model = model.to(device).eval()
    (logits,) = forward(
        lambda batch: (model(batch),),
        images,
        mean,
        std,
        device=device,
        view=view,
        batch_size=batch_size,
    )
    return logits
