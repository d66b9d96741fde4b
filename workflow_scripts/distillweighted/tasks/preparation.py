"""From a data set in its published layout to a prepared task.

Every image is decoded once, with its labels apart (see `data` for the folder's layout). An image
that cannot be read stops the preparation and is named: leaving it out would shift the rows that
everything else goes by.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from distillweighted.errors import DataError
from distillweighted.files.tables import write_table
from distillweighted.tasks.decoding import MAX_SIDE, decode_images, with_progress
from distillweighted.tasks.listing import TEST_FRACTION, DataSet, Listing
from distillweighted.tasks.pools import write_ragged
from distillweighted.tasks.prepared import INDEX, POOLS
from distillweighted.tasks.splits import split_pools


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
        images = with_progress(images, len(examples), f"{data_set.name}, {pool}")
        facts = write_ragged(folder / f"{pool}_images.npy", images)
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
