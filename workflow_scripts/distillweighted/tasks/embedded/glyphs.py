"""Glyphs: letters of a script, in many faces, distorted, coloured and cluttered.

The distortions are those of the feasibility study (`HARDNESS` scales them together). At 1.0 a
small network cannot learn the task at 24 pixels.
"""

import numpy as np

from distillweighted.tasks.embedded.canvas import (
    blend,
    draw_colour_pairs,
    draw_pose,
    draw_strokes,
    object_coordinates,
    photograph,
    smooth_fields,
)
from distillweighted.tasks.embedded.glyph_atlas import ATLAS_SIZE, BOX_SIZE, glyph_atlas

HARDNESS = 0.55

_BOX_SPAN = 0.76
"""Half the side of the box around a glyph at scale 1, in half image widths."""


def sample_tiles(tiles: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Reads square tiles at fractional positions, bilinearly; a tile's edge goes on outside it.

    Args:
        tiles: [n, side, side].
        x: columns [n, size, size], in pixels of the tile.
        y: rows, likewise.

    Returns:
        float64 [n, size, size].
    """
    n, side = tiles.shape[:2]
    x = np.clip(x, 0.0, side - 1.001)
    y = np.clip(y, 0.0, side - 1.001)
    column, row = x.astype(np.int64), y.astype(np.int64)
    right, down = x - column, y - row
    flat = tiles.reshape(-1)
    corner = np.arange(n)[:, None, None] * (side * side) + row * side + column
    top = flat[corner] * (1 - right) + flat[corner + 1] * right
    bottom = flat[corner + side] * (1 - right) + flat[corner + side + 1] * right
    return top * (1 - down) + bottom * down


def render(script: str, labels: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    """Draws one image a label.

    Args:
        script: a key of `glyph_atlas.SCRIPTS`.
        labels: int64 [n], positions in the script.

    Returns:
        uint8 [n, size, size, 3].
    """
    h, n = HARDNESS, len(labels)
    atlas = glyph_atlas(script)
    tiles = atlas[labels, rng.integers(atlas.shape[1], size=n)]
    pose = draw_pose(
        rng, n, rotation=0.35 * h, scale=(0.7, 1.15), shear=0.3 * h, aspect=0.2, shift=0.22 * h
    )
    u, v = object_coordinates(rng, pose, size, warp=2 * 0.035 * h)
    to_tile = BOX_SIZE / 2 / _BOX_SPAN
    centre = (ATLAS_SIZE - 1) / 2
    ink = sample_tiles(tiles, u * to_tile + centre, v * to_tile + centre)

    paper, pen = draw_colour_pairs(rng, n, (0.55 - 0.33 * h, 0.8))
    has_clutter = rng.random(n) < 0.6
    clutter = draw_strokes(rng, n, size, width=0.05) * has_clutter[:, None, None]
    images = blend(paper, pen, np.maximum(ink, clutter * 0.8))
    grain = smooth_fields(rng, n, size, 9) * rng.uniform(0, 0.16 * h, n)[:, None, None]
    images += (grain * (1 - ink))[..., None]
    return photograph(rng, images, light=0.25, cast=0.1, exposure=0.05, noise=0.05 * h)
