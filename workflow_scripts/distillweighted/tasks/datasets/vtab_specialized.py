"""VTAB Specialized (Zhai et al., 2019): its three data sets that are not among the paper's ten."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from distillweighted.files.downloads.file_set import FileSet
from distillweighted.tasks.datasets.arrays import ArrayFile, list_arrays
from distillweighted.tasks.datasets.folders import read_class_folders
from distillweighted.tasks.datasets.reading import (
    MAX_BYTES,
    ImageList,
    data_error,
    read_csv,
    read_integer,
)
from distillweighted.tasks.listing import DataSet, Listing

if TYPE_CHECKING:
    import h5py

VTAB_SPECIALIZED = ("eurosat", "resisc45", "pcam", "diabetic_retinopathy")
"""Names of the tasks of VTAB Specialized."""


def read_resisc45(data_root: Path) -> Listing:
    """List the images of `NWPU-RESISC45/`, of one folder a class.

    Raises:
        DataError: Where the folder is missing, or holds something else than folders of images.
    """
    return read_class_folders(data_root, "NWPU-RESISC45")


_PATCHES = {"train": "train", "valid": "train", "test": "test"}


def read_pcam(data_root: Path) -> Listing:
    """List the images of `pcam/`: train, valid, test. As in VTAB, valid is for training.

    An image is read from its file when it is opened, so that memory does not grow with the 9 GB.
    The files are HDF5, for which h5py must be installed; nothing else in this project needs it, so
    that it is no dependency.

    Raises:
        DataError: Where h5py or a file is missing, or a file is malformed.
    """
    files = {}
    for split, pool in _PATCHES.items():
        path, labels_path = (data_root / "pcam" / _patch_file(split, kind) for kind in "xy")
        pixels, labels = _open_array(path, "x"), _read_patch_labels(labels_path)
        wanted = (len(labels), *pixels.shape[1:3], 3)
        if str(pixels.dtype) != "uint8" or pixels.shape != wanted:
            raise data_error(
                f"{path}: x is an array {list(pixels.shape)} of type {pixels.dtype} for "
                f"{len(labels)} labels, where [n, h, w, 3] of uint8 and n are expected"
            )
        files[split] = ArrayFile(path, pool, labels, pixels)
    return list_arrays(("no tumour", "tumour"), files)


def _patch_file(split: str, kind: str) -> str:
    return f"camelyonpatch_level_2_split_{split}_{kind}.h5"


def _read_patch_labels(path: Path) -> list[int]:
    array = _open_array(path, "y")
    try:
        labels = array[()].reshape(-1).tolist()
    except Exception as error:
        raise data_error(f"{path}: its labels cannot be read: {error}") from error
    for row, label in enumerate(labels):
        if label not in (0, 1):
            raise data_error(f"{path}: image {row} has the unknown class {label} (not 0 or 1)")
    return [int(label) for label in labels]


def _open_array(path: Path, name: str) -> h5py.Dataset:
    """An array of an HDF5 file, which stays open for as long as the array is there."""
    if not path.is_file():
        raise data_error(
            f"{path} is missing; is the whole data set under the data root, as it was published?"
        )
    try:
        import h5py
    except ImportError:
        raise data_error(
            f"{path} can only be read with h5py, which is not installed; run: pip install h5py"
        ) from None
    try:
        file = h5py.File(path, "r")
        # Links and arrays may say that their contents are in another file, anywhere on the machine.
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"there is no '{name}' in it")
        array = file[name]
        if not isinstance(array, h5py.Dataset) or array.external or array.is_virtual:
            raise ValueError(f"'{name}' is not an array with its contents in it")
        if not array.shape or not array.shape[0]:
            raise ValueError(f"'{name}' is empty")
        # What a file says costs it nothing: a whole array of labels is read at once, an image at a
        # time, and of both the chunks that they lie in.
        sizes = (array.shape[0], *map(math.prod, (array.shape[1:], array.chunks or ())))
        if max(sizes) * array.dtype.itemsize > MAX_BYTES:
            raise ValueError(f"'{name}' says that it has the shape {array.shape}")
    except Exception as error:
        # HDF5 raises whatever a damaged file leads it to.
        raise data_error(f"{path} is not a file of PCAM: {error}") from error
    return array


RETINOPATHY_GRADES = ("no retinopathy", "mild", "moderate", "severe", "proliferative")
"""Class names, by label: the grades of the labels of Kaggle's competition."""


def read_diabetic_retinopathy(data_root: Path) -> Listing:
    """List the images of `diabetic-retinopathy/`, in the order of trainLabels.csv.

    The labels of the competition's test images are not in that file, so that there is no official
    split; VTAB has them from elsewhere.

    Raises:
        DataError: Where a file is missing or malformed, or a grade is none of 0 to 4.
    """
    folder = data_root / "diabetic-retinopathy"
    table = folder / "trainLabels.csv"
    lines = read_csv(table)
    where, header = next(lines, (str(table), []))
    if header != ["image", "level"]:
        raise data_error(f"{where}: the header is not image,level")
    images = ImageList(folder)
    for where, (image, level) in lines:
        if "/" in image:
            raise data_error(f"{where}: '{image}' is not the name of an image")
        label = read_integer(level, where, "level")
        if label >= len(RETINOPATHY_GRADES):
            raise data_error(f"{where}: '{image}' has the unknown class {label} (not 0 to 4)")
        images.add(f"train/{image}.jpeg", label, None, where)
    return images.listing(RETINOPATHY_GRADES)


RESISC45 = DataSet(
    name="resisc45",
    title="RESISC45",
    num_classes=45,
    num_train=31_500,
    num_test=0,
    files=(
        FileSet(
            path="NWPU-RESISC45",
            size=430_000_000,
            origin="https://1drv.ms/u/s!AmgKYzARBl5ca3HNaHIlzp_IXjs (the authors' OneDrive): "
            "unpack NWPU-RESISC45.rar",
        ),
    ),
    read=read_resisc45,
)

PCAM = DataSet(
    name="pcam",
    title="PatchCamelyon",
    num_classes=2,
    num_train=294_912,
    num_test=32_768,
    files=tuple(
        FileSet(
            path=f"pcam/{_patch_file(split, kind)}",
            size=size,
            origin="https://github.com/basveeling/pcam (links to Google Drive): unpack "
            f"{_patch_file(split, kind)}.gz, md5 {md5}, into pcam/, and run: pip install h5py",
        )
        # Checksums of the packed files are torchvision's (datasets/pcam.py).
        for split, kind, size, md5 in (
            ("train", "x", 7_248_000_000, "1571f514728f59376b705fc836ff4b63"),
            ("train", "y", 264_000, "35c2d7259d906cfc8143347bb8e05be7"),
            ("valid", "x", 906_000_000, "d5b63470df7cfa627aeec8b9dc0c066e"),
            ("valid", "y", 35_000, "2b85f58b927af9964a4c15b8f7e8f179"),
            ("test", "x", 906_000_000, "d8c2d60d490dbd479f8199bdfa0cf6ec"),
            ("test", "y", 35_000, "60a7035772fbdb7f34eb86d4420cf66a"),
        )
    ),
    read=read_pcam,
)

_KAGGLE = "https://www.kaggle.com/c/diabetic-retinopathy-detection/data: agree to the rules, and "

DIABETIC_RETINOPATHY = DataSet(
    name="diabetic_retinopathy",
    title="Diabetic Retinopathy",
    num_classes=len(RETINOPATHY_GRADES),
    num_train=35_126,
    num_test=0,
    files=(
        FileSet(
            path="diabetic-retinopathy/trainLabels.csv",
            size=465_000,
            origin=f"{_KAGGLE}unpack trainLabels.csv.zip into diabetic-retinopathy/",
        ),
        FileSet(
            path="diabetic-retinopathy/train",
            size=38_000_000_000,
            origin=f"{_KAGGLE}join train.zip.001 to train.zip.005, and unpack that into "
            "diabetic-retinopathy/",
        ),
    ),
    read=read_diabetic_retinopathy,
)

DATASETS: dict[str, DataSet] = {
    data_set.name: data_set for data_set in (RESISC45, PCAM, DIABETIC_RETINOPATHY)
}
"""The data sets of this module by the names of their tasks."""
