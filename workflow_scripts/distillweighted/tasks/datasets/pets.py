"""Oxford-IIIT Pets: breeds of cats and dogs (Parkhi et al., 2012)."""

from __future__ import annotations

from pathlib import Path

from distillweighted.files.downloads.file_set import FileSet
from distillweighted.tasks.datasets.reading import (
    ImageList,
    NumberedClasses,
    data_error,
    read_fields,
    read_integer,
)
from distillweighted.tasks.listing import DataSet, Listing

_LISTS = {"train": "trainval.txt", "test": "test.txt"}
_COLUMNS = ("image", "class id", "species", "breed id")


def read_oxford_pets(data_root: Path) -> Listing:
    """List the images of `oxford-iiit-pet/`: annotations/trainval.txt, then annotations/test.txt.

    A class is the name of its files without the number at their end.

    Raises:
        DataError: Where a file is missing or malformed, or class ids and names do not fit.
    """
    folder = data_root / "oxford-iiit-pet"
    classes, images = NumberedClasses(), ImageList(folder)
    for pool, file in _LISTS.items():
        for where, (image, *numbers) in read_fields(folder / "annotations" / file, _COLUMNS):
            class_id, _, _ = (
                read_integer(text, where, what) for text, what in zip(numbers, _COLUMNS[1:])
            )
            name, _, number = image.rpartition("_")
            if not name or not number.isdecimal():
                raise data_error(f"{where}: '{image}' is not a class name, _ and a number")
            images.add(f"images/{image}.jpg", classes.label(class_id, name, where), pool, where)
    return images.listing(classes.names(str(folder / "annotations")))


# torchvision's addresses and checksums (datasets/oxford_iiit_pet.py).
_PAGE = "https://www.robots.ox.ac.uk/~vgg/data/pets/"

OXFORD_PETS = DataSet(
    name="oxford_pets",
    title="Oxford-IIIT Pets",
    num_classes=37,
    num_train=3_680,
    num_test=3_669,
    files=(
        FileSet(
            path="oxford-iiit-pet/images",
            size=810_000_000,
            origin=f"{_PAGE}: unpack images.tar.gz into oxford-iiit-pet/",
            url=f"{_PAGE}data/images.tar.gz",
            checksum="md5:5c4f3ee8e5d25df40f4fd59a7f44e54c",
            unpack="oxford-iiit-pet",
        ),
        FileSet(
            path="oxford-iiit-pet/annotations",
            size=40_000_000,
            origin=f"{_PAGE}: unpack annotations.tar.gz into oxford-iiit-pet/",
            url=f"{_PAGE}data/annotations.tar.gz",
            checksum="md5:95a8c909bbe2e81eed6a22bccdf3f68f",
            unpack="oxford-iiit-pet",
        ),
    ),
    read=read_oxford_pets,
)
