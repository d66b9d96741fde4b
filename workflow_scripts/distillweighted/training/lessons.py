"""What sources teach a student, by their heads: pseudo-labels or features.

Heads own, kmeans and zero_shot are pseudo-labels that inference has stored. Prototypes and linear
probes, which need labels, are made here; so are those of controls, random and shuffled. Features
are the source's own, standardised over the images that are distilled; `losses` says how their loss
is scaled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from distillweighted.errors import DamagedError
from distillweighted.files.tensors import load_tensors
from distillweighted.losses import label_information
from distillweighted.seeds import derive_seed
from distillweighted.similarity.linear_probe import fit_probe
from distillweighted.sources.outputs import load_inference, load_views
from distillweighted.sources.stand_ins import (
    prototype_pseudo_labels,
    random_pseudo_labels,
    standardize,
)
from distillweighted.training.cohort_job import STORED_HEADS


@dataclass(frozen=True)
class Classroom:
    """What a source's lesson depends on besides what it says of the images."""

    num_images: int
    """The target's training images n."""

    labeled_rows: np.ndarray
    """Rows of those with labels [l]."""

    labels: np.ndarray
    """Their classes [l]."""

    classes: Sequence[str]
    """Names of the target's classes [C]."""

    distilled_rows: np.ndarray
    """Rows of the images to distil on."""

    seed: int = 0
    """Seed of random heads and of shuffles."""

    temperature: float = 1.0
    """Of the loss on pseudo-labels."""

    feature_scale: float = 1.0
    """A further factor of the loss on features."""

    def of_views(self, count: int) -> Classroom:
        """The same of so many fixed views of each image, in the order of `FixedViews.places`."""

        def places(rows: np.ndarray) -> np.ndarray:
            return np.concatenate([rows + k * self.num_images for k in range(count)])

        return replace(
            self,
            num_images=count * self.num_images,
            labeled_rows=places(self.labeled_rows),
            labels=np.tile(self.labels, count),
            distilled_rows=places(self.distilled_rows),
        )


@dataclass(frozen=True)
class Lessons:
    """What some sources teach together."""

    targets: Tensor
    """float32 [n, sum C_s]: pseudo-labels and standardised features side by side."""

    sizes: tuple[int, ...]
    """How many columns each has [S]."""

    scales: tuple[float | None, ...] | None
    """What the loss of each that teaches features is multiplied by, else None [S]; None where none
    does."""

    def mixed(self, weights: Sequence[float]) -> Tensor:
        """One label an image, float32 [n, C]: the sources' mean by weights [S] that sum to 1.

        Raises:
            ValueError: Where they do not all teach the same classes.
        """
        if len({*self.sizes}) != 1 or self.scales is not None:
            raise ValueError("only pseudo-labels of the same classes can be mixed")
        parts = self.targets.split(self.sizes, dim=1)
        return sum(alpha * part for alpha, part in zip(weights, parts, strict=True))


def read_lessons(
    heads: Mapping[str, str],
    inference: Mapping[str, Path],
    classroom: Classroom,
    *,
    views: int | None = None,
) -> Lessons:
    """What some sources teach.

    Args:
        heads: What each teaches by, by its name.
        inference: File of each source's outputs.
        classroom: The rest.
        views: Where the files are of so many fixed views of each image, how many; the targets then
            have a row a view.

    Raises:
        ValueError: Where a file is damaged or of other images or views, or a source teaches nothing
            by its head; says which and why.
    """
    lessons, num_images = [], classroom.num_images
    if views is not None:
        classroom = classroom.of_views(views)
    for source, head in heads.items():
        path = inference[source]
        outputs = load_inference(path) if views is None else load_views(path, views)
        _check_rows(path, outputs["pseudo_labels"], num_images, views)
        try:
            own = replace(classroom, seed=derive_seed(classroom.seed, source))
            # A shuffle is the same for all sources: all see the same other image. So are the folds
            # that the strength of a linear probe is chosen by.
            shared = head in ("shuffled", "linear_probe")
            lessons.append(lesson_of(head, outputs, classroom if shared else own))
        except ValueError as error:
            raise ValueError(f"source '{source}' cannot teach by {head}: {error}") from error
    targets, scales = zip(*lessons, strict=True)
    return Lessons(
        torch.from_numpy(np.concatenate(targets, axis=1)),
        tuple(part.shape[1] for part in targets),
        None if set(scales) == {None} else scales,
    )


def lesson_of(
    head: str, outputs: Mapping[str, np.ndarray], classroom: Classroom
) -> tuple[np.ndarray, float | None]:
    """What one source teaches.

    Args:
        head: own, kmeans, zero_shot, prototypes, linear_probe, features, random or shuffled.
        outputs: features float32 [n, d] and pseudo_labels float32 [n, k] of the source.
        classroom: The rest.

    Returns:
        float32 [n, k], pseudo-labels or standardised features, a row an image; and what the loss is
        multiplied by where they are features, else None.

    Raises:
        ValueError: Where it teaches nothing; says why.
    """
    if head in STORED_HEADS:
        return outputs["pseudo_labels"], None
    if head == "prototypes":
        return _prototypes(outputs["features"], classroom), None
    if head == "linear_probe":
        return _linear_probe(outputs["features"], classroom), None
    if head == "features":
        return _features(outputs, classroom)
    if head == "random":
        return _random(outputs, classroom), None
    if head == "shuffled":
        return _shuffled(outputs["pseudo_labels"], classroom), None
    made = ("prototypes", "linear_probe", "features", "random", "shuffled")
    raise ValueError(f"no such head (allowed: {', '.join((*STORED_HEADS, *made))})")


def read_probe_labels(
    path: Path, num_images: int, num_classes: int
) -> tuple[Tensor, tuple[str, ...]]:
    """What a linear probe says of a target's images.

    Args:
        path: File with `pseudo_labels`, and in its facts the probe's `source`.
        num_images: The target's training images n.
        num_classes: Its classes C.

    Returns:
        float32 [n, C], and the source whose features the probe reads, if the file names it.

    Raises:
        ValueError: Where the file is damaged, or of other images or classes.
    """
    arrays, facts = load_tensors(path)
    if "pseudo_labels" not in arrays:
        raise ValueError(f"{path} does not hold the labels of a probe, but {sorted(arrays)}")
    labels = arrays["pseudo_labels"]
    _check_rows(path, labels, num_images)
    if labels.shape != (num_images, num_classes):
        raise ValueError(
            f"{path} holds labels {list(labels.shape)}, not of {num_classes} classes for "
            f"{num_images} images"
        )
    # Not a number is neither.
    if not ((labels >= 0).all() and (np.abs(labels.sum(axis=1) - 1) < 1e-3).all()):
        raise DamagedError(path, "its labels are not probabilities, 0 or more with sum 1")
    return torch.from_numpy(labels), (facts["source"],) if facts.get("source") else ()


def _check_rows(path: Path, values: np.ndarray, num_images: int, views: int | None = None) -> None:
    if len(values) != num_images * (views or 1):
        what = f"{num_images} images" + ("" if views is None else f" in {views} views")
        raise ValueError(f"{path} holds {len(values)} rows for {what}")


def _prototypes(features: np.ndarray, classroom: Classroom) -> np.ndarray:
    labeled = {*classroom.labels.tolist()}
    missing = [name for label, name in enumerate(classroom.classes) if label not in labeled]
    if missing:
        names = ", ".join(map(repr, missing))
        raise ValueError(
            f"no image of class {names} is labelled, and the prototype of a class is the mean of "
            "its labelled images"
        )
    return prototype_pseudo_labels(
        features, classroom.labeled_rows, classroom.labels, len(classroom.classes)
    )


def _linear_probe(features: np.ndarray, classroom: Classroom) -> np.ndarray:
    """What a linear probe says of the target's classes; a class without a label has 0."""
    labeled = features[classroom.labeled_rows]
    num_classes, seed = len(classroom.classes), classroom.seed % 2**32
    return fit_probe(labeled, classroom.labels, num_classes, seed=seed).probabilities(features)


def _features(outputs: Mapping[str, np.ndarray], classroom: Classroom) -> tuple[np.ndarray, float]:
    rows = classroom.distilled_rows
    standardized, varying = standardize(outputs["features"][rows])
    if not varying.any():
        raise ValueError("its features are the same for all images to distil on")
    # The other rows are never asked for.
    targets = np.zeros((classroom.num_images, standardized.shape[1]), np.float32)
    targets[rows] = standardized
    information = label_information(
        torch.from_numpy(outputs["pseudo_labels"][rows]), temperature=classroom.temperature
    )
    return targets, classroom.feature_scale * information


def _random(outputs: Mapping[str, np.ndarray], classroom: Classroom) -> np.ndarray:
    """Pseudo-labels of a random classifier with as many classes as the source's, as sharp."""
    own = outputs["pseudo_labels"].astype(np.float64)
    entropy = float(-(own * np.log(np.maximum(own, 1e-300))).sum(axis=1).mean())
    return random_pseudo_labels(
        outputs["features"], own.shape[1], entropy=entropy, seed=classroom.seed
    )


def _shuffled(pseudo_labels: np.ndarray, classroom: Classroom) -> np.ndarray:
    """Pseudo-labels dealt out anew among the images to distil on."""
    rows = classroom.distilled_rows
    shuffled = pseudo_labels.copy()
    rng = np.random.default_rng(classroom.seed)
    shuffled[rows] = pseudo_labels[rng.permutation(rows)]
    return shuffled
