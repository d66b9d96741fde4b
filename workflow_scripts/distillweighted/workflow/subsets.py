"""Random subsets of the sources that may serve a target, each within the next larger one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from distillweighted.seeds import derive_seed


def drawn_sources(names: Sequence[str], target: str, seed: int, size: int) -> list[str]:
    """The first sources of a random order, the same for every size.

    Args:
        names: Names of the sources that may serve the target, in any order.
        target: The target.
        seed: The seed of a replicate; each has an order of its own.
        size: How many, 1 to all.

    Returns:
        Names, sorted.

    Raises:
        ValueError: There are not so many.
    """
    if not 1 <= size <= len(names):
        raise ValueError(f"{size} of {len(names)} sources cannot be drawn")
    rng = np.random.default_rng(derive_seed(seed, target, "order of sources"))
    order = rng.permutation(len(names))
    return sorted(np.array(sorted(names), object)[order[:size]].tolist())
