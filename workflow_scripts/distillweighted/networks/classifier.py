"""Networks as `h o phi`: a feature extractor and a linear classifier head (section 3 of the paper).

The embedded benchmark's networks are written out in `tiny_networks`; all others are torchvision's
and timm's, cut before the linear layer that produces their output.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from distillweighted.networks.architectures import EMBEDDED, is_timm
from distillweighted.networks.libraries import (
    UncutError,
    build_network,
    find_head,
    has_size,
    on_blank,
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
        features, logits = self.features_and_logits(images)
        return features if logits is None else logits

    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features [n, num_features] of images [n, 3, h, w], and logits [n, num_classes] where
        there is a head."""
        features = self.backbone(images)
        return features, None if self.head is None else self.head(features)


class WholeClassifier(nn.Module):
    """A network of timm whose classifier is not one linear layer, as of those that were distilled
    with two heads. It can be asked like a `Classifier`, and not be trained further with a new head.

    Attributes:
        network: The network; its features are what timm calls pre-logits.
        num_features: Width of the features.
        num_classes: Outputs.
    """

    def __init__(self, network: nn.Module, num_features: int, num_classes: int):
        super().__init__()
        self.network = network
        self.num_features, self.num_classes = num_features, num_classes

    def forward(self, images: Tensor) -> Tensor:
        """Logits [n, num_classes] of images [n, 3, h, w]."""
        return self.network(images)

    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """As of `Classifier`."""
        maps = self.network.forward_features(images)
        features = self.network.forward_head(maps, pre_logits=True)
        return features.flatten(1), self.network.forward_head(maps)


def build_model(
    architecture: str,
    num_classes: int,
    *,
    seed: int,
    image_size: int | None = None,
    options: Mapping[str, Any] | None = None,
    whole: bool = False,
) -> Classifier | WholeClassifier:
    """A freshly initialised network.

    Args:
        architecture: A name that `architectures.is_known`: one of the embedded benchmark's, of
            torchvision's classifiers, or `timm-<name>`.
        num_classes: Number of outputs; 0 for a network without a head.
        seed: Seed of the initialisation; the global random state is left as it was.
        image_size: Side of the images that it sees, in pixels, where it is made for one size (as
            vision transformers are); by default its own.
        options: What else timm makes it with.
        whole: Whether it is a `WholeClassifier`, of timm's alone.

    Raises:
        ValueError: For an unknown architecture, one whose output no linear layer produces, or one
            that cannot see such images.
    """
    if architecture in EMBEDDED:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            backbone, num_features = BUILDERS[architecture]()
            head = nn.Linear(num_features, num_classes) if num_classes else None
            model = Classifier(backbone, head, num_features)
        return model.to(memory_format=torch.channels_last)
    network = build_network(
        architecture, num_classes, seed=seed, image_size=image_size, options=options
    )
    if whole:
        return _whole(network, architecture, num_classes, image_size)
    return split_network(network, architecture, num_classes, image_size)


def split_network(
    network: nn.Module, architecture: str, num_classes: int, image_size: int | None = None
) -> Classifier:
    """A network of `build_network` cut into features and head, in place.

    Args:
        network: The network.
        architecture: Its name.
        num_classes: Its outputs; 0 where it has no head, and its output are the features.
        image_size: As of `build_model`.

    Raises:
        ValueError: Where it cannot be cut, or cannot see such images.
    """
    size = image_size if has_size(architecture) else None
    if num_classes:
        return split_head(network, find_head(network, architecture, size))
    width = _feature_width(network, architecture, size)
    return _channels_last(Classifier(network, None, width))


def split_or_whole(
    network: nn.Module, architecture: str, num_classes: int, image_size: int | None = None
) -> Classifier | WholeClassifier:
    """As `split_network`; a network of timm that cannot be cut stays whole."""
    try:
        return split_network(network, architecture, num_classes, image_size)
    except UncutError:
        if not is_timm(architecture):
            raise
    return _whole(network, architecture, num_classes, image_size)


def _whole(
    network: nn.Module, architecture: str, num_classes: int, image_size: int | None
) -> WholeClassifier:
    model = _channels_last(WholeClassifier(network, 0, num_classes))
    shapes = []

    def both(images: Tensor) -> Tensor:
        shapes.extend(values.shape for values in model.features_and_logits(images))
        return images

    try:
        on_blank(network, architecture, image_size, both)
    except (AttributeError, TypeError):  # one without such methods
        shapes.clear()
    if [len(shape) for shape in shapes] != [2, 2]:
        raise UncutError(
            f"'{architecture}' ({type(network).__name__}) has no features [n, d] that can be asked "
            "for; choose another architecture"
        )
    model.num_features = shapes[0][1]
    return model


def _channels_last(model: nn.Module) -> nn.Module:
    try:
        return model.to(memory_format=torch.channels_last)
    except RuntimeError:  # weights of more dimensions, which have no such order
        return model


def _feature_width(network: nn.Module, architecture: str, image_size: int | None) -> int:
    features = on_blank(network, architecture, image_size)
    if not isinstance(features, Tensor) or features.ndim != 2:
        raise ValueError(
            f"'{architecture}' ({type(network).__name__}) does not end in features [n, d]; choose "
            "another architecture"
        )
    return features.shape[1]


def split_head(network: nn.Module, head: str) -> Classifier:
    """Cut a network before its head, in place: what the head read becomes the features.

    Args:
        network: A network of `build_network`.
        head: Name of the head, as `find_head` gives it.
    """
    linear = network.get_submodule(head)
    network.set_submodule(head, nn.Identity())
    return _channels_last(Classifier(network, linear))


def replace_head(model: Classifier, num_classes: int, *, seed: int) -> Classifier:
    """Put a new head of `num_classes` outputs on a model, in place; returns the model.

    Raises:
        ValueError: Where it is not cut into features and head.
    """
    if isinstance(model, WholeClassifier):
        raise ValueError(
            f"{type(model.network).__name__} cannot be cut into features and a linear head, so "
            "that it cannot be trained further; choose another model to start from"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        bias = model.head is None or model.head.bias is not None
        model.head = nn.Linear(model.num_features, num_classes, bias=bias)
    return model
