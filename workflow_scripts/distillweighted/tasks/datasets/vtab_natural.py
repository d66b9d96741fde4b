"""VTAB Natural (Zhai et al., 2019): its five data sets that are not among the paper's ten.

Where a data set has images for validation, they are for training here, as in VTAB's final runs.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from distillweighted.files.downloads.file_set import FileSet
from distillweighted.tasks.datasets.arrays import ArrayFile, list_arrays
from distillweighted.tasks.datasets.cifar import read_class_names, read_images
from distillweighted.tasks.datasets.reading import (
    ImageList,
    NumberedClasses,
    data_error,
    read_fields,
    read_matlab,
)
from distillweighted.tasks.listing import DataSet, Listing

if TYPE_CHECKING:
    import numpy as np

VTAB_NATURAL = ("caltech101", "cifar100", "dtd", "flowers102", "oxford_pets", "sun397", "svhn")
"""Names of the tasks of VTAB Natural."""


def read_cifar100(data_root: Path) -> Listing:
    """List the images of `cifar-100-python/`: train, then test. Classes are the 100 fine ones.

    Raises:
        DataError: Where a file is missing, is not a batch of images, or names what it must not.
    """
    folder = data_root / "cifar-100-python"
    classes = read_class_names(folder / "meta", b"fine_label_names")
    files = {}
    for pool in ("train", "test"):
        pixels, labels = read_images(folder / pool, b"fine_labels", len(classes))
        files[pool] = ArrayFile(folder / pool, pool, labels, pixels)
    return list_arrays(classes, files)


_DTD_LISTS = {"train1.txt": "train", "val1.txt": "train", "test1.txt": "test"}


def read_dtd(data_root: Path) -> Listing:
    """List the images of `dtd/dtd/` by the first of its ten splits, as VTAB does.

    The classes are the folders of images/.

    Raises:
        DataError: Where a file is missing or malformed, or a class is unknown or has no image.
    """
    folder = data_root / "dtd" / "dtd"
    textures = sorted(p.name for p in (folder / "images").glob("[!.]*") if p.is_dir())
    labels = {name: label for label, name in enumerate(textures)}
    images, found = ImageList(folder), set()
    for name, pool in _DTD_LISTS.items():
        for where, (path,) in read_fields(folder / "labels" / name, ("class/image",)):
            texture, _, file = path.partition("/")
            if not file or "/" in file:
                raise data_error(f"{where}: expected class/image; found '{path}'")
            if texture not in labels:
                raise data_error(f"{where}: '{texture}' is not a folder of {folder / 'images'}")
            images.add(f"images/{path}", labels[texture], pool, where)
            found.add(texture)
    if unlisted := sorted(labels.keys() - found):
        raise data_error(f"{folder / 'labels'}: no image of '{unlisted[0]}' is listed")
    return images.listing(textures)


_FLOWERS_SPLITS = {"trnid": "train", "valid": "train", "tstid": "test"}


def read_flowers102(data_root: Path) -> Listing:
    """List the images of `flowers-102/`, in the order of setid.mat: trnid, valid, tstid.

    Its files number images and classes from 1, and name no class.

    Raises:
        DataError: Where a file is missing or malformed, or an image is unknown or listed twice.
    """
    folder = data_root / "flowers-102"
    labels_path, splits_path = folder / "imagelabels.mat", folder / "setid.mat"
    class_ids = _integers(_read_matlab(labels_path, "labels")[0], labels_path)
    splits = _read_matlab(splits_path, *_FLOWERS_SPLITS)
    classes, images = NumberedClasses(), ImageList(folder)
    for (name, pool), split in zip(_FLOWERS_SPLITS.items(), splits):
        for place, image_id in enumerate(_integers(split, splits_path), start=1):
            where = f"{splits_path}, {name}, entry {place}"
            if not 1 <= image_id <= len(class_ids):
                raise data_error(
                    f"{where}: image {image_id} has no label in {labels_path}, which has "
                    f"{len(class_ids)}"
                )
            class_id = class_ids[image_id - 1]
            label = classes.label(
                class_id, f"flower {class_id}", f"{labels_path}, entry {image_id}"
            )
            images.add(f"jpg/image_{image_id:05d}.jpg", label, pool, where)
    return images.listing(classes.names(str(labels_path)))


UNREADABLE_SCENE = "c/church/outdoor/sun_bhenjvsvrtumjuri.jpg"
"""An image of SUN397 that is damaged as published: Pillow does not always decode it to the same
pixels. VTAB leaves it out too (TensorFlow Datasets, sun.py)."""


def read_sun397(data_root: Path) -> Listing:
    """List the images of `SUN397/`, without `UNREADABLE_SCENE`, in the order of their folders.

    The classes are those of ClassName.txt: /a/apartment_building/outdoor is the class
    apartment_building/outdoor, and its folder. The ten splits of the authors are not used: VTAB has
    a random one of its own.

    Raises:
        DataError: Where a file is missing or malformed, a folder of images is no class, or a class
            has no image.
    """
    folder = data_root / "SUN397"
    labels = _read_scenes(folder / "ClassName.txt")
    images, found = ImageList(folder), set()
    for root, folders, files in os.walk(folder):
        folders.sort()
        scene = Path(root).relative_to(folder).as_posix()
        for file in sorted(files):
            # Other files are lists and what file managers leave behind.
            path = f"{scene}/{file}"
            if not (file.startswith("sun_") and file.endswith(".jpg")) or path == UNREADABLE_SCENE:
                continue
            if scene not in labels:
                raise data_error(f"{root} has images, but is no class of {folder}/ClassName.txt")
            images.add(path, labels[scene], None, root)
            found.add(scene)
    if empty := [scene for scene in labels if scene not in found]:
        raise data_error(f"{folder}: the class /{empty[0]} of ClassName.txt has no image")
    return images.listing([scene.partition("/")[2] for scene in labels])


def _read_scenes(path: Path) -> dict[str, int]:
    """Labels of the classes, by their folders as a/apartment_building/outdoor."""
    labels: dict[str, int] = {}
    for where, (text,) in read_fields(path, ("class",)):
        # The letter is the name's first, so that a name without it is still the name of one class.
        if not re.fullmatch(r"/(.)/\1[^/]*(/[^/]+)*", text):
            raise data_error(f"{where}: expected a class as /a/abbey; found '{text}'")
        if text[1:] in labels:
            raise data_error(f"{where}: the class '{text}' is listed twice")
        labels[text[1:]] = len(labels)
    return labels


def read_svhn(data_root: Path) -> Listing:
    """List the images of `svhn/`: train_32x32.mat, then test_32x32.mat, without the extra images.

    The files say 10 where the digit is 0; a label here is the digit. Both are held in memory,
    0.3 GB.

    Raises:
        DataError: Where a file is missing or malformed, or a label is none of 1 to 10.
    """
    files = {}
    for pool in ("train", "test"):
        path = data_root / "svhn" / f"{pool}_32x32.mat"
        pixels, label_array = _read_matlab(path, "X", "y")
        labels = _integers(label_array, path)
        wanted = (*pixels.shape[:2], 3, len(labels))
        if not labels or str(pixels.dtype) != "uint8" or pixels.shape != wanted:
            raise data_error(
                f"{path}: X is an array {list(pixels.shape)} of type {pixels.dtype} for "
                f"{len(labels)} labels, where [h, w, 3, n] of uint8 and n are expected"
            )
        for row, label in enumerate(labels):
            if not 1 <= label <= 10:
                raise data_error(f"{path}: image {row} has the unknown class {label} (not 1 to 10)")
        digits = [label % 10 for label in labels]
        files[pool] = ArrayFile(path, pool, digits, pixels.transpose(3, 0, 1, 2))
    return list_arrays([str(digit) for digit in range(10)], files)


def _read_matlab(path: Path, *names: str) -> list[np.ndarray]:
    """Arrays of numbers of a MATLAB file, by their names in it."""
    import numpy as np

    arrays = list(read_matlab(path, names).values())
    if not all(isinstance(a, np.ndarray) and a.dtype.kind in "uif" for a in arrays):
        raise data_error(f"{path} is not a MATLAB file with {', '.join(names)} of numbers")
    return arrays


def _integers(array: np.ndarray, path: Path) -> list[int]:
    """The numbers of an array, which MATLAB may have stored as floating-point ones."""
    import numpy as np

    with np.errstate(invalid="ignore"):
        integers = array.astype(np.int64)
    if not np.array_equal(integers, array):
        raise data_error(f"{path}: its labels or image numbers are not all whole numbers")
    return integers.reshape(-1).tolist()


def _file(
    path: str, size: int, page: str, url: str, md5: str, *, unpack: str | None = None
) -> FileSet:
    todo = f"{'put' if unpack is None else 'unpack'} {url.rpartition('/')[2]}"
    folder = path.rpartition("/")[0] if unpack is None else unpack
    return FileSet(
        path=path,
        size=size,
        origin=f"{page}: {todo} into {folder}/" if folder else f"{page}: {todo}",
        url=url,
        checksum=f"md5:{md5}",
        unpack=unpack,
    )


# Addresses and checksums are torchvision's (datasets/{cifar,dtd,flowers102,sun397,svhn}.py).
_CIFAR_PAGE = "https://www.cs.toronto.edu/~kriz/"
_DTD_PAGE = "https://www.robots.ox.ac.uk/~vgg/data/dtd/"
_FLOWERS_PAGE = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
_SUN_PAGE = "vision.princeton.edu/projects/2010/SUN/"
_SVHN_PAGE = "http://ufldl.stanford.edu/housenumbers/"

CIFAR100 = DataSet(
    name="cifar100",
    title="CIFAR-100",
    num_classes=100,
    num_train=50_000,
    num_test=10_000,
    files=(
        _file(
            "cifar-100-python",
            186_000_000,
            f"{_CIFAR_PAGE}cifar.html",
            f"{_CIFAR_PAGE}cifar-100-python.tar.gz",
            "eb9058c3a382ffc7106e4002c42a8d85",
            unpack="",
        ),
    ),
    read=read_cifar100,
)

DTD = DataSet(
    name="dtd",
    title="DTD",
    num_classes=47,
    num_train=3_760,
    num_test=1_880,
    files=(
        _file(
            "dtd/dtd",
            640_000_000,
            _DTD_PAGE,
            f"{_DTD_PAGE}download/dtd-r1.0.1.tar.gz",
            "fff73e5086ae6bdbea199a49dfb8a4c1",
            unpack="dtd",
        ),
    ),
    read=read_dtd,
)

FLOWERS102 = DataSet(
    name="flowers102",
    title="Flowers-102",
    num_classes=102,
    num_train=2_040,
    num_test=6_149,
    files=(
        _file(
            "flowers-102/jpg",
            350_000_000,
            _FLOWERS_PAGE,
            f"{_FLOWERS_PAGE}102flowers.tgz",
            "52808999861908f626f3c1f4e79d11fa",
            unpack="flowers-102",
        ),
        *(
            _file(f"flowers-102/{file}", size, _FLOWERS_PAGE, f"{_FLOWERS_PAGE}{file}", md5)
            for file, size, md5 in (
                ("imagelabels.mat", 1_000, "e0620be6f572b9609742df49c70aed4d"),
                ("setid.mat", 15_000, "a5357ecc9cb78c4bef273ce3793fc85c"),
            )
        ),
    ),
    read=read_flowers102,
)

SUN397 = DataSet(
    name="sun397",
    title="SUN397",
    num_classes=397,
    num_train=108_753,
    num_test=0,
    files=(
        _file(
            "SUN397",
            39_000_000_000,
            f"https://{_SUN_PAGE}",
            f"http://{_SUN_PAGE}SUN397.tar.gz",
            "8ca2778205c41d23104230ba66911c7a",
            unpack="",
        ),
    ),
    read=read_sun397,
)

SVHN = DataSet(
    name="svhn",
    title="SVHN",
    num_classes=10,
    num_train=73_257,
    num_test=26_032,
    files=tuple(
        _file(f"svhn/{file}", size, _SVHN_PAGE, f"{_SVHN_PAGE}{file}", md5)
        for file, size, md5 in (
            ("train_32x32.mat", 182_000_000, "e26dedcc434d2e4c54c9b2d4a06d8373"),
            ("test_32x32.mat", 64_000_000, "eb5a983be6a315427106f1b164d9cef3"),
        )
    ),
    read=read_svhn,
)

DATASETS: dict[str, DataSet] = {
    data_set.name: data_set for data_set in (CIFAR100, DTD, FLOWERS102, SUN397, SVHN)
}
"""The data sets of this module by the names of their tasks."""
