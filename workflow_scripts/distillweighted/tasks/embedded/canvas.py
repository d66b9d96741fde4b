"""Drawing on a batch of small canvases: coordinates, smooth fields, colours, light and noise.

All arithmetic is in float64. Vector instructions differ between processors in the last bit of a
result, and in float64 such a difference does not survive the rounding to 8 bits.
"""

from dataclasses import dataclass

import numpy as np

LUMINANCE = np.array([0.299, 0.587, 0.114])


def pixel_grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the x and y of the pixel centres, each [size, size], from -1 to 1."""
    axis = (np.arange(size) + 0.5) * (2.0 / size) - 1.0
    return np.broadcast_to(axis[None, :], (size, size)), np.broadcast_to(
        axis[:, None], (size, size)
    )


def per_image(values: np.ndarray) -> np.ndarray:
    """Appends two axes to [n], to broadcast a number an image over [n, size, size]."""
    return values[:, None, None]


def smooth_fields(rng: np.random.Generator, n: int, size: int, knots: int) -> np.ndarray:
    """Draws smooth random fields of mean 0 and variance 1, with about `knots` bumps a side.

    Returns:
        float64 [n, size, size].
    """
    lattice = rng.standard_normal((n, knots, knots))
    position = (np.arange(size) + 0.5) * (knots - 1) / size
    weights = np.exp(-(((position[:, None] - np.arange(knots)) / 0.7) ** 2))
    weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True))
    # A loop over a handful of knots instead of a matrix product: no BLAS, so no dependence on
    # its threads.
    rows = sum(weights[None, :, k, None] * lattice[:, None, k, :] for k in range(knots))
    return sum(rows[:, :, None, k] * weights[None, None, :, k] for k in range(knots))


@dataclass(frozen=True)
class Pose:
    """How an object lies in each image, every entry [n]."""

    rotation: np.ndarray
    scale: np.ndarray
    shear: np.ndarray
    aspect: np.ndarray
    shift_x: np.ndarray
    shift_y: np.ndarray


def draw_pose(
    rng: np.random.Generator,
    n: int,
    *,
    rotation: float,
    scale: tuple[float, float],
    shear: float,
    aspect: float,
    shift: float,
) -> Pose:
    """Draws poses: symmetric uniform ranges, `aspect` being the logarithm of a stretch."""
    return Pose(
        rotation=rng.uniform(-rotation, rotation, n),
        scale=rng.uniform(*scale, n),
        shear=rng.uniform(-shear, shear, n),
        aspect=np.exp(rng.uniform(-aspect, aspect, n)),
        shift_x=rng.uniform(-shift, shift, n),
        shift_y=rng.uniform(-shift, shift, n),
    )


def object_coordinates(
    rng: np.random.Generator, pose: Pose, size: int, *, warp: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the object's own x and y under each pixel, each [n, size, size].

    Args:
        warp: standard deviation of a smooth displacement, in half image widths.
    """
    n = len(pose.rotation)
    x, y = pixel_grid(size)
    x = x - per_image(pose.shift_x) + warp * smooth_fields(rng, n, size, 4)
    y = y - per_image(pose.shift_y) + warp * smooth_fields(rng, n, size, 4)
    cos = per_image(np.cos(pose.rotation) / pose.scale)
    sin = per_image(np.sin(pose.rotation) / pose.scale)
    u = cos * x + sin * y
    v = cos * y - sin * x
    u = u + per_image(pose.shear) * v
    stretch = per_image(np.sqrt(pose.aspect))
    return u * stretch, v / stretch


def angular_harmonics(
    x: np.ndarray, y: np.ndarray, count: int
) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Returns the radius and the pairs cos(k t), sin(k t) for k = 1 to count, t the angle."""
    radius = np.sqrt(x * x + y * y) + 1e-9
    cos1, sin1 = x / radius, y / radius
    harmonics = [(cos1, sin1)]
    for _ in range(count - 1):
        cos, sin = harmonics[-1]
        harmonics.append((cos * cos1 - sin * sin1, sin * cos1 + cos * sin1))
    return radius, harmonics


def radial_outline(
    harmonics: list[tuple[np.ndarray, np.ndarray]], coefficients: np.ndarray
) -> np.ndarray:
    """Evaluates exp of a Fourier series over the angle: the outline's radius under each pixel.

    Args:
        coefficients: [n, number of harmonics, 2], the cosine and sine parts.
    """
    total = np.zeros_like(harmonics[0][0])
    for k, (cos, sin) in enumerate(harmonics):
        total += per_image(coefficients[:, k, 0]) * cos + per_image(coefficients[:, k, 1]) * sin
    return np.exp(total)


def draw_strokes(rng: np.random.Generator, n: int, size: int, *, width: float) -> np.ndarray:
    """Draws a straight stroke across each image; returns its coverage [n, size, size]."""
    x, y = pixel_grid(size)
    angle = rng.uniform(0, np.pi, n)
    offset = rng.uniform(-0.9, 0.9, n)
    start, length = rng.uniform(-1.2, 0.4, n), rng.uniform(0.5, 1.6, n)
    across = x * per_image(np.cos(angle)) + y * per_image(np.sin(angle)) - per_image(offset)
    along = y * per_image(np.cos(angle)) - x * per_image(np.sin(angle)) - per_image(start)
    beyond = np.maximum(-along, along - per_image(length))
    outside = np.maximum(np.abs(across) - width, beyond)
    return np.clip(0.5 - outside * size / 2, 0.0, 1.0)


def draw_colour_pairs(
    rng: np.random.Generator, n: int, contrast: tuple[float, float], chroma: float = 0.22
) -> tuple[np.ndarray, np.ndarray]:
    """Draws two colours an image, of any hue, whose luminance differs by a drawn contrast.

    Either colour may be the darker one.

    Returns:
        Two arrays [n, 3], about 0 to 1.
    """
    difference = rng.uniform(*contrast, n)
    low = rng.uniform(0.05, np.maximum(0.06, 0.95 - difference))
    swap = rng.random(n) < 0.5
    first = np.where(swap, low, low + difference)
    second = np.where(swap, low + difference, low)
    colours = []
    for luminance in (first, second):
        tint = rng.normal(0.0, chroma, (n, 3))
        tint -= (tint * LUMINANCE).sum(axis=1, keepdims=True)
        # A tint as strong as near black or white allows, so that clipping keeps the contrast.
        room = np.minimum(luminance, 1.0 - luminance)[:, None] / 0.3
        colours.append(luminance[:, None] + tint * np.clip(room, 0.0, 1.0))
    return colours[0], colours[1]


def blend(first: np.ndarray, second: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Mixes two colours [n, 3] by an amount [n, size, size]; returns [n, size, size, 3]."""
    return first[:, None, None, :] + amount[..., None] * (second - first)[:, None, None, :]


def photograph(
    rng: np.random.Generator,
    images: np.ndarray,
    *,
    light: float,
    cast: float,
    exposure: float,
    noise: float,
) -> np.ndarray:
    """Takes a picture: uneven light, a colour cast, an exposure, sensor noise, 8 bits.

    Args:
        images: float64 [n, size, size, 3], about 0 to 1.
        light: strength of an illumination gradient.
        cast: range of the gain of each colour channel.
        exposure: range of the brightness offset.
        noise: largest standard deviation of the noise; each image draws its own.

    Returns:
        uint8 [n, size, size, 3].
    """
    n, size = images.shape[:2]
    x, y = pixel_grid(size)
    slope_x, slope_y = rng.uniform(-light, light, (2, n))
    gradient = 1.0 + per_image(slope_x) * x + per_image(slope_y) * y
    gain = rng.uniform(1.0 - cast, 1.0 + cast, (n, 3))
    offset = rng.uniform(-exposure, exposure, n)
    strength = rng.uniform(0.2, 1.0, n) * noise
    shot = images * gradient[..., None] * gain[:, None, None, :] + offset[:, None, None, None]
    shot += rng.standard_normal(shot.shape) * strength[:, None, None, None]
    return np.rint(np.clip(shot, 0.0, 1.0) * 255.0).astype(np.uint8)
