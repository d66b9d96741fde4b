"""Models that the workflow trains itself, on all labels of a task."""

from __future__ import annotations

from distillweighted.sources.origins.grid import OPTIONAL, REQUIRED, grid_models
from distillweighted.sources.origins.origin import Origin

TRAINED = Origin(
    "trained", "trained by the workflow", __name__, REQUIRED, OPTIONAL, trained=True,
    models=grid_models,
)  # fmt: skip
