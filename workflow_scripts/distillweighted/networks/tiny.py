"""The embedded benchmark's networks: small members of the paper's four families, and a student.

The student, convnet_tiny, is cheaper than all sources in multiply-accumulates and in parameters;
of other widths it shows what size does. It is dense because at 24 pixels on a CPU a depthwise
network of equal cost is several times slower.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


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


def _convnet_tiny(width: float = 1) -> tuple[nn.Module, int]:
    first, second, third, features = (round(width * layer) for layer in (16, 32, 48, 96))
    return nn.Sequential(
        _conv(3, first, 2),
        _conv(first, second, 2),
        _conv(second, third, 2),
        _PoolTo(3),
        nn.Flatten(),
        nn.Linear(third * 9, features, bias=False),
        nn.BatchNorm1d(features),
        nn.ReLU(inplace=True),
    ), features


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


BUILDERS: dict[str, Callable[[], tuple[nn.Module, int]]] = {
    "convnet_tiny": _convnet_tiny,
    "convnet_tiny_x0_25": lambda: _convnet_tiny(0.25),
    "convnet_tiny_x0_5": lambda: _convnet_tiny(0.5),
    "convnet_tiny_x2": lambda: _convnet_tiny(2),
    "convnet_tiny_x4": lambda: _convnet_tiny(4),
    "alexnet_tiny": _alexnet_tiny,
    "googlenet_tiny": _googlenet_tiny,
    "resnet18_tiny": _resnet18_tiny,
    "resnet50_tiny": _resnet50_tiny,
}
"""What makes each backbone, and the width of its features."""
