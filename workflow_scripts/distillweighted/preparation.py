"""From a data set in its published layout to a prepared task.

Every image is decoded once, with its labels apart (see `data` for the folder's layout). An image
that cannot be read stops the preparation and is named: leaving it out would shift the rows that
everything else goes by.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from distillweighted.data import INDEX, POOLS, DataError
from distillweighted.datasets.listing import TEST_FRACTION, DataSet, Listing
from distillweighted.image_store import MAX_SIDE, decode_images, write_ragged
from distillweighted.seeds import derive_seed
from distillweighted.stored_tables import write_table

log = logging.getLogger(__name__)


def prepare_data_set(
    folder: Path, data_set: DataSet, data_root: Path, *, check_counts: bool, threads: int
) -> None:
    """Write a data set as a prepared task.

    Args:
        folder: Where to; created.
        data_set: The data set.
        data_root: The folder that holds its files.
        check_counts: Whether numbers of classes and images must be the published ones.
        threads: CPU threads to decode with.

    Raises:
        DataError: Where a file is missing, has another format or cannot be decoded, or a count is
            not the published one; nothing is left that could be taken for a finished task.
    """
    folder.mkdir(parents=True, exist_ok=True)
    listing = data_set.read(data_root)
    if check_counts:
        _check_counts(data_set, listing)
    pools = split_pools(data_set.name, listing)
    index: list[tuple] = []
    for pool in POOLS:
        examples = [e for e, p in zip(listing.examples, pools, strict=True) if p == pool]
        if not examples:
            raise DataError(f"{data_set.name}: no image for its {pool} pool under {data_root}")
        images = decode_images(listing, examples, threads=threads)
        facts = write_ragged(
            folder / f"{pool}_images.npy", _with_progress(images, len(examples), data_set, pool)
        )
        index += [
            (example.name, pool, row, *of_image, _label_text(example.label))
            for row, (example, of_image) in enumerate(zip(examples, facts.tolist(), strict=True))
        ]
    write_table(folder / "images.csv", INDEX, (row[:-1] for row in index))
    write_table(folder / "labels.csv", ("image", "label"), ((row[0], row[-1]) for row in index))
    meta = {
        "task": data_set.name,
        "title": data_set.title,
        "classes": list(listing.classes),
        "num_classes": len(listing.classes),
        "multi_label": data_set.multi_label,
        "images": dict(Counter(row[1] for row in index)),
        "split": "official" if data_set.official_split else f"stratified, {TEST_FRACTION:.0%} test",
        "longest_shorter_side": MAX_SIDE,
    }
    (folder / "meta.json").write_text(
        json.dumps(meta, indent=1, ensure_ascii=False), encoding="utf-8"
    )


def split_pools(name: str, listing: Listing) -> list[str]:
    """The pool of every image: the official one, or else a fixed, seeded, stratified split.

    Args:
        name: Name of the task; the split depends on it, on the order of the images and on nothing
            else.
        listing: The images.

    Raises:
        DataError: Where some images have an official pool and others none, or a class is too small
            to be in both pools.
    """
    from sklearn.model_selection import train_test_split

    pools = [example.pool for example in listing.examples]
    if None not in pools:
        return pools
    if set(pools) != {None}:
        at = pools.index(None)
        raise DataError(f"{name}: '{listing.examples[at].name}' is in no pool, though others are")
    labels = [example.label for example in listing.examples]
    try:
        _, test = train_test_split(
            np.arange(len(labels)),
            test_size=TEST_FRACTION,
            stratify=labels,
            random_state=derive_seed(name, "test split") % 2**32,
        )
    except ValueError as error:
        raise DataError(f"{name}: its images cannot be split into two pools: {error}") from error
    chosen = set(test.tolist())
    return ["test" if row in chosen else "train" for row in range(len(labels))]


def files_state(paths: Iterable[Path]) -> str | None:
    """A fingerprint of files and folders by name, size and time of change; reads none of them.

    An older time is a change too, as of a copy that keeps times.

    Returns:
        None where one is missing.
    """
    digest = hashlib.sha256()
    for path in paths:
        if not path.exists():
            return None
        for line in _stats(path):
            digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def data_set_state(data_set: DataSet, data_root: Path | None) -> str | None:
    """The `files_state` of a data set's files; None where one is missing."""
    if data_root is None:
        return None
    return files_state(data_root / files.path for files in data_set.files)


def _stats(path: Path) -> Iterator[str]:
    if path.is_file():
        stat = path.stat()
        yield f"{path.name}\x1f{stat.st_size}\x1f{stat.st_mtime_ns}\n"
        return
    for root, folders, files in os.walk(path):
        folders.sort()
        inside = os.path.relpath(root, path)
        for name in sorted(files):
            file = os.path.join(root, name)
            # A link to nothing is found missing when it is read.
            stat = os.stat(file, follow_symlinks=os.path.exists(file))
            yield f"{inside}/{name}\x1f{stat.st_size}\x1f{stat.st_mtime_ns}\n"


def _check_counts(data_set: DataSet, listing: Listing) -> None:
    found = Counter(example.pool for example in listing.examples)
    if data_set.official_split:
        wanted = {"train": data_set.num_train, "test": data_set.num_test}
    else:
        wanted = {None: data_set.num_train}
    problems = [
        f"{found[pool]} {f'{pool} ' if pool else ''}images instead of {count}"
        for pool, count in wanted.items()
        if found[pool] != count
    ]
    if len(listing.classes) != data_set.num_classes:
        problems.insert(0, f"{len(listing.classes)} classes instead of {data_set.num_classes}")
    if problems:
        raise DataError(
            f"{data_set.name}: {', '.join(problems)}. Its files are incomplete or of another "
            "version; get them again, or set images.check_counts: false to use them as they are"
        )


def _label_text(label: int | tuple[int, ...]) -> str:
    return str(label) if isinstance(label, int) else " ".join(map(str, label))


def _with_progress(
    images: Iterable[np.ndarray], total: int, data_set: DataSet, pool: str
) -> Iterator[np.ndarray]:
    started = last = time.monotonic()
    for done, image in enumerate(images, start=1):
        yield image
        now = time.monotonic()
        if now - last > 5 or done == total:
            last = now
            eta = (now - started) / done * (total - done)
            log.info("%s, %s: %d of %d images, ETA %.0f s", data_set.name, pool, done, total, eta)
