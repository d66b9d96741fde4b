"""Digits: scikit-learn's handwritten digits, enlarged and recoloured over texture.

The only real images here. Each is used once at most: the pools hold different scans, not two
renderings of the same ones (though scans of one writer may be in both).
"""

import functools

import numpy as np

from distillweighted.tasks.embedded.canvas import (
    blend,
    draw_colour_pairs,
    draw_pose,
    object_coordinates,
    per_image,
    photograph,
    smooth_fields,
)
from distillweighted.tasks.embedded.draws import named_generator
from distillweighted.tasks.embedded.glyphs import sample_tiles

HARDNESS = 0.55

TRAIN_IMAGES_PER_DIGIT = 110
_MARGIN = 2


@functools.cache
def _scans() -> tuple[np.ndarray, np.ndarray]:
    """Returns the scans with an empty margin, float64 [1797, 12, 12] in 0 to 1, and labels."""
    from sklearn.datasets import load_digits  # a slow import, needed by this task only

    bunch = load_digits()
    margin = ((0, 0), (_MARGIN, _MARGIN), (_MARGIN, _MARGIN))
    return np.pad(bunch.images / 16.0, margin), bunch.target.astype(np.int64)


def choose_scans(pool: str, seed: int) -> np.ndarray:
    """Lists the scans of a pool in the order in which images use them.

    The split into pools is the same for every seed. The order takes one scan of each digit in
    turn, shuffled, so that any leading part is as balanced as the scans allow.

    Returns:
        int64 [1100] for "train", [697] for "test", positions in scikit-learn's data.
    """
    _, digits = _scans()
    split_rng = named_generator("digits", "pools")
    order_rng = named_generator("digits", "order", pool, seed)
    queues = []
    for digit in range(10):
        of_digit = split_rng.permutation(np.flatnonzero(digits == digit))
        cut = TRAIN_IMAGES_PER_DIGIT
        queues.append(order_rng.permutation(of_digit[:cut] if pool == "train" else of_digit[cut:]))
    chosen = []
    for turn in range(max(len(queue) for queue in queues)):
        left = [queue[turn] for queue in queues if turn < len(queue)]
        chosen.append(order_rng.permutation(left))
    return np.concatenate(chosen)


def digit_labels(scans: np.ndarray) -> np.ndarray:
    """Returns the digit, int64, on each scan."""
    return _scans()[1][scans]


def render(scans: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    """Draws one image a scan.

    Args:
        scans: int64 [n], positions in scikit-learn's data.

    Returns:
        uint8 [n, size, size, 3].
    """
    h, n = HARDNESS, len(scans)
    tiles = _scans()[0][scans]
    pose = draw_pose(
        rng, n, rotation=0.3 * h, scale=(0.8, 1.1), shear=0.2 * h, aspect=0.15, shift=0.2 * h
    )
    u, v = object_coordinates(rng, pose, size, warp=0.04 * h)
    centre = (tiles.shape[1] - 1) / 2
    ink = sample_tiles(tiles, u * 5.0 + centre, v * 5.0 + centre)
    paper, pen = draw_colour_pairs(rng, n, (0.55 - 0.33 * h, 0.8))
    images = blend(paper, pen, ink)
    grain = smooth_fields(rng, n, size, 9) * per_image(rng.uniform(0.0, 0.3 * h, n))
    images += (grain * (1 - ink))[..., None]
    return photograph(rng, images, light=0.25, cast=0.1, exposure=0.05, noise=0.08 * h)
