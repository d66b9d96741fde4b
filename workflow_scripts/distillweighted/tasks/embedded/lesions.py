"""Lesions: pigmented spots on skin, told apart by border, colour and inner structure.

The outline of each spot is drawn anew: a class is a statistic of the spot (how ragged, how
blurred, how many hues, how many globules, a ring or not), not one shape.
"""

from dataclasses import dataclass

import numpy as np

from distillweighted.tasks.embedded.canvas import (
    angular_harmonics,
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

_HARMONICS = 9


@dataclass(frozen=True)
class LesionClasses:
    """What defines the classes of one task, every entry [classes], levels in 0 to 1.

    Attributes:
        raggedness: how far the border departs from an ellipse.
        blur: how slowly the pigment fades out.
        variegation: how much the hue changes inside.
        globules: how dark the globules inside are.
        ring: brightness of the rim relative to the middle, -0.5 to 0.5.
        redness: hue of the pigment, from brown to red.
    """

    raggedness: np.ndarray
    blur: np.ndarray
    variegation: np.ndarray
    globules: np.ndarray
    ring: np.ndarray
    redness: np.ndarray


def define_classes(num_classes: int, rng: np.random.Generator) -> LesionClasses:
    """Draws the levels of each class, evenly spread."""
    levels = spread_levels(rng, num_classes, 6)
    return LesionClasses(
        raggedness=levels[:, 0],
        blur=levels[:, 1],
        variegation=levels[:, 2],
        globules=levels[:, 3],
        ring=levels[:, 4] - 0.5,
        redness=levels[:, 5],
    )


def render(
    classes: LesionClasses, labels: np.ndarray, rng: np.random.Generator, size: int
) -> np.ndarray:
    """Draws one spot a label.

    Args:
        labels: int64 [n].

    Returns:
        uint8 [n, size, size, 3].
    """
    h, n = HARDNESS, len(labels)

    def level(values: np.ndarray) -> np.ndarray:
        return values[labels] + rng.normal(0.0, 0.16 * h, n)

    pose = draw_pose(
        rng, n, rotation=np.pi, scale=(0.7, 1.35), shear=0.2, aspect=0.3, shift=0.3 * h
    )
    u, v = object_coordinates(rng, pose, size, warp=0.04)
    radius, harmonics = angular_harmonics(u, v, _HARMONICS)
    order = np.arange(1, _HARMONICS + 1, dtype=np.float64)
    amount = 0.02 + 0.12 * np.maximum(level(classes.raggedness), 0.0)
    coefficients = rng.standard_normal((n, _HARMONICS, 2)) * order[:, None] ** -0.3
    coefficients[:, 0] = 0.0
    outline = 0.5 * radial_outline(harmonics, coefficients * amount[:, None, None])
    softness = 0.06 + 0.35 * np.maximum(level(classes.blur), 0.0)
    pigment = np.clip(0.5 + (outline - radius) / per_image(softness), 0.0, 1.0)

    tone = rng.uniform(0.45, 0.9, n)
    skin = tone[:, None] * np.array([1.0, 0.8, 0.7]) + rng.normal(0.0, 0.05, (n, 3))
    red = np.clip(level(classes.redness), 0.0, 1.0)[:, None]
    brown, crimson = np.array([0.42, 0.26, 0.14]), np.array([0.55, 0.14, 0.16])
    mole = brown + red * (crimson - brown) + rng.normal(0.0, 0.06, (n, 3))
    mole = mole * rng.uniform(0.7, 1.3, (n, 1)) * tone[:, None]

    inside = np.broadcast_to(mole[:, None, None, :], (n, size, size, 3)).copy()
    hue = per_image(0.22 * np.maximum(level(classes.variegation), 0.0)) * smooth_fields(
        rng, n, size, 4
    )
    inside += hue[..., None] * np.array([0.6, 0.2, -0.4])
    globules = np.clip(2.0 * smooth_fields(rng, n, size, 11) - 0.8, 0.0, 1.0)
    inside -= (globules * per_image(0.6 * np.maximum(level(classes.globules), 0.0)))[..., None]
    rim = np.exp(-(((radius / outline - 0.8) / 0.2) ** 2))
    inside += (rim * per_image(0.7 * level(classes.ring)))[..., None]

    grain = smooth_fields(rng, n, size, 8) * per_image(rng.uniform(0.0, 0.08 * h, n))
    images = skin[:, None, None, :] + grain[..., None]
    images = images + pigment[..., None] * (inside - images)
    has_hair = rng.random(n) < 0.5
    hair = draw_strokes(rng, n, size, width=0.02) * per_image(has_hair * 0.7)
    images = images * (1 - hair[..., None])
    return photograph(rng, images, light=0.3, cast=0.15, exposure=0.08, noise=0.1 * h)
