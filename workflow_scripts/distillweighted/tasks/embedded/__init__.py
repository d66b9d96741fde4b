"""The embedded benchmark: image-classification tasks generated on the user's machine.

Nothing is downloaded. Tasks of a family (scripts, species, textures, mosaics, lesions) share a
generator and differ in their classes, so that some sources are similar to a target and most are
not, which is what the paper's method needs. An image is a function of the task, the pool, the
seed and its position alone.
"""

import functools
import types
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from distillweighted.tasks.embedded import (
    digits,
    glyphs,
    lesions,
    mosaics,
    species,
    textures,
)
from distillweighted.tasks.embedded.draws import CHUNK_ROWS, balanced_labels, named_generator
from distillweighted.tasks.embedded.glyph_atlas import SCRIPTS

__all__ = ["TASKS", "EmbeddedTask", "class_names", "generate"]

POOLS = ("train", "test")


@dataclass(frozen=True)
class EmbeddedTask:
    """One task of the benchmark.

    Attributes:
        family: glyphs, species, textures, mosaics, lesions, digits or mixture.
        role: source, target, both, generalist (stands for ImageNet), or development (for choosing
            recipes; none of its classes is in a source or a target).
    """

    name: str
    family: str
    num_classes: int
    role: str
    description: str


_FAMILIES: dict[str, types.ModuleType] = {
    "species": species,
    "textures": textures,
    "mosaics": mosaics,
    "lesions": lesions,
}

_GENERALIST_PARTS = ("symbols", "species_w", "textures_w", "mosaics_w", "lesions_w")

_KINDS = {
    "species": "silhouettes of made-up animals, four species a genus",
    "textures": "band-passed noise through different non-linearities",
    "mosaics": "patchworks of fields from above",
    "lesions": "pigmented spots on skin",
}


def _script(name: str, role: str, what: str) -> EmbeddedTask:
    return EmbeddedTask(name, "glyphs", len(SCRIPTS[name]), role, f"{what}, in up to 16 faces")


def _variant(family: str, letter: str, num_classes: int, role: str) -> EmbeddedTask:
    return EmbeddedTask(f"{family}_{letter}", family, num_classes, role, _KINDS[family])


_PARTS: dict[str, EmbeddedTask] = {
    task.name: task
    for task in (
        _script("symbols", "generalist", "arrows, operators and shapes"),
        _variant("species", "w", 40, "generalist"),
        _variant("textures", "w", 24, "generalist"),
        _variant("mosaics", "w", 16, "generalist"),
        _variant("lesions", "w", 8, "generalist"),
    )
}

TASKS: dict[str, EmbeddedTask] = {
    task.name: task
    for task in (
        _script("latin", "source", "Latin letters"),
        _script("cyrillic", "both", "Cyrillic letters without a Latin look-alike"),
        _script("syllabics", "source", "Canadian Aboriginal syllabics"),
        _variant("species", "a", 48, "source"),
        _variant("textures", "a", 24, "source"),
        _variant("mosaics", "a", 16, "source"),
        _variant("lesions", "a", 8, "source"),
        _script("greek", "target", "Greek letters without a Latin or Cyrillic look-alike"),
        _script("armenian", "target", "Armenian letters"),
        _variant("species", "b", 40, "target"),
        _variant("textures", "b", 12, "target"),
        _variant("mosaics", "b", 8, "target"),
        _variant("lesions", "b", 6, "target"),
        _variant("species", "c", 32, "target"),
        _variant("textures", "c", 16, "target"),
        _variant("mosaics", "c", 12, "target"),
        _variant("lesions", "c", 7, "target"),
        EmbeddedTask("digits", "digits", 10, "target", "real handwritten digits over texture"),
        _script("georgian", "development", "Georgian letters"),
        _variant("species", "d", 36, "development"),
        _variant("mosaics", "d", 10, "development"),
        _variant("lesions", "d", 7, "development"),
        EmbeddedTask(
            "generalist",
            "mixture",
            sum(part.num_classes for part in _PARTS.values()),
            "generalist",
            "symbols, species, textures, mosaics and lesions in one label space",
        ),
    )
}
"""Every task by name."""


def _known_task(name: str) -> EmbeddedTask:
    if name not in TASKS:
        raise ValueError(f"unknown embedded task {name!r}; there are {', '.join(TASKS)}")
    return TASKS[name]


def class_names(name: str) -> tuple[str, ...]:
    """Returns the names of a task's classes, in the order of the labels.

    A class of a script is called by its character, others by task and number, as in
    `species_a_07`. No name occurs in two tasks.

    Raises:
        ValueError: for an unknown task.
    """
    task = _known_task(name)
    if task.family == "mixture":
        return tuple(c for part in _GENERALIST_PARTS for c in _names_of(_PARTS[part]))
    return _names_of(task)


def _names_of(task: EmbeddedTask) -> tuple[str, ...]:
    if task.family == "glyphs":
        return tuple(SCRIPTS[task.name])
    if task.family == "digits":
        return tuple(f"digit_{index}" for index in range(task.num_classes))
    return tuple(f"{task.name}_{index:02d}" for index in range(task.num_classes))


Renderer = Callable[[np.ndarray, np.random.Generator, int], np.ndarray]
"""Maps labels [n], a generator and an image size to uint8 images [n, size, size, 3]."""


@functools.lru_cache(maxsize=64)
def _define_renderer(task: EmbeddedTask, seed: int) -> Renderer:
    """Defines the classes of a task and returns the function that draws images of them."""
    if task.family == "mixture":
        return _define_mixture(seed)
    if task.family == "glyphs":
        return functools.partial(glyphs.render, task.name)
    family = _FAMILIES[task.family]
    rng = named_generator("classes", task.family, task.name, seed)
    return functools.partial(family.render, family.define_classes(task.num_classes, rng))


def _define_mixture(seed: int) -> Renderer:
    parts = [_PARTS[name] for name in _GENERALIST_PARTS]
    renderers = [_define_renderer(part, seed) for part in parts]
    bounds = np.cumsum([0] + [part.num_classes for part in parts])

    def render(labels: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
        images = np.empty((len(labels), size, size, 3), dtype=np.uint8)
        for part, low, high in zip(renderers, bounds[:-1], bounds[1:], strict=True):
            rows = np.flatnonzero((labels >= low) & (labels < high))
            images[rows] = part(labels[rows] - low, rng, size)
        return images

    return render


def generate(
    name: str, *, num_images: int, pool: str, seed: int, image_size: int = 24
) -> tuple[np.ndarray, np.ndarray]:
    """Generates images of a task.

    The result depends on the arguments alone, bit for bit, and a larger `num_images` only adds
    rows. The classes themselves depend on the task and the seed, so that both pools show the
    same ones. Images of the pools are independent draws; for digits, different scans.

    Args:
        name: a key of `TASKS`.
        num_images: at least the number of classes; for digits at most 1,100 in the train pool
            and 697 in the test pool, all that scikit-learn has.
        pool: "train" or "test".
        seed: 0 or more; another seed gives other images and, but for glyphs and digits, other
            classes.
        image_size: side of the square images in pixels.

    Returns:
        Images, uint8 [num_images, image_size, image_size, 3], and labels, int64 [num_images],
        as balanced as possible and shuffled.

    Raises:
        ValueError: for an unknown task or pool, or a number of images that cannot be had.
    """
    task = _known_task(name)
    if pool not in POOLS:
        raise ValueError(f"unknown pool {pool!r} of task {name}; there are {', '.join(POOLS)}")
    if num_images < task.num_classes:
        raise ValueError(
            f"{name} has {task.num_classes} classes; {num_images} images are too few to show each"
        )
    if task.family == "digits":
        subjects = digits.choose_scans(pool, seed)
        if num_images > len(subjects):
            raise ValueError(
                f"digits has {len(subjects)} real images in its {pool} pool, not {num_images};"
                " ask for fewer"
            )
        labels, render = digits.digit_labels(subjects), digits.render
    else:
        label_rng = named_generator("labels", name, pool, seed)
        whole_chunks = -(-num_images // CHUNK_ROWS) * CHUNK_ROWS
        labels = subjects = balanced_labels(whole_chunks, task.num_classes, label_rng)
        render = _define_renderer(task, seed)

    chunks = []
    for start in range(0, num_images, CHUNK_ROWS):
        rng = named_generator("images", name, pool, seed, start)
        chunks.append(render(subjects[start : start + CHUNK_ROWS], rng, image_size))
    return np.concatenate(chunks)[:num_images], labels[:num_images].copy()
