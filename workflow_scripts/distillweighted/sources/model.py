"""What a run knows of a model before it is made or opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

HEADS = ("own", "kmeans", "prototypes", "features", "zero_shot")
"""What a student may learn from a source: the probabilities of its own classifier; of clusters of
its features; of class prototypes of the labelled images; its features themselves; or of class names
whose text embeddings are given."""

NEED_CLUSTERS = ("kmeans", "prototypes", "features")
"""The heads for which inference stores k-means pseudo-labels, so that every source has some."""

NEED_FEATURES = ("prototypes", "features")
"""The heads for which training reads features, not pseudo-labels alone."""


@dataclass(frozen=True)
class Model:
    """A model that somebody trained, on a task of its own. Builtins only: jobs are told some."""

    name: str
    """Its name in paths and tables."""

    architecture: str
    """Its network; what its origin calls it where that is no network of this project's."""

    task: str
    """The task that it was trained on; "" where nobody says."""

    origin: str
    """Where it comes from: a name in `origins.registry.ORIGINS`."""

    num_outputs: int | None
    """Outputs of its classifier: 0 where it has none, None where only its file says."""

    activation: str = "softmax"
    """How its outputs become probabilities: softmax, or sigmoid where it was trained on several
    labels an image."""

    is_source: bool = True
    """Whether it may teach; the others are only started from."""

    head: str = "own"
    """What a student learns from it: one of `HEADS`."""

    reference: str | None = None
    """What its origin calls it, as in resnet18.a1_in1k; None where architecture and task say."""

    file: str | None = None
    """The file that the configuration gives for it."""

    input_size: int | None = None
    """Side in pixels of what it sees, where the configuration says; None for its own."""

    mean: tuple[float, float, float] | None = None
    """Mean that its inputs are normalised with, where the configuration says; None for its own."""

    std: tuple[float, float, float] | None = None
    """Standard deviation that they are normalised with, as `mean`."""

    text: str | None = None
    """File of text embeddings of the classes, for head zero_shot."""

    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Further keys of its origin, as the configuration has them."""
