"""Which images and classes an own task has, found without decoding any of them."""

from __future__ import annotations

import functools
import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from distillweighted.tasks.own.folders import find_in_folders
from distillweighted.tasks.own.found import Flaw, Found, OwnImage, count, printable, some
from distillweighted.tasks.own.spec import PARTS, OwnTaskSpec
from distillweighted.tasks.own.table import find_in_table

FEWEST_LABELED = 2
"""Labelled training images that every class needs."""


@dataclass(frozen=True)
class Scan:
    """What there is of an own task."""

    images: tuple[OwnImage, ...]
    """All images, by part (in the order of `PARTS`) and name."""

    classes: tuple[str, ...]
    """Names of the classes, sorted; a label is the place in them."""

    flaws: tuple[Flaw, ...]
    """What is wrong: the key of the task's entry, and why; such a task cannot be prepared."""

    notes: tuple[str, ...]
    """What a person may want to know, such as files that were passed over."""

    def of(self, part: str) -> list[OwnImage]:
        """The images of a part."""
        return [image for image in self.images if image.part == part]

    @property
    def given_test(self) -> bool:
        """Whether there is a test part; otherwise one is carved out of the labelled images."""
        return any(image.part == "test" for image in self.images)

    def state(self) -> str:
        """A fingerprint of the images' names, files, labels, sizes and times; reads none of them.

        What lies beside the images does not count: systems change that by themselves.
        """
        digest = hashlib.sha256()
        for image in self.images:
            try:
                stat = os.stat(image.path)
                facts = f"{stat.st_size}\x1f{stat.st_mtime_ns}"
            except OSError:
                facts = ""
            line = f"{image.name}\x1f{image.part}\x1f{image.label}\x1f{facts}\n"
            digest.update(line.encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


@functools.cache
def scan_own_task(spec: OwnTaskSpec) -> Scan:
    """What there is of an own task; looked up once a process (`scan_own_task.cache_clear`)."""
    found = find_in_folders(spec) if spec.table is None else find_in_table(spec)
    images = sorted(found.images, key=lambda image: (PARTS.index(image.part), image.name))
    classes = {image.label for image in images if image.part == "labeled"}
    if not found.flaws:
        found.flaws += _class_flaws(spec, found)
        found.notes += _class_notes(found)
    return Scan(tuple(images), tuple(sorted(classes)), tuple(found.flaws), tuple(found.notes))


def planned_sizes(scan: Scan, fraction: float) -> dict[str, int]:
    """How many images each pool gets, of a task that nothing has to be left out of."""
    carved = 0
    if not scan.given_test:
        counts = Counter(image.label for image in scan.of("labeled"))
        carved = sum(carved_count(number, fraction) for number in counts.values())
    test = carved or len(scan.of("test"))
    return {
        "train_images": len(scan.of("labeled")) + len(scan.of("unlabeled")) - carved,
        "test_images": test,
    }


def carved_count(images: int, fraction: float) -> int:
    """How many of a class's images are carved out for testing; 0 where it has too few."""
    return max(0, min(images - FEWEST_LABELED, max(1, round(images * fraction))))


def _class_flaws(spec: OwnTaskSpec, found: Found) -> Iterator[Flaw]:
    labeled, test = (
        Counter(image.label for image in found.images if image.part == part)
        for part in ("labeled", "test")
    )
    key = "labeled" if spec.table is None else "table"
    if len(labeled) < 2:
        have = f", and there is only {printable(next(iter(labeled)))}" if labeled else ""
        yield Flaw(key, f"a task needs two classes with labelled images{have}")
    fewest = FEWEST_LABELED if test else FEWEST_LABELED + 1
    few = [f"{printable(name)} ({n})" for name, n in sorted(labeled.items()) if n < fewest]
    if few:
        way = "" if test else ", give test images,"
        reason = "" if test else f": one for testing and {FEWEST_LABELED} for training"
        yield Flaw(
            key,
            f"{count(len(few), 'class has', 'classes have')} too few labelled images, "
            f"{some(few)}, where each needs {fewest}{reason}; add images{way} or remove the class",
        )
    alone = sorted(test.keys() - labeled.keys())
    if alone:
        yield Flaw(
            "test" if spec.table is None else "table",
            f"{count(len(alone), 'class is', 'classes are')} only in the test part: "
            f"{some(map(printable, alone))}; label images of it for training, or remove it there",
        )


def _class_notes(found: Found) -> Iterator[str]:
    labeled, test = (
        {image.label for image in found.images if image.part == part}
        for part in ("labeled", "test")
    )
    if test and (untested := sorted(labeled - test)):
        names = some(map(printable, untested))
        yield f"{count(len(untested), 'class has', 'classes have')} no test image: {names}"
