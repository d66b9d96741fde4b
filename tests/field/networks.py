"""Genuine ImageNet networks, and the classes that they name for two photographs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

SEEN: Mapping[tuple[str, str], str] = {
    ("tf_efficientnet_lite0", "china.jpg"): "palace",
    ("tf_efficientnet_lite0", "flower.jpg"): "daisy",
    ("tf_efficientnet_lite1", "china.jpg"): "palace",
    ("tf_efficientnet_lite2", "china.jpg"): "palace",
}
"""The class that a network must name among its first for a photograph of scikit-learn's; a dahlia
is none of ImageNet's classes, and only one of the networks takes it for its relative."""


def rename_weights(weights: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Weights under the names that a network has for them, matched by order and shape.

    Raises:
        ValueError: Where their number or shapes differ.
    """
    places = network.state_dict()
    shapes = [tuple(tensor.shape) for tensor in weights.values()]
    if shapes != [tuple(tensor.shape) for tensor in places.values()]:
        raise ValueError(f"{len(weights)} weights do not fit the {len(places)} of the network")
    return dict(zip(places, weights.values()))


def load_network(architecture: str, file: Path) -> nn.Module:
    """A network of timm with weights that another library saved, for inference.

    Args:
        architecture: What timm calls it.
        file: The weights, read without unpickling code.
    """
    import timm

    network = timm.create_model(architecture)
    weights = torch.load(file, map_location="cpu", weights_only=True)
    network.load_state_dict(rename_weights(weights, network))
    return network.eval()


def save_network(network: nn.Module, path: Path) -> None:
    """Write a network's weights as safetensors, under its own names."""
    save_file({name: one.contiguous() for name, one in network.state_dict().items()}, path)


def save_random_network(architecture: str, path: Path, *, seed: int) -> None:
    """Write the weights of a network of timm that nobody has trained."""
    import timm

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        save_network(timm.create_model(architecture), path)


@torch.inference_mode()
def name_classes(network: nn.Module, photograph: Path, *, k: int = 3) -> list[tuple[str, float]]:
    """The ImageNet classes that a network of timm sees in a photograph, best first.

    Args:
        network: The network, with timm's own record of its transform.
        photograph: The file.
        k: How many classes.

    Returns:
        Name and probability of each.
    """
    from PIL import Image
    from timm.data import ImageNetInfo, create_transform, resolve_model_data_config

    transform = create_transform(**resolve_model_data_config(network), is_training=False)
    with Image.open(photograph) as image:
        view = transform(image.convert("RGB"))
    top = network(view[None]).softmax(1)[0].topk(k)
    names = ImageNetInfo()
    return [
        (names.index_to_description(index), probability)
        for index, probability in zip(top.indices.tolist(), top.values.tolist())
    ]
