"""Every similarity metric by name, with what may be done with it.

Light, so that a plan can be made with it: a metric's module is loaded when it is first called. A
job's fingerprint counts the modules of its metrics, not this table, so that a metric more scores
nothing again.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from distillweighted.similarity.metrics.inputs import Representation

REPRESENTATIONS = ("pseudo_labels", "features")
"""What a source gives of an image: its probabilities, and the input of its last layer."""


@dataclass(frozen=True)
class Metric:
    """A metric: representation [n, d] and labels [n] of the probe in, a number out, larger is
    more similar."""

    name: str
    """Its name in configurations and tables."""

    module: str
    """The module of this folder that holds it."""

    function: str
    """The function of that module."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of the function."""

    representations: tuple[str, ...] = REPRESENTATIONS
    """What it can be computed of."""

    can_weight: bool = True
    """Whether eq. 5 may weight by it as it is: that needs scores above 0 for similar sources."""

    range: str = "[-1, 1]"
    """Where its scores lie; c is the number of classes of the target."""

    @property
    def path(self) -> str:
        """The dotted name of its module."""
        return f"distillweighted.similarity.metrics.{self.module}"

    @property
    def computation(self) -> str:
        """What of this row its values depend on, beside its module's code."""
        return f"{self.module}.{self.function} {sorted(self.options.items())}"

    def load(self) -> Callable[..., float]:
        """The function; its options are not applied."""
        return getattr(importlib.import_module(self.path), self.function)

    def __call__(self, representation: np.ndarray | Representation, labels: np.ndarray) -> float:
        """The similarity of a representation [n, d] to labels, integers [n] or multi-hot [n, c].

        A `Representation` shares between the metrics what they have in common.

        Raises:
            ValueError: Where it does not exist; says why.
        """
        return self.load()(representation, labels, **self.options)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("parc", "parc", "parc"),
        # The public code's ways to compute it, of which any may be what the paper used.
        Metric("parc_standardized", "parc", "parc", {"standardize": True}),
        Metric("parc_pca32", "parc", "parc", {"standardize": True, "pca_dims": 32}),
        Metric("parc_published", "parc", "parc", {"standardize": True, "published_rounding": True}),
        Metric("rsa", "parc", "rsa"),
        Metric("cka", "cka", "cka", range="[0, 1]"),
        Metric("cka_debiased", "cka", "cka", {"debiased": True}),
        # Those of the literature on transferability, which were made to choose what to fine-tune.
        Metric("knn", "knn", "knn", range="[0, 1]"),
        Metric("knn_5", "knn", "knn", {"neighbours": 5}, range="[0, 1]"),
        Metric("leep", "leep", "leep", {}, ("pseudo_labels",), False, "(-inf, 0]"),
        Metric("nce", "leep", "nce", {}, ("pseudo_labels",), False, "[-log c, 0]"),
        Metric("nleep", "nleep", "nleep", {}, ("features",), False, "(-inf, 0]"),
        Metric("h_score", "hscore", "h_score", range="[0, c - 1]"),
        Metric("h_score_shrunk", "hscore", "h_score", {"shrunk": True}, range="[0, c - 1]"),
        Metric("logme", "logme", "logme", can_weight=False, range="(-inf, inf)"),
        Metric("transrate", "transrate", "transrate", range="[0, inf)"),
        Metric("gbc", "gbc", "gbc", can_weight=False, range="[-c (c - 1), 0]"),
        Metric(
            "gbc_spherical",
            "gbc",
            "gbc",
            {"spherical": True},
            can_weight=False,
            range="[-c (c - 1), 0]",
        ),
        Metric("lda", "lda", "lda", range="(0, 1)"),
    )
}
"""Every metric by name."""
