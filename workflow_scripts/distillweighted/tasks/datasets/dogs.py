"""Stanford Dogs: breeds of dogs, from ImageNet (Khosla et al., 2011)."""

from __future__ import annotations

from pathlib import Path

from distillweighted.files.downloads.file_set import FileSet
from distillweighted.tasks.datasets.reading import (
    ImageList,
    NumberedClasses,
    data_error,
    read_matlab,
)
from distillweighted.tasks.listing import DataSet, Listing

_LISTS = {"train": "train_list.mat", "test": "test_list.mat"}


def read_stanford_dogs(data_root: Path) -> Listing:
    """List the images of `stanford_dogs/`: train_list.mat, then test_list.mat.

    A class is the folder of its images, as n02085620-Chihuahua.

    Raises:
        DataError: Where a file is missing or malformed, or class ids and folders do not fit.
    """
    folder = data_root / "stanford_dogs"
    classes, images = NumberedClasses(), ImageList(folder)
    for pool, file in _LISTS.items():
        for row, (path, class_id) in enumerate(_read_list(folder / file), start=1):
            where = f"{folder / file}, row {row}"
            label = classes.label(class_id, path.split("/")[0], where)
            images.add(f"Images/{path}", label, pool, where)
    return images.listing(classes.names(str(folder)))


def _read_list(path: Path) -> list[tuple[str, int]]:
    """Paths under Images/ and class ids of a list of MATLAB's format."""
    table = read_matlab(path, ("file_list", "labels"))
    try:
        # A cell array: each cell is an array of one text.
        files = [cell.item().item() for cell in table["file_list"]]
        labels = table["labels"].reshape(-1).tolist()
        if not all(isinstance(file, str) for file in files) or any(x != int(x) for x in labels):
            raise ValueError("file_list has something else than texts, or labels than numbers")
        return list(zip(files, map(int, labels), strict=True))
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as error:
        raise data_error(
            f"{path} is not a MATLAB file with a file_list and labels: {error!r}"
        ) from error


# Checksums as TensorFlow Datasets publishes them (url_checksums/stanford_dogs.txt).
_PAGE = "http://vision.stanford.edu/aditya86/ImageNetDogs/"
_LISTS_CHECKSUM = "sha256:34b47cacd9a98b5d150e084f24d29391c084c55272295ec65c85651bc35f4d6c"

STANFORD_DOGS = DataSet(
    name="stanford_dogs",
    title="Stanford Dogs",
    num_classes=120,
    num_train=12_000,
    num_test=8_580,
    files=(
        FileSet(
            path="stanford_dogs/Images",
            size=780_000_000,
            origin=f"{_PAGE}: unpack images.tar into stanford_dogs/",
            url=f"{_PAGE}images.tar",
            checksum="sha256:a443fc2f9a851aa1a7b8e4fa4af94b8459fce2c9f5a2f4dd4669cf9673a4ec58",
            unpack="stanford_dogs",
        ),
        # One archive has both lists.
        *(
            FileSet(
                path=f"stanford_dogs/{file}",
                size=200_000,
                origin=f"{_PAGE}: unpack lists.tar into stanford_dogs/",
                url=f"{_PAGE}lists.tar",
                checksum=_LISTS_CHECKSUM,
                unpack="stanford_dogs",
            )
            for file in _LISTS.values()
        ),
    ),
    read=read_stanford_dogs,
)
