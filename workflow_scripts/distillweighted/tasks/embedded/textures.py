"""Textures: band-passed noise, some of it oriented, through different non-linearities.

A class is a band (or two), how strongly it is oriented, and a non-linearity. Colours and contrast
are drawn anew for each image and say nothing about the class.
"""

from dataclasses import dataclass

import numpy as np

from distillweighted.tasks.embedded.canvas import (
    blend,
    draw_colour_pairs,
    per_image,
    photograph,
    smooth_fields,
)
from distillweighted.tasks.embedded.draws import spread_levels

HARDNESS = 0.55

NONLINEARITIES = ("plain", "ridges", "islands", "contours", "bumps", "spikes")


@dataclass(frozen=True)
class TextureClasses:
    """What defines the classes of one task, every entry [classes].

    Attributes:
        frequency: centre of the band, cycles an image.
        bandwidth: standard deviation of the band, in natural logarithms of the frequency.
        orientation: direction of the waves, radians.
        directedness: how concentrated the directions are; 0 is none.
        nonlinearity: index into `NONLINEARITIES`.
    """

    frequency: np.ndarray
    bandwidth: np.ndarray
    orientation: np.ndarray
    directedness: np.ndarray
    nonlinearity: np.ndarray


def define_classes(num_classes: int, rng: np.random.Generator) -> TextureClasses:
    """Draws bands and directions, evenly spread, and deals out the non-linearities."""
    levels = spread_levels(rng, num_classes, 4)
    kinds = rng.permutation(np.arange(num_classes) % len(NONLINEARITIES))
    return TextureClasses(
        frequency=2.0 * 3.5 ** levels[:, 0],
        bandwidth=0.15 + 0.35 * levels[:, 1],
        orientation=np.pi * levels[:, 2],
        directedness=np.maximum(0.0, 6.0 * levels[:, 3] - 1.5),
        nonlinearity=kinds,
    )


def _apply_nonlinearity(kind: str, waves: np.ndarray) -> np.ndarray:
    """Maps noise of variance 1 to a pattern in 0 to 1, or nearly."""
    if kind == "plain":
        return 0.5 + 0.22 * waves
    if kind == "ridges":
        return np.clip(1.0 - 1.3 * np.abs(waves), 0.0, 1.0)
    if kind == "islands":
        return np.clip(0.5 + 2.5 * (waves - 0.7), 0.0, 1.0)
    if kind == "contours":
        return 0.5 + 0.5 * np.sin(3.5 * waves)
    if kind == "bumps":
        return np.clip(0.45 * np.maximum(waves, 0.0), 0.0, 1.0)
    return np.clip(0.5 + 0.16 * waves**3, 0.0, 1.0)


def filtered_noise(
    rng: np.random.Generator,
    size: int,
    *,
    frequency: np.ndarray,
    bandwidth: np.ndarray,
    orientation: np.ndarray,
    directedness: np.ndarray,
) -> np.ndarray:
    """Draws noise in a band; parameters are [n], as in `TextureClasses`.

    Returns:
        float64 [n, size, size], each image of mean 0 and variance 1.
    """
    # Twice the image, then cut: the noise of a Fourier transform repeats at its edges.
    side = 2 * size
    fx = np.fft.rfftfreq(side, d=1.0 / size)[None, :]
    fy = np.fft.fftfreq(side, d=1.0 / size)[:, None]
    magnitude = np.sqrt(fx * fx + fy * fy)
    magnitude[0, 0] = 1.0
    cos2, sin2 = (fx * fx - fy * fy) / magnitude**2, 2 * fx * fy / magnitude**2
    band = (np.log(magnitude) - per_image(np.log(frequency))) / per_image(bandwidth)
    aligned = per_image(np.cos(2 * orientation)) * cos2 + per_image(np.sin(2 * orientation)) * sin2
    gain = np.exp(-0.5 * band * band + per_image(directedness) * (aligned - 1.0))
    gain[:, 0, 0] = 0.0
    spectrum = gain * (rng.standard_normal(gain.shape) + 1j * rng.standard_normal(gain.shape))
    noise = np.fft.irfft2(spectrum, s=(side, side))[:, :size, :size]
    noise = noise - noise.mean(axis=(1, 2), keepdims=True)
    return noise / (noise.std(axis=(1, 2), keepdims=True) + 1e-12)


def render(
    classes: TextureClasses, labels: np.ndarray, rng: np.random.Generator, size: int
) -> np.ndarray:
    """Draws one piece of texture a label.

    Args:
        labels: int64 [n].

    Returns:
        uint8 [n, size, size, 3].
    """
    h, n = HARDNESS, len(labels)
    waves = filtered_noise(
        rng,
        size,
        frequency=classes.frequency[labels] * np.exp(rng.normal(0.0, 0.1 * h, n)),
        bandwidth=classes.bandwidth[labels],
        orientation=classes.orientation[labels] + rng.normal(0.0, 0.25 * h, n),
        directedness=classes.directedness[labels],
    )
    pattern = np.empty_like(waves)
    for index, kind in enumerate(NONLINEARITIES):
        rows = classes.nonlinearity[labels] == index
        pattern[rows] = _apply_nonlinearity(kind, waves[rows])
    first, second = draw_colour_pairs(rng, n, (0.5 - 0.4 * h, 0.7))
    images = blend(first, second, pattern)
    stains = smooth_fields(rng, n, size, 4) * per_image(rng.uniform(0.0, 0.15 * h, n))
    images += stains[..., None]
    return photograph(rng, images, light=0.3, cast=0.15, exposure=0.08, noise=0.12 * h)
