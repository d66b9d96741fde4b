"""Networks as `h o phi`: a feature extractor and a linear classifier head (section 3 of the paper).

The embedded benchmark's networks are written out in `tiny_networks`; all others are torchvision's
and timm's, cut before the linear layer that produces their output.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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


def build_model(
    architecture: str,
    num_classes: int,
    *,
    seed: int,
    image_size: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> Classifier:
    """A freshly initialised network.

    Args:
        architecture: A name that `architectures.is_known`: one of the embedded benchmark's, of
            torchvision's classifiers, or `timm-<name>`.
        num_classes: Number of outputs; 0 for a network without a head.
        seed: Seed of the initialisation; the global random state is left as it was.
        image_size: Side of the images that it sees, in pixels, where it is made for one size (as
            vision transformers are); by default its own.
        options: What else timm makes it with.

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
    size = image_size if _has_size(architecture) else None
    if num_classes:
        return split_head(network, find_head(network, architecture, size))
    width = _feature_width(network, architecture, size)
    return Classifier(network, None, width).to(memory_format=torch.channels_last)


def build_network(
    architecture: str,
    num_classes: int,
    *,
    seed: int,
    image_size: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> nn.Module:
    """A network of torchvision or timm as it comes, freshly initialised and in one piece.

    GoogLeNet and Inception come without auxiliary classifiers and with the plain initialisation of
    their layers, as the PARC benchmark's code builds them.

    Args:
        architecture: One of torchvision's classifiers, or `timm-<name>`.
        num_classes: Number of outputs; 0 for a network that ends in features.
        seed: Seed of the initialisation; the global random state is left as it was.
        image_size: As of `build_model`.
        options: As of `build_model`.

    Raises:
        ValueError: For an unknown architecture, or one that is not made for such images.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if architecture in TORCHVISION:
            if num_classes == 0:
                network = _build_torchvision(architecture, 2, image_size)
                network.set_submodule(find_head(network, architecture), nn.Identity())
                return network
            return _build_torchvision(architecture, num_classes, image_size)
        if is_timm(architecture):
            name = architecture.removeprefix(TIMM_PREFIX)
            check_timm_name(name)
            return create_timm(name, image_size, num_classes=num_classes, **(options or {}))
    raise ValueError(describe_unknown(architecture))


def _has_size(architecture: str) -> bool:
    """Whether a network may be made for images of one size."""
    return is_timm(architecture) or architecture.startswith("vit_")


def _build_torchvision(name: str, num_classes: int, image_size: int | None) -> nn.Module:
    import inspect
    import typing

    from torchvision.models import get_model_builder

    builder = get_model_builder(name)
    options = inspect.signature(typing.get_type_hints(builder)["return"]).parameters
    # VGG has init_weights too, but is not built to do without.
    off = ("aux_logits", "init_weights") if "aux_logits" in options else ()
    told = dict.fromkeys(off, False)
    if image_size is not None and _has_size(name):
        told["image_size"] = image_size
    return builder(weights=None, num_classes=num_classes, **told)


def check_timm_name(name: str) -> None:
    """See whether timm has a model of a name, without a tag.

    Raises:
        ValueError: Where it has not; tells the nearest name.
    """
    import timm

    if name not in (names := timm.list_models()):
        hint = suggest(TIMM_PREFIX + name, [TIMM_PREFIX + known for known in names])
        raise ValueError(f"timm {timm.__version__} has no model '{name}'{hint}")


def create_timm(name: str, image_size: int | None, **options: Any) -> nn.Module:
    """A network of timm, made for images of a size where it is one that has a size.

    Args:
        name: timm's name, with a tag or without.
        image_size: Side of the images, in pixels; None for its own.
        options: Arguments of `timm.create_model`.

    Raises:
        ValueError: Where the network cannot be made for such images.
    """
    import timm

    try:
        if image_size is None:
            return timm.create_model(name, **options)
        try:
            return timm.create_model(name, img_size=image_size, **options)
        except TypeError as error:
            if "img_size" not in str(error):
                raise
            return timm.create_model(name, **options)  # one that sees images of any size
    except (AssertionError, TypeError, ValueError) as error:
        if image_size is None:
            raise
        raise ValueError(
            f"'{name}' cannot be made for images of {image_size} pixels ({_one_line(error)}); "
            "choose another size"
        ) from error


def find_head(network: nn.Module, architecture: str, image_size: int | None = None) -> str:
    """Name of the linear layer that produces a network's output, by running it on a blank image.

    Args:
        network: A network of `build_network`; left in training mode.
        architecture: What messages call it.
        image_size: Side of the image; by default what it is made for.

    Raises:
        ValueError: Where the output is not that of one linear layer that reads features [n, d], or
            the network cannot see such images.
    """
    calls: list[tuple[str, Tensor, Tensor]] = []
    handles = [
        layer.register_forward_hook(
            lambda _, inputs, output, name=name: calls.append((name, inputs[0], output))
        )
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear)
    ]
    try:
        output = _on_blank(network, architecture, image_size)
    finally:
        for handle in handles:
            handle.remove()
    name, features, logits = calls[-1] if calls else ("", None, None)
    if features is None or logits is not output or features.ndim != 2:
        raise ValueError(
            f"'{architecture}' ({type(network).__name__}) cannot be cut into features and a linear "
            "head: its output is not that of one linear layer; choose another architecture"
        )
    return name


def _on_blank(network: nn.Module, architecture: str, image_size: int | None) -> Tensor:
    """What a network, left in training mode, makes of a blank image in evaluation mode."""
    # timm says which size its networks want; all of torchvision's take 224 pixels.
    size = getattr(network, "default_cfg", {}).get("input_size", (3, 224, 224))
    if image_size is not None:
        size = (3, image_size, image_size)
    network.eval()
    try:
        with torch.no_grad():
            return network(torch.zeros(1, *size))
    except (AssertionError, RuntimeError) as error:
        if image_size is None:
            raise
        raise ValueError(
            f"'{architecture}' cannot see images of {image_size} pixels ({_one_line(error)}); "
            "choose another size"
        ) from error
    finally:
        network.train()


def _feature_width(network: nn.Module, architecture: str, image_size: int | None) -> int:
    features = _on_blank(network, architecture, image_size)
    if not isinstance(features, Tensor) or features.ndim != 2:
        raise ValueError(
            f"'{architecture}' ({type(network).__name__}) does not end in features [n, d]; choose "
            "another architecture"
        )
    return features.shape[1]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


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
