"""From a user's own images to a prepared task (see `prepared` for the folder's layout)."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distillweighted.errors import DataError
from distillweighted.files.tables import write_table
from distillweighted.seeds import derive_seed
from distillweighted.tasks.decoding import ordered_map, with_progress
from distillweighted.tasks.own.duplicates import Fingerprint, duplicate_groups, fingerprint
from distillweighted.tasks.own.found import OwnImage, count, printable, some
from distillweighted.tasks.own.images import (
    UnreadableError,
    colour_of,
    large_images,
    read_image,
)
from distillweighted.tasks.own.partition import carve_test
from distillweighted.tasks.own.scan import FEWEST_LABELED, Scan, scan_own_task
from distillweighted.tasks.own.spec import OwnTaskSpec
from distillweighted.tasks.pools import write_ragged
from distillweighted.tasks.prepared import INDEX, POOLS

log = logging.getLogger(__name__)

MOST_NAMED = 20
"""Images that an error names, of those that cannot be read."""


def prepare_own_task(folder: Path, spec: OwnTaskSpec, *, threads: int) -> None:
    """Write a user's own task as a prepared task.

    Args:
        folder: Where to; created.
        spec: The task.
        threads: CPU threads to decode with.

    Raises:
        DataError: Where its images cannot be used; names all of them, or the classes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scan = scan_own_task(spec)
    if scan.flaws:
        raise DataError("\n".join(f"{spec.name}, {key}: {text}" for key, text in scan.flaws))
    for note in scan.notes:
        log.info("%s, %s", spec.name, note)
    # Of which image goes where, duplicates have a say, which are known once all are decoded.
    decoded = folder / "images.partial"
    try:
        with large_images():
            stored = _Stored.of(decoded, scan, spec, threads=threads)
        if stored.broken and spec.broken == "error":
            raise DataError(_broken_message(spec, stored.broken))
        _Preparation(folder, spec, scan, stored).write()
    finally:
        decoded.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Stored:
    """The images that could be read, in one array file, one after the other."""

    path: Path
    images: list[OwnImage]
    bounds: np.ndarray
    """Where each begins and ends, int64 [n + 1]."""
    facts: np.ndarray
    """Heights, widths and checksums, int64 [n, 3]."""
    fingerprints: list[Fingerprint]
    broken: list[tuple[str, str]]
    """Name and reason of each that could not be read."""

    @classmethod
    def of(cls, path: Path, scan: Scan, spec: OwnTaskSpec, *, threads: int) -> _Stored:
        """Decode all images of a scan."""
        images: list[OwnImage] = []
        fingerprints: list[Fingerprint] = []
        broken: list[tuple[str, str]] = []
        background = colour_of(spec.background)

        def read(image: OwnImage) -> tuple[np.ndarray, Fingerprint] | UnreadableError:
            try:
                pixels = read_image(image.path, background=background, side=spec.side)
            except UnreadableError as error:
                return error
            return pixels, fingerprint(pixels)

        def readable() -> Iterator[np.ndarray]:
            decoded = ordered_map(read, scan.images, threads)
            results = with_progress(decoded, len(scan.images), spec.name)
            for image, result in zip(scan.images, results, strict=True):
                if isinstance(result, UnreadableError):
                    broken.append((image.name, str(result)))
                    log.warning("%s cannot be read: %s", printable(image.path), result)
                    continue
                images.append(image)
                fingerprints.append(result[1])
                yield result[0]

        facts = write_ragged(path, readable())
        bounds = np.concatenate([[0], np.cumsum(facts[:, :2].prod(axis=1) * 3)]).astype(np.int64)
        return cls(path, images, bounds, facts, fingerprints, broken)

    def pixels(self, rows: Sequence[int]) -> Iterator[np.ndarray]:
        """The images of some rows, uint8 [h, w, 3]."""
        with open(self.path, "rb") as file:
            header = self.path.stat().st_size - int(self.bounds[-1])
            for row in rows:
                start, end = map(int, self.bounds[row : row + 2])
                file.seek(header + start)
                pixels = np.frombuffer(file.read(end - start), np.uint8)
                yield pixels.reshape(*self.facts[row, :2], 3)


class _Preparation:
    """Puts each image that could be read where it belongs."""

    def __init__(self, folder: Path, spec: OwnTaskSpec, scan: Scan, stored: _Stored):
        self._folder, self._spec, self._scan, self._stored = folder, spec, scan, stored
        images, place = stored.images, {name: i for i, name in enumerate(scan.classes)}
        self._names = [image.name for image in images]
        self._labels = np.array([place.get(image.label, -1) for image in images], np.int64)
        self._left_out = list(stored.broken)
        started = time.monotonic()
        self._groups = duplicate_groups(stored.fingerprints, near=spec.duplicates == "near")
        self._together = [] if spec.duplicates == "allow" else self._groups
        """Groups that stay on one side of the split."""
        log.info(
            "%s: compared %s with each other in %.0f s; %s of duplicates",
            spec.name, count(len(images), "image"), time.monotonic() - started,
            count(len(self._groups), "group"),
        )  # fmt: skip

    def write(self) -> None:
        """Write all files of the prepared task."""
        rows = {"train": [], "test": []}
        for row, pool in enumerate(self._pools()):
            if pool is not None:
                rows[pool].append(row)
        self._check_classes(rows)
        index: list[tuple] = []
        for pool in POOLS:
            path = self._folder / f"{pool}_images.npy"
            facts = write_ragged(path, self._stored.pixels(rows[pool]))
            names = (self._names[row] for row in rows[pool])
            index += [
                (name, pool, i, *of_image)
                for i, (name, of_image) in enumerate(zip(names, facts.tolist(), strict=True))
            ]
        labeled = [row for pool in POOLS for row in rows[pool] if self._labels[row] >= 0]
        labels = ((self._names[row], int(self._labels[row])) for row in labeled)
        write_table(self._folder / "images.csv", INDEX, index)
        write_table(self._folder / "labels.csv", ("image", "label"), labels)
        meta = self._facts(rows)
        text = json.dumps(meta, indent=1, ensure_ascii=False)
        (self._folder / "meta.json").write_text(text, encoding="utf-8")

    def _pools(self) -> list[str | None]:
        """The pool of each image; None of one that is left out."""
        images, spec = self._stored.images, self._spec
        if not self._scan.given_test:
            seed = derive_seed(spec.name, "test split") % 2**32
            test = carve_test(self._labels, self._together, fraction=spec.test_fraction, seed=seed)
            return ["test" if chosen else "train" for chosen in test]
        pools: list[str | None] = ["test" if i.part == "test" else "train" for i in images]
        for group in self._together:
            tested = [row for row in group if pools[row] == "test"]
            for row in group if tested else ():
                if pools[row] == "train":
                    pools[row] = None
                    reason = f"duplicate of the test image {printable(self._names[tested[0]])}"
                    self._left_out.append((self._names[row], reason))
                    log.warning("%s is left out: %s", printable(self._names[row]), reason)
        return pools

    def _check_classes(self, rows: dict[str, list[int]]) -> None:
        """Stop where a class has too few images, now that it is known which are left out."""
        classes, problems = self._scan.classes, []
        counts = {pool: Counter(self._labels[rows[pool]].tolist()) for pool in POOLS}
        for label, name in enumerate(classes):
            if (there := counts["train"][label]) < FEWEST_LABELED:
                problems.append(
                    f"class {printable(name)} has {count(there, 'labelled training image')} left, "
                    f"and needs {FEWEST_LABELED}"
                )
            elif not self._scan.given_test and not counts["test"][label]:
                problems.append(
                    f"class {printable(name)} cannot be tested: {count(there, 'image')} of it are "
                    "duplicates of each other or of unlabelled ones, and stay together in training"
                )
        if not rows["test"]:
            problems.append("no test image is left")
        if problems:
            out = count(len(self._left_out), "image")
            raise DataError(
                f"{self._spec.name}: {some(problems, limit=10)} ({out} left out). Add images, or "
                "remove the class"
            )

    def _facts(self, rows: dict[str, list[int]]) -> dict[str, Any]:
        spec, names = self._spec, self._names
        labeled = int((self._labels[rows["train"]] >= 0).sum())
        carved = f"carved: {spec.test_fraction:.0%} of each class"
        carved += "" if spec.duplicates == "allow" else ", duplicates on one side"
        several = [g for g in self._groups if len({*self._labels[g].tolist()} - {-1}) > 1]
        for group in several:
            same = some(printable(names[row]) for row in group)
            log.warning("%s: duplicates with different labels: %s", spec.name, same)
        digests = [f.digest for f in self._stored.fingerprints]
        exact = len(digests) - len({*digests})
        trained, tested = ({*rows[pool]} for pool in POOLS)
        seen = sum(len(tested & {*group}) for group in self._groups if trained & {*group})
        if seen:
            log.warning(
                "%s: %s identical to training images, which makes the test part too easy "
                "(duplicates: allow)", spec.name, count(seen, "test image is", "test images are"),
            )  # fmt: skip
        return {
            "task": spec.name,
            "classes": list(self._scan.classes),
            "num_classes": len(self._scan.classes),
            "multi_label": False,
            "images": {pool: len(rows[pool]) for pool in POOLS},
            "labeled": labeled,
            "unlabeled": len(rows["train"]) - labeled,
            "test": len(rows["test"]),
            "split": "given" if self._scan.given_test else carved,
            "duplicates": {
                "kind": spec.duplicates,
                "exact": exact,
                "near": sum(len(group) - 1 for group in self._groups) - exact
                if spec.duplicates == "near"
                else None,
                "test_images_in_training": seen,
                "groups": [[names[row] for row in group] for group in self._groups],
                "different_labels": [[names[row] for row in group] for group in several],
            },
            "left_out": [list(entry) for entry in self._left_out],
            "notes": list(self._scan.notes),
            "background": spec.background,
            "longest_shorter_side": spec.side,
        }


def _broken_message(spec: OwnTaskSpec, broken: Sequence[tuple[str, str]]) -> str:
    lines = [f"{printable(name)}: {reason}" for name, reason in broken[:MOST_NAMED]]
    if len(broken) > MOST_NAMED:
        lines.append(f"and {len(broken) - MOST_NAMED} more, which the log names")
    listed = "\n  - ".join(lines)
    return (
        f"{spec.name}: {count(len(broken), 'image')} cannot be read:\n  - {listed}\n"
        "Mend or remove them, or set `broken: leave_out` in the task's entry of `targets`"
    )
