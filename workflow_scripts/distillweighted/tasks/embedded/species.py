"""Species: silhouettes of made-up animals, fine-grained since a genus shares most of its shape.

An outline is the exponential of a Fourier series over the angle. A genus draws the low terms, a
species of it adds small ones, and the direction and width of the stripes of its coat.
"""

from dataclasses import dataclass

import numpy as np

from distillweighted.tasks.embedded.canvas import (
    angular_harmonics,
    blend,
    draw_colour_pairs,
    draw_pose,
    draw_strokes,
    object_coordinates,
    per_image,
    photograph,
    radial_outline,
    smooth_fields,
)
from distillweighted.tasks.embedded.draws import spread_levels

HARDNESS = 0.55

_SPECIES_PER_GENUS = 4
_HARMONICS = 8


@dataclass(frozen=True)
class SpeciesClasses:
    """What defines the classes of one task.

    Attributes:
        outline: [classes, harmonics, 2], Fourier coefficients of the logarithm of the radius.
        stripe_angle: [classes], radians in the animal's own coordinates.
        stripe_frequency: [classes], radians a half image width.
    """

    outline: np.ndarray
    stripe_angle: np.ndarray
    stripe_frequency: np.ndarray


def define_classes(num_classes: int, rng: np.random.Generator) -> SpeciesClasses:
    """Draws the genera and their species."""
    num_genera = -(-num_classes // _SPECIES_PER_GENUS)
    order = np.arange(1, _HARMONICS + 1, dtype=np.float64)
    # The first harmonic is nearly a shift, which the pose hides: keep it small.
    genus_size = 0.34 * order**-0.6 * (order < 6) * np.where(order == 1, 0.4, 1.0)
    species_size = 0.17 * order**-0.25 * (order > 1)
    genera = rng.standard_normal((num_genera, _HARMONICS, 2)) * genus_size[:, None]
    species = rng.standard_normal((num_classes, _HARMONICS, 2)) * species_size[:, None]
    genus = np.arange(num_classes) // _SPECIES_PER_GENUS
    levels = spread_levels(rng, num_classes, 2)
    return SpeciesClasses(
        outline=genera[genus] + species,
        stripe_angle=np.pi * levels[:, 0],
        stripe_frequency=4.0 + 9.0 * levels[:, 1],
    )


def render(
    classes: SpeciesClasses, labels: np.ndarray, rng: np.random.Generator, size: int
) -> np.ndarray:
    """Draws one animal a label.

    Args:
        labels: int64 [n].

    Returns:
        uint8 [n, size, size, 3].
    """
    h, n = HARDNESS, len(labels)
    pose = draw_pose(
        rng, n, rotation=0.6 * h, scale=(0.75, 1.1), shear=0.2 * h, aspect=0.15, shift=0.2 * h
    )
    u, v = object_coordinates(rng, pose, size, warp=0.05 * h)
    radius, harmonics = angular_harmonics(u, v, _HARMONICS)
    jitter = rng.normal(0.0, 0.06 * h, (n, _HARMONICS, 2))
    outline = 0.58 * radial_outline(harmonics, classes.outline[labels] + jitter)
    body = np.clip((outline - radius) * size / 2.5 + 0.5, 0.0, 1.0)

    angle = classes.stripe_angle[labels] + rng.normal(0.0, 0.2 * h, n)
    frequency = classes.stripe_frequency[labels] * np.exp(rng.normal(0.0, 0.12 * h, n))
    wave = per_image(np.cos(angle)) * u + per_image(np.sin(angle)) * v
    phase = rng.uniform(0, 2 * np.pi, n)
    stripes = np.sin(per_image(frequency) * wave + per_image(phase))

    ground, coat = draw_colour_pairs(rng, n, (0.55 - 0.4 * h, 0.7))
    meadow = smooth_fields(rng, n, size, 7) * per_image(rng.uniform(0.02, 0.22 * h, n))
    has_stem = rng.random(n) < 0.5
    stem = draw_strokes(rng, n, size, width=0.06) * per_image(has_stem * rng.uniform(0.3, 1.0, n))
    images = blend(ground, coat, np.maximum(body, stem * (1 - body)))
    shade = stripes * per_image(rng.uniform(0.04, 0.16, n)) * body
    images += (meadow * (1 - body) + shade)[..., None]
    return photograph(rng, images, light=0.3, cast=0.15, exposure=0.06, noise=0.08 * h)
