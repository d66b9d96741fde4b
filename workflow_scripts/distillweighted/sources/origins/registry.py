"""Every origin of models by name.

The fingerprint of a loaded model's code counts the module of its own origin, not this table.
"""

from __future__ import annotations

from distillweighted.sources.origins.arrays import ARRAYS
from distillweighted.sources.origins.bank import BANK
from distillweighted.sources.origins.checkpoint import CHECKPOINT
from distillweighted.sources.origins.origin import Origin
from distillweighted.sources.origins.program import PROGRAM
from distillweighted.sources.origins.timm import TIMM
from distillweighted.sources.origins.torchvision import TORCHVISION
from distillweighted.sources.origins.trained import TRAINED

ORIGINS: dict[str, Origin] = {origin.name: origin for origin in (
    TRAINED, BANK, TIMM, TORCHVISION, CHECKPOINT, PROGRAM, ARRAYS,
)}  # fmt: skip
"""Every origin by name."""
