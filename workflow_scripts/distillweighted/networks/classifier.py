"""Networks as `h o phi`: a feature extractor and a linear classifier head (section 3 of the paper).

The embedded benchmark's networks are written out in `tiny_networks`; all others are torchvision's
and timm's, cut before the linear layer that produces their output.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distillweighted.networks.architectures import (
    EMBEDDED,
    TIMM_PREFIX,
    TORCHVISION,
    describe_unknown,
    is_timm,
    suggest,
)
from distillweighted.networks.tiny import BUILDERS


class Classifier(nn.Module):
    """A network `h o phi` whose parts can be called apart.

    Attributes:
        backbone: `phi`, images [n, 3, h, w] to features [n, num_features].
        head: `h`, the last linear layer; it reads what a distillation head reads. None for a
            network without a classifier.
        num_features: Width of the features.
    """

    def __init__(
        self, backbone: nn.Module, head: nn.Linear | None, num_features: int | None = None
    ):
        super().__init__()
        self.backbone = backbone
        self.head = head
        self._num_features = num_features

    @property
    def num_features(self) -> int:
        """Width of the features."""
        return self._num_features if self.head is None else self.head.in_features

    @property
    def num_classes(self) -> int:
        """Outputs of the head; 0 where there is none."""
        return 0 if self.head is None else self.head.out_features

    def forward(self, images: Tensor) -> Tensor:
        """Logits [n, num_classes] of images [n, 3, h, w], or features where there is no head."""
        features = self.backbone(images)
        return features if self.head is None else self.head(features)


def build_model(architecture: str, num_classes: int, *, seed: int) -> Classifier:
    """A freshly initialised network.

    Args:
        architecture: A name that `architectures.is_known`: one of the embedded benchmark's, of
            torchvision's classifiers, or `timm-<name>`.
        num_classes: Number of outputs.
        seed: Seed of the initialisation; the global random state is left as it was.

    Raises:
        ValueError: For an unknown architecture, or one whose output no linear layer produces.
    """
    if architecture in EMBEDDED:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            backbone, num_features = BUILDERS[architecture]()
            model = Classifier(backbone, nn.Linear(num_features, num_classes))
        return model.to(memory_format=torch.channels_last)
    network = build_network(architecture, num_classes, seed=seed)
    return split_head(network, find_head(network, architecture))


def build_network(architecture: str, num_classes: int, *, seed: int) -> nn.Module:
    """A network of torchvision or timm as it comes, freshly initialised and in one piece.

    GoogLeNet and Inception come without auxiliary classifiers and with the plain initialisation of
    their layers, as the PARC benchmark's code builds them.

    Args:
        architecture: One of torchvision's classifiers, or `timm-<name>`.
        num_classes: Number of outputs.
        seed: Seed of the initialisation; the global random state is left as it was.

    Raises:
        ValueError: For an unknown architecture.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if architecture in TORCHVISION:
            return _build_torchvision(architecture, num_classes)
        if is_timm(architecture):
            return _build_timm(architecture.removeprefix(TIMM_PREFIX), num_classes)
    raise ValueError(describe_unknown(architecture))


def _build_torchvision(name: str, num_classes: int) -> nn.Module:
    import inspect
    import typing

    from torchvision.models import get_model_builder

    builder = get_model_builder(name)
    options = inspect.signature(typing.get_type_hints(builder)["return"]).parameters
    # VGG has init_weights too, but is not built to do without.
    off = ("aux_logits", "init_weights") if "aux_logits" in options else ()
    return builder(weights=None, num_classes=num_classes, **dict.fromkeys(off, False))


def _build_timm(name: str, num_classes: int) -> nn.Module:
    import timm

    if name not in (names := timm.list_models()):
        hint = suggest(TIMM_PREFIX + name, [TIMM_PREFIX + known for known in names])
        raise ValueError(f"timm {timm.__version__} has no model '{name}'{hint}")
    return timm.create_model(name, pretrained=False, num_classes=num_classes)


def find_head(network: nn.Module, architecture: str) -> str:
    """Name of the linear layer that produces a network's output, by running it on a blank image.

    Args:
        network: A network of `build_network`; left in training mode.
        architecture: What messages call it.

    Raises:
        ValueError: Where the output is not that of one linear layer that reads features [n, d].
    """
    calls: list[tuple[str, Tensor, Tensor]] = []
    handles = [
        layer.register_forward_hook(
            lambda _, inputs, output, name=name: calls.append((name, inputs[0], output))
        )
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear)
    ]
    # timm says which size its networks want; all of torchvision's take 224 pixels.
    size = getattr(network, "default_cfg", {}).get("input_size", (3, 224, 224))
    network.eval()
    try:
        with torch.no_grad():
            output = network(torch.zeros(1, *size))
    finally:
        for handle in handles:
            handle.remove()
        network.train()
    name, features, logits = calls[-1] if calls else ("", None, None)
    if features is None or logits is not output or features.ndim != 2:
        raise ValueError(
            f"'{architecture}' ({type(network).__name__}) cannot be cut into features and a linear "
            "head: its output is not that of one linear layer; choose another architecture"
        )
    return name


def split_head(network: nn.Module, head: str) -> Classifier:
    """Cut a network before its head, in place: what the head read becomes the features.

    Args:
        network: A network of `build_network`.
        head: Name of the head, as `find_head` gives it.
    """
    linear = network.get_submodule(head)
    network.set_submodule(head, nn.Identity())
    return Classifier(network, linear).to(memory_format=torch.channels_last)


def replace_head(model: Classifier, num_classes: int, *, seed: int) -> Classifier:
    """Put a new head of `num_classes` outputs on a model, in place; returns the model."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        bias = model.head is None or model.head.bias is not None
        model.head = nn.Linear(model.num_features, num_classes, bias=bias)
    return model
