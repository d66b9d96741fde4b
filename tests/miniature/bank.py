"""A miniature of the PARC model bank: the real architectures with random weights.

The files are as large as the real ones (AlexNet: 244 MB), so write few.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from distillweighted.seeds import derive_seed
from distillweighted.tasks.published_statistics import IMAGENET

from .pictures import make_picture

IMAGENET_CLASSES = 1000


def write_bank(
    models_root: Path,
    *,
    architectures: Sequence[str],
    class_counts: Mapping[str, int],
    seed: int = 0,
) -> dict[str, Path]:
    """Write `models/<architecture>/<architecture>_<dataset>.pth`, as PARC's `DataParallel` did.

    Args:
        models_root: The folder that `models` lies in; created.
        architectures: Names of torchvision classifiers.
        class_counts: Outputs, by data set; PARC's VOC2007 has 21.
        seed: Seed of the weights, which also depend on architecture and data set.

    Returns:
        The files, by `<architecture>_<dataset>`.
    """
    import torch

    files = {}
    for architecture in architectures:
        for dataset, classes in class_counts.items():
            path = models_root / "models" / architecture / f"{architecture}_{dataset}.pth"
            path.parent.mkdir(parents=True, exist_ok=True)
            network = _network(architecture, classes, derive_seed("bank", seed, path.stem))
            torch.save(torch.nn.DataParallel(network).state_dict(), path)
            files[path.stem] = path
    return files


def write_torchvision_weights(
    models_root: Path, architectures: Sequence[str], seed: int = 0
) -> dict[str, Path]:
    """Write `torchvision/<architecture>.pth`, of 1000 classes.

    As published, GoogLeNet's and Inception's hold the auxiliary classifiers too.

    Args:
        models_root: The folder that `torchvision` lies in; created.
        architectures: Names of torchvision classifiers.
        seed: Seed of the weights, which also depend on the architecture.

    Returns:
        The files, by architecture.
    """
    import torch

    files = {}
    for architecture in architectures:
        path = models_root / "torchvision" / f"{architecture}.pth"
        path.parent.mkdir(parents=True, exist_ok=True)
        network = _network(
            architecture,
            IMAGENET_CLASSES,
            derive_seed("torchvision", seed, architecture),
            auxiliary=True,
        )
        torch.save(network.state_dict(), path)
        files[architecture] = path
    return files


def _network(architecture: str, classes: int, seed: int, *, auxiliary: bool = False):
    """A network whose batch normalisation knows its inputs, so that outputs differ by image."""
    import torch
    from torch import nn
    from torchvision.models import get_model

    options = {}
    if architecture in ("googlenet", "inception_v3"):
        options = {"aux_logits": auxiliary, "init_weights": False}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = get_model(architecture, weights=None, num_classes=classes, **options)
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight)
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 1.0
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # sums depend on how many there are
        with torch.no_grad():
            images = _pictures()
            network.train()(images)
            # Outputs of about 1: a deep network's would be so large that its softmax says the same
            # of every image.
            last = [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1]
            last.weight /= network.eval()(images).std()
        torch.set_num_threads(threads)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    return network.train()


def _pictures():
    """Normalised pictures as networks see the miniature data sets', float [16, 3, 224, 224]."""
    import torch

    from distillweighted.batches.normalization import normalize

    pictures = []
    for picture in range(16):
        side = (32, 48, 64, 96)[picture % 4]
        pixels = make_picture("bank", picture // 2, picture, height=side, width=side, seed=0)
        image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
        pictures.append(torch.nn.functional.interpolate(image, size=224, mode="bilinear"))
    return normalize(torch.cat(pictures), *IMAGENET)
