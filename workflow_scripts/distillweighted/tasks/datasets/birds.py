"""CUB-200-2011 (Wah et al., 2011) and NABirds (Van Horn et al., 2015), which share a layout.

Four lists, each line of which begins with an id: images.txt (path under images/),
image_class_labels.txt (class id), train_test_split.txt (1 for training, 0 for testing) and
classes.txt (class name, by class id).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from distillweighted.files.downloads.file_set import FileSet
from distillweighted.tasks.datasets.reading import (
    ImageList,
    data_error,
    read_fields,
    read_integer,
)
from distillweighted.tasks.listing import DataSet, Listing

_POOLS = {"1": "train", "0": "test"}


def read_cub200(data_root: Path) -> Listing:
    """List the images of `CUB_200_2011/`, in the order of images.txt.

    The classes are those of classes.txt, whose ids count from 1.

    Raises:
        DataError: Where a file is missing or the lists do not belong together.
    """
    folder = data_root / "CUB_200_2011"
    names = _read_classes(folder)
    if sorted(names) != list(range(1, len(names) + 1)):
        raise data_error(f"{folder / 'classes.txt'}: the class ids are not 1 to {len(names)}")
    return _read_birds(folder, names, _read_class_ids(folder, names), sorted(names))


def read_nabird(data_root: Path) -> Listing:
    """List the images of `nabirds/`, in the order of images.txt.

    classes.txt is a tree, from all birds to the plumages of a species; the classes are the ids that
    images have, in increasing order.

    Raises:
        DataError: Where a file is missing or the lists do not belong together.
    """
    folder = data_root / "nabirds"
    names = _read_classes(folder)
    class_ids = _read_class_ids(folder, names)
    return _read_birds(folder, names, class_ids, sorted(set(class_ids.values())))


def _read_birds(
    folder: Path, names: Mapping[int, str], class_ids: Mapping[str, int], order: list[int]
) -> Listing:
    """The images; a class has the place of its id in `order` as its label."""
    labels = {class_id: label for label, class_id in enumerate(order)}
    paths = _read_by_id(folder / "images.txt", "path")
    splits = _read_by_id(folder / "train_test_split.txt", "split")
    listed = {"image_class_labels.txt": class_ids.keys(), "train_test_split.txt": splits.keys()}
    images = ImageList(folder)
    for image, (path, where) in paths.items():
        for file, ids in listed.items():
            if image not in ids:
                raise data_error(f"{where}: the image {image} is not in {folder / file}")
        split, split_where = splits[image]
        if split not in _POOLS:
            raise data_error(f"{split_where}: the split of {image} is '{split}', not 0 or 1")
        images.add(f"images/{path}", labels[class_ids[image]], _POOLS[split], where)
    for file, ids in listed.items():
        if unknown := ids - paths.keys():
            raise data_error(f"{folder / file}: the image {min(unknown)} is not in images.txt")
    return images.listing([names[class_id] for class_id in order])


def _read_by_id(path: Path, column: str) -> dict[str, tuple[str, str]]:
    """What a list says of each image id, and where it does, for errors."""
    lines: dict[str, tuple[str, str]] = {}
    for where, (image, value) in read_fields(path, ("image id", column)):
        if image in lines:
            first = lines[image][1]
            raise data_error(f"{where}: the image {image} is listed twice, first in {first}")
        lines[image] = value, where
    return lines


def _read_classes(folder: Path) -> dict[int, str]:
    """Names by class id."""
    names: dict[int, str] = {}
    for where, (text, name) in read_fields(folder / "classes.txt", ("class id", "name")):
        class_id = read_integer(text, where, "class id")
        if class_id in names:
            raise data_error(f"{where}: the class {class_id} is listed twice")
        names[class_id] = name
    return names


def _read_class_ids(folder: Path, names: Mapping[int, str]) -> dict[str, int]:
    """Class ids by image id."""
    class_ids: dict[str, int] = {}
    lines = _read_by_id(folder / "image_class_labels.txt", "class id")
    for image, (text, where) in lines.items():
        class_ids[image] = class_id = read_integer(text, where, "class id")
        if class_id not in names:
            raise data_error(f"{where}: the class {class_id} is not in {folder / 'classes.txt'}")
    return class_ids


CUB200 = DataSet(
    name="cub200",
    title="CUB-200-2011",
    num_classes=200,
    num_train=5_994,
    num_test=5_794,
    files=(
        FileSet(
            path="CUB_200_2011",
            size=1_200_000_000,
            origin="https://data.caltech.edu/records/65de6-vp158: unpack CUB_200_2011.tgz",
            url="https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
            # Also in the PARC benchmark's datasets.py.
            checksum="md5:97eceeb196236b17998738112f37df78",
            unpack="",
        ),
    ),
    read=read_cub200,
)

NABIRD = DataSet(
    name="nabird",
    title="NABirds",
    num_classes=555,
    num_train=23_929,
    num_test=24_633,
    files=(
        FileSet(
            path="nabirds",
            size=9_500_000_000,
            origin="https://dl.allaboutbirds.org/nabirds: agree to the terms of use, and unpack "
            "nabirds.tar.gz",
        ),
    ),
    read=read_nabird,
)
