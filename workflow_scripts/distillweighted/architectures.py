"""Names of the architectures, known without importing torch (see `models` for the networks)."""

from __future__ import annotations

EMBEDDED = {
    "convnet_tiny": "student: three dense 3x3 convolutions, one fully connected layer",
    "alexnet_tiny": "source: convolutions without normalisation, two fully connected layers",
    "googlenet_tiny": "source: torchvision's Inception blocks, few channels",
    "resnet18_tiny": "source: torchvision's basic residual blocks, few channels",
    "resnet50_tiny": "source: torchvision's bottleneck residual blocks, few channels",
}
"""The embedded benchmark's architectures: small members of the paper's four source families."""


def known_architectures() -> list[str]:
    """All names that a configuration may use."""
    return sorted(EMBEDDED)
