"""One un-augmented pass of a network over all images of a pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from distillweighted.batches.normalization import normalize, to_device
from distillweighted.batches.views import AS_STORED, View
from distillweighted.tasks.pools import Pool, as_pool


@torch.no_grad()
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
    """Outputs of a network for every image, in the order of the pool.

    Args:
        outputs_of: Gives the outputs [k, ...] for a normalised batch float32 [k, 3, h, w] on the
            device; its network must be there, in evaluation mode.
        images: The n images, n > 0.
        mean: Mean to normalise with, by channel, in 0..1.
        std: Standard deviation to normalise with.
        device: Where the network is.
        view: How an image becomes what the network sees, without augmentation.
        batch_size: Images a batch; by default what suits the pool.

    Returns:
        Each of the outputs, float32 [n, ...], on the CPU.

    Raises:
        ValueError: Where the images have many sizes and the view does not resize them.
    """
    images = as_pool(images)
    size = images.inference_batch_size if batch_size is None else batch_size
    parts: list[list[Tensor]] = []
    for start in range(0, len(images), size):
        rows = np.arange(start, min(start + size, len(images)))
        batch = normalize(to_device(view.plain(images, rows), device), mean, std)
        parts.append([output.float().cpu() for output in outputs_of(batch)])
    return tuple(torch.cat(output) for output in zip(*parts, strict=True))


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
