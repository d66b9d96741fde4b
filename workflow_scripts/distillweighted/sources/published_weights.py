"""Weights that others trained: the PARC model bank's and torchvision's, as `Classifier`s.

Files are opened with torch's restricted unpickler, so that a file that names any code is refused.
Every other way in which a file does not fit is an error too, which names the file.

Sources: PARC's `utils.load_source_model` (https://github.com/dbolya/parc) for the bank's layout,
torchvision's model files for the rest.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distillweighted.networks.architectures import TORCHVISION, suggest
from distillweighted.networks.classifier import (
    Classifier,
    build_network,
    find_head,
    split_head,
)
from distillweighted.sources.catalogues import torchvision_weights
from distillweighted.sources.state_files import CheckpointError, read_state
from distillweighted.tasks.published_statistics import IMAGENET

BANK_ARCHITECTURES = ("alexnet", "googlenet", "resnet18", "resnet50")
"""The architectures of the PARC model bank."""

IMAGENET_CLASSES = 1000
WEIGHTS = "IMAGENET1K_V1"
"""Which of torchvision's published weights: the first, which are those of the paper's time."""

# torchvision's weights of these come from TensorFlow, and the network that it gives with them turns
# ImageNet's normalisation into this one (`transform_input`).
_OTHER_STATISTICS = dict.fromkeys(("googlenet", "inception_v3"), ((0.5,) * 3, (0.5,) * 3))


def load_parc_checkpoint(path: Path, architecture: str, num_classes: int) -> Classifier:
    """Load a source of the PARC model bank, `models/<architecture>/<architecture>_<dataset>.pth`.

    Names may have the prefix `module.`, the weights may lie in a dictionary under `state_dict`, and
    auxiliary classifiers are dropped.

    Args:
        path: The file.
        architecture: Name of a torchvision classifier.
        num_classes: Outputs that the source has; 21 for VOC2007, whose first is the background.

    Returns:
        The model, float32, in training mode, on the CPU.

    Raises:
        CheckpointError: Where the file cannot be read, is not safe, or does not fit.
    """
    return _load(Path(path), architecture, num_classes)


def load_torchvision_weights(
    path: Path, architecture: str, *, image_size: int | None = None
) -> Classifier:
    """Load weights that torchvision publishes (ImageNet, 1000 classes).

    Args:
        path: The file, from `torchvision_weights_url`.
        architecture: Name of a torchvision classifier.
        image_size: Side of the images that it sees, where it is made for one size.

    Returns:
        The model, float32, in training mode, on the CPU. Its inputs are to be normalised with
        `imagenet_statistics(architecture)`.

    Raises:
        CheckpointError: Where the file cannot be read, is not safe, or does not fit.
    """
    return _load(Path(path), architecture, IMAGENET_CLASSES, image_size)


def torchvision_weights_url(architecture: str) -> str:
    """Where torchvision publishes an architecture's first ImageNet weights (IMAGENET1K_V1).

    Raises:
        ValueError: Where torchvision has no such weights.
    """
    return _published(architecture).url


def imagenet_statistics(
    architecture: str | None = None,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation, by channel and in 0..1, to normalise ImageNet models' inputs.

    Args:
        architecture: The architecture whose torchvision weights are used: a few were trained with
            other statistics, GoogLeNet among them. By default the usual ones.

    Raises:
        ValueError: Where torchvision has no such weights.
    """
    if architecture is None:
        return IMAGENET
    if architecture in _OTHER_STATISTICS:
        return _OTHER_STATISTICS[architecture]
    transforms = _published(architecture).transforms()
    return tuple(transforms.mean), tuple(transforms.std)


def _published(architecture: str):
    from torchvision.models import get_model_weights

    try:
        return get_model_weights(architecture)[WEIGHTS]
    except (KeyError, ValueError):
        raise ValueError(
            f"torchvision publishes no {WEIGHTS} weights of '{architecture}'; choose another "
            "architecture"
        ) from None


def torchvision_input(
    name: str, size: int | None = None
) -> tuple[tuple[float, ...], tuple[float, ...], dict[str, Any]]:
    """Mean, standard deviation and `input` (see `batches.model_inputs`) of torchvision's weights.

    Args:
        name: Weights as in ResNet50_Weights.IMAGENET1K_V2, or an architecture for its first ones.
        size: Side of the images, in pixels; None for that of torchvision's own transform.
    """
    from torchvision.models import get_model_weights, get_weight

    if name in TORCHVISION:
        published = get_model_weights(name)
        weights = (
            next(iter(published)) if WEIGHTS not in published.__members__ else published[WEIGHTS]
        )
        architecture = name
    else:
        weights = get_weight(name)
        architecture = torchvision_weights()[name]["architecture"]
    transforms = weights.transforms()
    (crop,), (shorter,) = transforms.crop_size, transforms.resize_size
    side = size or crop
    seen = {
        "size": side,
        "shorter_side": round(side * shorter / crop),
        "interpolation": transforms.interpolation.value,
        "mode": "center",
    }
    usual = (tuple(transforms.mean), tuple(transforms.std))
    return *_OTHER_STATISTICS.get(architecture, usual), seen


def _load(
    path: Path, architecture: str, num_classes: int, image_size: int | None = None
) -> Classifier:
    if architecture not in TORCHVISION:
        hint = suggest(architecture, TORCHVISION)
        raise CheckpointError(f"{path}: torchvision has no classifier '{architecture}'{hint}")
    state = read_state(path)
    network = build_network(architecture, num_classes, seed=0, image_size=image_size)
    head = find_head(network, architecture, image_size if image_size != 224 else None)
    copy_weights(state, network, head, f"{path}: its weights do not fit {architecture}")
    return split_head(network, head)


def copy_weights(
    state: OrderedDict[str, Tensor], network: nn.Module, head: str | None, complaint: str
) -> None:
    """Put weights into a network by name.

    Args:
        state: The weights.
        network: The network.
        head: Name of the linear layer that makes its output; None where it has none.
        complaint: What a message begins with: the file, and what it does not fit.

    Raises:
        CheckpointError: Where they do not fit or are not finite; says which.
    """
    own = network.state_dict()
    differing = [
        name for name, value in state.items() if name in own and not _alike(value, own[name])
    ]
    fitting = OrderedDict(item for item in state.items() if item[0] not in differing)
    fitting._metadata = state._metadata
    try:
        missing, foreign = network.load_state_dict(fitting, strict=False)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{complaint}: {reason[:200]}; get another file") from None
    # Files from before torch 0.4.1 lack this counter, which nothing here reads.
    missing = [n for n in missing if n not in differing and not n.endswith("num_batches_tracked")]
    problems = []
    if missing:
        problems.append(f"{len(missing)} are missing, such as '{missing[0]}'")
    if foreign:
        problems.append(f"{len(foreign)} are unknown, such as {foreign[0]!r:.80}")
    rows = set() if head is None else {f"{head}.weight", f"{head}.bias"}
    outputs, wanted = (_outputs(weights, head) for weights in (state, own))
    if not problems and differing and set(differing) <= rows and outputs != wanted:
        raise CheckpointError(
            f"{complaint} with {wanted} classes: they have {outputs}; give the number of classes "
            "of the data set that they were trained on, or another file"
        )
    if differing:
        name = differing[0]
        problems.append(
            f"{len(differing)} are of other shapes or types, such as '{name}' "
            f"({_describe(state[name])}, not {_describe(own[name])})"
        )
    if problems:
        raise CheckpointError(f"{complaint}: {'; '.join(problems)}; {_advice(state)}")
    check_finite(network, complaint)


def check_finite(network: nn.Module, complaint: str) -> None:
    """See whether all weights of a network are finite.

    Raises:
        CheckpointError: Where one is not; begins with the complaint.
    """
    for name, value in network.state_dict().items():
        if not bool(value.isfinite().all()):
            raise CheckpointError(
                f"{complaint}: '{name}' has values that are not finite; its training failed or the "
                "file is damaged: get it again or leave this source out"
            )


def _alike(value: Tensor, other: Tensor) -> bool:
    same_kind = value.is_floating_point() == other.is_floating_point() and not value.is_complex()
    return same_kind and value.shape == other.shape


def _describe(value: Tensor) -> str:
    return f"{'x'.join(map(str, value.shape)) or 'one number'} {str(value.dtype)[6:]}"


def _outputs(state: Mapping[str, Tensor], head: str) -> int | None:
    weight = state.get(f"{head}.weight")
    return None if weight is None or weight.ndim == 0 else len(weight)


def _advice(state: Mapping[str, Tensor]) -> str:
    """What to do with weights that do not fit: name their architecture where it is known."""
    for architecture in BANK_ARCHITECTURES:
        with torch.device("meta"):
            network = build_network(architecture, 1, seed=0)
        head = [n for n, layer in network.named_modules() if isinstance(layer, nn.Linear)][-1]
        if _shapes(network.state_dict(), head) == _shapes(state, head):
            return f"they look like {architecture}: name that architecture, or get another file"
    return "get the file again, or name the architecture that it was saved from"


def _shapes(state: Mapping[str, Tensor], head: str) -> dict[str, tuple[int, ...]]:
    """Shapes by name, without the number of outputs."""
    return {
        name: tuple(value.shape[1 if name.startswith(f"{head}.") else 0 :])
        for name, value in state.items()
        if not name.endswith("num_batches_tracked")
    }
