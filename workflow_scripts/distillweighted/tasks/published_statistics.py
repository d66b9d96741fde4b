"""Mean and standard deviation, by channel, in 0..1, that published models were trained with."""

from __future__ import annotations

Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Mean and standard deviation."""

IMAGENET: Statistics = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""torchvision's, and the PARC code's for all data sets but CIFAR-10."""

CIFAR10: Statistics = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
"""The PARC code's for CIFAR-10."""


def training_statistics(task: str) -> Statistics:
    """What the PARC bank's models of a task were trained with."""
    return CIFAR10 if task == "cifar10" else IMAGENET
