"""Reproducible random draws: stable seeds, balanced labels and spread-out class parameters.

Everything random in the embedded benchmark comes from a generator that is named by text and
integers. The name is digested with SHA-256, since Python's own `hash` of a string differs from
one process to the next.
"""

import hashlib

import numpy as np

CHUNK_ROWS = 256
"""Images are drawn in chunks of this many rows, each with its own generator.

A chunk is always drawn whole, and cut afterwards, so that the first rows of a large pool equal
the rows of a small one.
"""


def named_generator(*name: str | int) -> np.random.Generator:
    """Returns the generator that belongs to a name, the same in every process.

    Args:
        name: texts and integers that say what is drawn, such as `("species_a", "train", 3)`.
    """
    digest = hashlib.sha256(repr(name).encode()).digest()
    words = np.frombuffer(digest, dtype="<u4")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([int(w) for w in words])))


def balanced_labels(num_images: int, num_classes: int, rng: np.random.Generator) -> np.ndarray:
    """Draws shuffled labels whose counts differ by one at most.

    Every run of `num_classes` rows holds each class once, so that any leading part of the labels
    is balanced too.

    Returns:
        int64 [num_images] in 0 to num_classes - 1.
    """
    num_blocks = -(-num_images // num_classes)
    blocks = [rng.permutation(num_classes) for _ in range(num_blocks)]
    return np.concatenate(blocks)[:num_images].astype(np.int64)


def spread_levels(rng: np.random.Generator, num_classes: int, num_parameters: int) -> np.ndarray:
    """Draws class parameters as a Latin hypercube: each one takes evenly spread levels.

    Independent draws would now and then give two classes nearly the same parameters, which would
    make the difficulty of a task a matter of its seed.

    Returns:
        float64 [num_classes, num_parameters] in (0, 1).
    """
    levels = np.stack([rng.permutation(num_classes) for _ in range(num_parameters)], axis=1)
    return (levels + rng.uniform(0.25, 0.75, size=levels.shape)) / num_classes
