"""ISIC 2018, task 3: dermoscopic images of skin lesions (Codella et al., 2019)."""

from __future__ import annotations

from pathlib import Path

from distillweighted.files.downloads.file_set import FileSet
from distillweighted.tasks.datasets.reading import ImageList, data_error, read_csv
from distillweighted.tasks.listing import DataSet, Listing

LESIONS = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
"""Columns of the ground truth."""

_TABLE = "ISIC2018_Task3_Training_GroundTruth.csv"
_VALUES = {"0.0": 0, "0": 0, "1.0": 1, "1": 1}
_IMAGES = "ISIC2018_Task3_Training_Input"


def read_isic(data_root: Path) -> Listing:
    """List the images of `isic2018/`, in the order of the ground truth.

    The classes are the columns of the ground truth, of which each image has 1.0 in one.

    Raises:
        DataError: Where a file is missing or malformed, or an image has no class or several.
    """
    folder = data_root / "isic2018"
    lines = read_csv(folder / _TABLE)
    where, (first, *classes) = next(lines, (str(folder / _TABLE), [""]))
    unknown = [name for name in classes if name not in LESIONS]
    if first != "image" or not classes or unknown or len(set(classes)) < len(classes):
        raise data_error(f"{where}: the header is not image,{','.join(LESIONS)}")
    images = ImageList(folder)
    for where, (image, *cells) in lines:
        if "/" in image:
            raise data_error(f"{where}: '{image}' is not the name of an image")
        values = [_VALUES.get(cell.strip()) for cell in cells]
        if None in values or sum(values) != 1:
            raise data_error(
                f"{where}: '{image}' does not have 1.0 in one column and 0.0 elsewhere"
            )
        images.add(f"{_IMAGES}/{image}.jpg", values.index(1), None, where)
    return images.listing(classes)


ISIC = DataSet(
    name="isic",
    title="ISIC 2018",
    num_classes=7,
    num_train=10_015,
    num_test=0,
    files=(
        FileSet(
            path=f"isic2018/{_TABLE}",
            size=350_000,
            origin="https://challenge.isic-archive.com/data/#2018: task 3, agree to the terms of "
            f"use, and unpack the training ground truth so that isic2018/{_TABLE} is there",
        ),
        FileSet(
            path=f"isic2018/{_IMAGES}",
            size=2_800_000_000,
            origin="https://challenge.isic-archive.com/data/#2018: task 3, agree to the terms of "
            "use, and unpack the training data into isic2018/",
        ),
    ),
    read=read_isic,
)
