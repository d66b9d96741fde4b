"""Caltech-101: pictures of objects, of one folder a class (Fei-Fei et al., 2004)."""

from __future__ import annotations

from pathlib import Path

from distillweighted.files.downloads.file_set import FileSet
from distillweighted.tasks.datasets.folders import read_class_folders
from distillweighted.tasks.listing import DataSet, Listing

BACKGROUND = "BACKGROUND_Google"
"""A folder of pictures of anything, which is no class."""


def read_caltech101(data_root: Path) -> Listing:
    """List the images of `caltech101/101_ObjectCategories/`, without the background folder.

    Raises:
        DataError: Where the folder is missing, or holds something else than folders of images.
    """
    return read_class_folders(data_root / "caltech101", "101_ObjectCategories", ignored=BACKGROUND)


CALTECH101 = DataSet(
    name="caltech101",
    title="Caltech-101",
    num_classes=101,
    num_train=8_677,
    num_test=0,
    files=(
        FileSet(
            path="caltech101/101_ObjectCategories",
            size=140_000_000,
            origin="https://data.caltech.edu/records/mzrjq-6wc02: unpack caltech-101.zip, and then "
            "the 101_ObjectCategories.tar.gz that is in it into caltech101/",
            # torchvision's address and checksum (datasets/caltech.py).
            url="https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip",
            checksum="md5:3138e1922a9193bfa496528edbbc45d0",
            unpack="caltech101",
        ),
    ),
    read=read_caltech101,
)
