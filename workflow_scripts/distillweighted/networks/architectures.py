"""Names of the architectures, known without importing torch (see `models` for the networks).

A name is a part of file names, so timm's networks are spelled `timm-<name>`, without the tag of
their published weights.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

EMBEDDED = {
    "convnet_tiny": "student: three dense 3x3 convolutions, one fully connected layer",
    "convnet_tiny_x0_25": "convnet_tiny, every layer a quarter as wide",
    "convnet_tiny_x0_5": "convnet_tiny, every layer half as wide",
    "convnet_tiny_x2": "convnet_tiny, every layer twice as wide",
    "convnet_tiny_x4": "convnet_tiny, every layer four times as wide",
    "alexnet_tiny": "source: convolutions without normalisation, two fully connected layers",
    "googlenet_tiny": "source: torchvision's Inception blocks, few channels",
    "resnet18_tiny": "source: torchvision's basic residual blocks, few channels",
    "resnet50_tiny": "source: torchvision's bottleneck residual blocks, few channels",
}
"""The embedded benchmark's architectures: small members of the paper's four source families."""

PAPER = ("alexnet", "googlenet", "mobilenet_v3_large", "resnet18", "resnet50")
"""The paper's architectures, all of them torchvision's."""

_TORCHVISION = """
alexnet convnext_base convnext_large convnext_small convnext_tiny densenet121 densenet161
densenet169 densenet201 efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3
efficientnet_b4 efficientnet_b5 efficientnet_b6 efficientnet_b7 efficientnet_v2_l efficientnet_v2_m
efficientnet_v2_s googlenet inception_v3 maxvit_t mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3
mobilenet_v2 mobilenet_v3_large mobilenet_v3_small regnet_x_16gf regnet_x_1_6gf regnet_x_32gf
regnet_x_3_2gf regnet_x_400mf regnet_x_800mf regnet_x_8gf regnet_y_128gf regnet_y_16gf
regnet_y_1_6gf regnet_y_32gf regnet_y_3_2gf regnet_y_400mf regnet_y_800mf regnet_y_8gf resnet101
resnet152 resnet18 resnet34 resnet50 resnext101_32x8d resnext101_64x4d resnext50_32x4d
shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0 squeezenet1_0
squeezenet1_1 swin_b swin_s swin_t swin_v2_b swin_v2_s swin_v2_t vgg11 vgg11_bn vgg13 vgg13_bn vgg16
vgg16_bn vgg19 vgg19_bn vit_b_16 vit_b_32 vit_h_14 vit_l_16 vit_l_32 wide_resnet101_2
wide_resnet50_2
"""
TORCHVISION = tuple(_TORCHVISION.split())
"""torchvision's classifiers, as `torchvision.models.list_models(torchvision.models)` names them."""

TIMM_PREFIX = "timm-"


def known_architectures() -> list[str]:
    """The embedded benchmark's and torchvision's architectures; `is_known` also takes timm's."""
    return sorted([*EMBEDDED, *TORCHVISION])


def is_known(name: str) -> bool:
    """Whether a configuration may use a name.

    Of timm's only the spelling is checked: its list is read when the network is built.
    """
    return name in EMBEDDED or name in TORCHVISION or is_timm(name)


def is_timm(name: str) -> bool:
    """Whether a name is spelled as timm's networks are here."""
    return re.fullmatch(rf"{TIMM_PREFIX}[A-Za-z0-9_]+", name) is not None


def describe_unknown(name: object) -> str:
    """What to tell of a name that is not known: a close one, and on one line what is allowed."""
    # As Python writes it, so that a line break in it does not break the line.
    return (
        f"unknown architecture {str(name)[:60]!r}{suggest(name, known_architectures())} (allowed: "
        f"{', '.join(sorted(EMBEDDED))}; torchvision's, such as {', '.join(PAPER)}; timm's as "
        f"{TIMM_PREFIX}<name>)"
    )


def suggest(name: object, names: Iterable[str]) -> str:
    """A question that ends an error message, or nothing where no name is close."""
    close = difflib.get_close_matches(str(name)[:60], list(names), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""
