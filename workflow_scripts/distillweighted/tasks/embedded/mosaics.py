"""Mosaics: patchworks of fields as seen from above, with a palette a class.

Classes come in biomes that share a palette. Within a biome they differ in the shares of its
colours and in structure: number, stretch and shape of the cells, and the paths between them. Light
and haze vary more than the mean colours of a biome's classes do.
"""

from dataclasses import dataclass

import numpy as np

from distillweighted.tasks.embedded.canvas import (
    per_image,
    photograph,
    pixel_grid,
    smooth_fields,
)
from distillweighted.tasks.embedded.draws import spread_levels

HARDNESS = 0.55

_CLASSES_PER_BIOME = 4
_PALETTE_SIZE = 5
_FEWEST_CELLS, _MOST_CELLS = 6, 24
_FAR_AWAY = 1e3


@dataclass(frozen=True)
class MosaicClasses:
    """What defines the classes of one task.

    Attributes:
        palette: [classes, colours, 3], 0 to 1.
        shares: [classes, colours], how much of the land each colour covers; rows sum to 1.
        cells: [classes], mean number of cells.
        stretch: [classes], logarithm of a cell's length over its width.
        squareness: [classes], 0 (Euclidean cells) to 1 (cells of the maximum norm).
        path: [classes], half the width of the paths, in half image widths.
        path_shade: [classes], brightness of the paths relative to the land; negative is darker.
    """

    palette: np.ndarray
    shares: np.ndarray
    cells: np.ndarray
    stretch: np.ndarray
    squareness: np.ndarray
    path: np.ndarray
    path_shade: np.ndarray


def define_classes(num_classes: int, rng: np.random.Generator) -> MosaicClasses:
    """Draws the biomes and the structure of each class."""
    num_biomes = -(-num_classes // _CLASSES_PER_BIOME)
    biome = np.arange(num_classes) // _CLASSES_PER_BIOME
    luminance = rng.permuted(
        np.tile(np.linspace(0.2, 0.75, _PALETTE_SIZE), (num_biomes, 1)), axis=1
    )
    tint = rng.normal(0.0, 0.13, (num_biomes, _PALETTE_SIZE, 3))
    palettes = np.clip(luminance[..., None] + tint, 0.03, 0.97)
    levels = spread_levels(rng, num_classes, 5)
    shares = rng.gamma(1.2, size=(num_classes, _PALETTE_SIZE)) + 0.1
    return MosaicClasses(
        palette=palettes[biome],
        shares=shares / shares.sum(axis=1, keepdims=True),
        cells=_FEWEST_CELLS + (_MOST_CELLS - _FEWEST_CELLS) * levels[:, 0],
        stretch=1.1 * levels[:, 1],
        squareness=levels[:, 2],
        path=0.09 * levels[:, 3],
        path_shade=np.where(levels[:, 4] < 0.5, -0.3, 0.3),
    )


def _nearest_cells(
    classes: MosaicClasses, labels: np.ndarray, rng: np.random.Generator, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Divides each image into cells.

    Returns:
        The index of the cell under each pixel, int64 [n, size, size], and the distance to the
        edge of the cell, about, in half image widths.
    """
    n = len(labels)
    x, y = pixel_grid(size)
    wave = 0.04 * smooth_fields(rng, n, size, 4)
    angle = rng.uniform(0, np.pi, n)
    cos, sin = per_image(np.cos(angle)), per_image(np.sin(angle))
    stretch = per_image(np.exp(0.5 * classes.stretch[labels]))
    u, v = (cos * x + sin * y + wave) / stretch, (cos * y - sin * x + wave) * stretch
    squareness = per_image(classes.squareness[labels])

    count = np.rint(classes.cells[labels] * np.exp(rng.normal(0.0, 0.12, n)))
    count = np.clip(count, 4, _MOST_CELLS)
    seed_x = rng.uniform(-1.25, 1.25, (n, _MOST_CELLS))
    seed_y = rng.uniform(-1.25, 1.25, (n, _MOST_CELLS))
    seed_u = (cos[..., 0] * seed_x + sin[..., 0] * seed_y) / stretch[..., 0]
    seed_v = (cos[..., 0] * seed_y - sin[..., 0] * seed_x) * stretch[..., 0]
    # A cell too many for its image is put where it can own no pixel.
    seed_u[np.arange(_MOST_CELLS) >= count[:, None]] = _FAR_AWAY

    nearest = np.full(u.shape, 2.0 * _FAR_AWAY)
    second = nearest.copy()
    owner = np.zeros(u.shape, dtype=np.int64)
    # Few images at a time: arrays that stay in the processor's cache are twice as fast.
    for start in range(0, n, 16):
        some = slice(start, start + 16)
        for k in range(_MOST_CELLS):
            dx = np.abs(u[some] - per_image(seed_u[some, k]))
            dy = np.abs(v[some] - per_image(seed_v[some, k]))
            euclidean = np.sqrt(dx * dx + dy * dy)
            distance = np.maximum(dx, dy)
            distance -= euclidean
            distance *= squareness[some]
            distance += euclidean
            np.copyto(owner[some], k, where=distance < nearest[some])
            np.minimum(second[some], np.maximum(nearest[some], distance), out=second[some])
            np.minimum(nearest[some], distance, out=nearest[some])
    return owner, 0.5 * (second - nearest)


def render(
    classes: MosaicClasses, labels: np.ndarray, rng: np.random.Generator, size: int
) -> np.ndarray:
    """Draws one patchwork a label.

    Args:
        labels: int64 [n].

    Returns:
        uint8 [n, size, size, 3].
    """
    h, n = HARDNESS, len(labels)
    owner, to_edge = _nearest_cells(classes, labels, rng, size)
    cumulative = np.cumsum(classes.shares[labels], axis=1)
    draw = rng.random((n, _MOST_CELLS))
    colour_of_cell = (draw[:, :, None] > cumulative[:, None, :-1]).sum(axis=2)
    rows = np.arange(n)
    cell_colours = classes.palette[labels][rows[:, None], colour_of_cell]
    cell_colours = cell_colours + rng.normal(0.0, 0.1 * h, cell_colours.shape)
    images = cell_colours[rows[:, None, None], owner]

    path = np.clip((per_image(classes.path[labels]) - to_edge) * size / 2 + 0.5, 0.0, 1.0)
    relief = smooth_fields(rng, n, size, 9) * per_image(rng.uniform(0.0, 0.1 * h, n))
    images += (path * per_image(classes.path_shade[labels]) + relief)[..., None]
    haze = rng.uniform(0.0, 0.8 * h, n)[:, None, None, None]
    images = images * (1 - haze) + haze * rng.uniform(0.3, 0.8, (n, 1, 1, 3))
    return photograph(rng, images, light=0.3, cast=0.45 * h, exposure=0.1, noise=0.1 * h)
