"""Networks as `h o phi`: a feature extractor and a linear classifier head (section 3 of the paper).

The embedded benchmark's sources are small members of the paper's four families; its student is
cheaper than all of them in multiply-accumulates and in parameters. It is dense because at 24 pixels
on a CPU a depthwise network of equal cost is several times slower.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distillweighted.architectures import known_architectures


class Classifier(nn.Module):
    """A network `h o phi` whose parts can be called apart.

    Attributes:
        backbone: `phi`, images [n, 3, h, w] to features [n, num_features].
        head: `h`, the last linear layer; it reads what a distillation head reads.
    """

    def __init__(self, backbone: nn.Module, num_features: int, num_classes: int):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(num_features, num_classes)

    @property
    def num_features(self) -> int:
        """Width of the features."""
        return self.head.in_features

    def forward(self, images: Tensor) -> Tensor:
        """Logits [n, num_classes] of images [n, 3, h, w]."""
        return self.head(self.backbone(images))


def build_model(architecture: str, num_classes: int, *, seed: int) -> Classifier:
    """A freshly initialised network.

    Args:
        architecture: A name of `architectures.known_architectures`.
        num_classes: Number of outputs.
        seed: Seed of the initialisation; the global random state is left as it was.

    Raises:
        ValueError: For an unknown architecture.
    """
    if architecture not in _BUILDERS:
        raise ValueError(
            f"unknown architecture '{architecture}' (allowed: {', '.join(known_architectures())})"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone, num_features = _BUILDERS[architecture]()
        model = Classifier(backbone, num_features, num_classes)
    return model.to(memory_format=torch.channels_last)


def replace_head(model: Classifier, num_classes: int, *, seed: int) -> Classifier:
    """Put a new head of `num_classes` outputs on a model, in place; returns the model."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.head = nn.Linear(model.num_features, num_classes)
    return model


def _conv(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _pooled(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class _PoolTo(nn.AdaptiveAvgPool2d):
    def forward(self, maps: Tensor) -> Tensor:
        # At 24 pixels the maps have the wanted size; torch would copy them for 5% of a step.
        return maps if maps.shape[2:] == (self.output_size,) * 2 else super().forward(maps)


def _convnet_tiny() -> tuple[nn.Module, int]:
    return nn.Sequential(
        _conv(3, 16, 2),
        _conv(16, 32, 2),
        _conv(32, 48, 2),
        _PoolTo(3),
        nn.Flatten(),
        nn.Linear(48 * 9, 96, bias=False),
        nn.BatchNorm1d(96),
        nn.ReLU(inplace=True),
    ), 96


def _alexnet_tiny() -> tuple[nn.Module, int]:
    def block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.ReLU(inplace=True))

    return nn.Sequential(
        block(3, 32, 2),
        nn.MaxPool2d(2),
        block(32, 48),
        block(48, 64),
        nn.MaxPool2d(2),
        _PoolTo(3),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(64 * 9, 160),
        nn.ReLU(inplace=True),
        nn.Dropout(0.2),
        nn.Linear(160, 160),
        nn.ReLU(inplace=True),
    ), 160


# The blocks of GoogLeNet and ResNet, as torchvision has them, written out: an inference job's time
# is mostly its imports, and torchvision's would add as much again as torch's.
class _Inception(nn.Module):
    """Branches side by side: 1x1; 1x1 then 3x3, twice; 3x3 pooling then 1x1."""

    def __init__(self, inputs: int, widths: tuple[int, int, int, int, int, int]):
        super().__init__()
        one, reduce3, three, reduce5, five, pool = widths
        self.branches = nn.ModuleList(
            [
                _conv(inputs, one, kernel=1),
                nn.Sequential(_conv(inputs, reduce3, kernel=1), _conv(reduce3, three)),
                nn.Sequential(_conv(inputs, reduce5, kernel=1), _conv(reduce5, five)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), _conv(inputs, pool, kernel=1)),
            ]
        )

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([branch(maps) for branch in self.branches], dim=1)


class _Residual(nn.Module):
    """The sum of a body and a shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, body: nn.Sequential, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.body = body
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = _conv(inputs, outputs, stride, kernel=1)[:2]

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu_(self.body(maps) + self.shortcut(maps))


def _basic(inputs: int, width: int, stride: int) -> tuple[nn.Sequential, int]:
    return nn.Sequential(_conv(inputs, width, stride), _conv(width, width)[:2]), width


def _bottleneck(inputs: int, width: int, stride: int) -> tuple[nn.Sequential, int]:
    return nn.Sequential(
        _conv(inputs, width, kernel=1),
        _conv(width, width, stride),
        _conv(width, 4 * width, kernel=1)[:2],
    ), 4 * width


def _googlenet_tiny() -> tuple[nn.Module, int]:
    return _pooled(
        _conv(3, 24, 2),
        nn.MaxPool2d(2),
        _Inception(24, (24, 24, 32, 8, 16, 16)),
        _Inception(88, (32, 32, 48, 8, 24, 24)),
        nn.MaxPool2d(2),
        _Inception(128, (48, 40, 64, 12, 32, 24)),
    ), 168


def _resnet18_tiny() -> tuple[nn.Module, int]:
    return _residual(_basic, widths=(16, 32, 72), blocks=(1, 1, 1), pool=False)


def _resnet50_tiny() -> tuple[nn.Module, int]:
    return _residual(_bottleneck, widths=(32, 64), blocks=(2, 1), pool=True)


def _residual(
    block: Callable[[int, int, int], tuple[nn.Sequential, int]],
    widths: tuple[int, ...],
    blocks: tuple[int, ...],
    *,
    pool: bool,
) -> tuple[nn.Module, int]:
    """A residual network with a 3x3 stem, as suits small images."""
    inputs = 16
    layers: list[nn.Module] = [_conv(3, inputs, 2)]
    if pool:
        layers.append(nn.MaxPool2d(2))
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        for i in range(count):
            stride = 2 if stage > 0 and i == 0 else 1
            body, outputs = block(inputs, width, stride)
            layers.append(_Residual(body, inputs, outputs, stride))
            inputs = outputs
    return _pooled(*layers), inputs


_BUILDERS: dict[str, Callable[[], tuple[nn.Module, int]]] = {
    "convnet_tiny": _convnet_tiny,
    "alexnet_tiny": _alexnet_tiny,
    "googlenet_tiny": _googlenet_tiny,
    "resnet18_tiny": _resnet18_tiny,
    "resnet50_tiny": _resnet50_tiny,
}


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def count_macs(model: nn.Module, image_size: int) -> int:
    """Multiply-accumulates of one forward pass on one square RGB image.

    The paper's "GFLOPs" are multiply-accumulates; torch's counter counts two operations for each.
    """
    from torch.utils.flop_counter import FlopCounterMode

    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, image_size, image_size, device=device))
    model.train(was_training)
    return counter.get_total_flops() // 2


def save_model(model: Classifier, path: Path, metadata: Mapping[str, Any]) -> None:
    """Write weights and what is needed to rebuild and use the model.

    Args:
        model: The model; only its own weights are stored.
        path: A .safetensors file; it appears only once it is complete.
        metadata: JSON-able; at least architecture, num_classes, mean and std (of inputs in [0, 1]).
    """
    import json

    from safetensors.torch import save_file

    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    partial = path.with_name(path.name + ".partial")
    save_file(tensors, partial, metadata={"distillweighted": json.dumps(dict(metadata))})
    partial.replace(path)


def load_model(path: Path) -> tuple[Classifier, dict[str, Any]]:
    """Rebuild a model that `save_model` wrote.

    Returns:
        The model (in training mode, on the CPU) and the metadata.

    Raises:
        ValueError: Where the file is not such a model.
    """
    import json

    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {})["distillweighted"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        model = build_model(metadata["architecture"], metadata["num_classes"], seed=0)
        model.load_state_dict(tensors)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} is not a model that this project wrote: {error}") from error
    return model, metadata
