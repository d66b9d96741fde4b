"""PASCAL VOC 2007: photographs with objects of several classes each (Everingham et al., 2010)."""

from __future__ import annotations

from pathlib import Path

from distillweighted.files.downloads.file_set import FileSet
from distillweighted.tasks.datasets.reading import (
    ImageList,
    data_error,
    read_bytes,
    read_fields,
)
from distillweighted.tasks.listing import DataSet, Listing

CLASSES = (
    # What the PARC benchmark's models call index 0; no image has it.
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
"""Class names, by label; the same for every copy of the data set."""

_POOLS = ("train", "test")


def read_voc2007(data_root: Path) -> Listing:
    """List the images of `VOCdevkit/VOC2007/`: ImageSets/Main/train.txt, then test.txt.

    As in the PARC benchmark, the images of val.txt are not used, and an object counts whether it is
    marked as difficult or not.

    Raises:
        DataError: Where a file is missing or malformed, or an object is of an unknown class.
    """
    folder = data_root / "VOCdevkit" / "VOC2007"
    labels = {name: label for label, name in enumerate(CLASSES) if label > 0}
    images = ImageList(folder)
    for pool in _POOLS:
        for where, (image,) in read_fields(folder / f"ImageSets/Main/{pool}.txt", ("image",)):
            if "/" in image or "\\" in image:
                raise data_error(f"{where}: '{image}' is not the name of an image")
            annotation = folder / "Annotations" / f"{image}.xml"
            objects = _read_objects(annotation)
            if unknown := sorted(objects - labels.keys()):
                raise data_error(f"{annotation}: the class '{unknown[0]}' is none of VOC 2007")
            label = tuple(sorted(labels[name] for name in objects))
            images.add(f"JPEGImages/{image}.jpg", label, pool, where)
    return images.listing(CLASSES)


def _read_objects(path: Path) -> set[str]:
    """Names of the classes that an annotation has objects of."""
    from xml.etree import ElementTree

    data = read_bytes(path)
    # No entity can be declared without a DOCTYPE, and nothing hides one without a null byte: the
    # other encodings that the parser knows write these characters as ASCII does.
    if b"<!DOCTYPE" in data or b"\0" in data:
        raise data_error(f"{path}: it has a DOCTYPE or a null byte, which no annotation has")
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise data_error(f"{path} is not an XML file: {error}") from error
    names = {(item.findtext("name") or "").strip().lower() for item in root.findall("object")}
    if not names:
        raise data_error(f"{path}: an annotation without an object")
    return names


# torchvision's addresses and checksums (datasets/voc.py).
_PAGE = "https://thor.robots.ox.ac.uk/pascal/VOC/voc2007/"
_ORIGIN = f"{_PAGE}: unpack VOCtrainval_06-Nov-2007.tar and VOCtest_06-Nov-2007.tar"


def _files(path: str, size: int, archive: str, md5: str) -> FileSet:
    return FileSet(
        path=f"VOCdevkit/VOC2007/{path}",
        size=size,
        origin=_ORIGIN,
        url=_PAGE + archive,
        checksum=f"md5:{md5}",
        unpack="",
    )


_TRAIN = ("VOCtrainval_06-Nov-2007.tar", "c52e279531787c972589f7e41ab4ae64")
_TEST = ("VOCtest_06-Nov-2007.tar", "b6e924de25625d8de591ea690078ad9f")

VOC2007 = DataSet(
    name="voc2007",
    title="PASCAL VOC 2007",
    num_classes=len(CLASSES),
    num_train=2_501,
    num_test=4_952,
    files=(
        # Both archives fill the same folders, and only the lists tell which of them are there.
        _files("JPEGImages", 430_000_000, *_TRAIN),
        _files("Annotations", 20_000_000, *_TRAIN),
        _files("ImageSets/Main/train.txt", 20_000, *_TRAIN),
        _files("ImageSets/Main/test.txt", 430_000_000, *_TEST),
    ),
    read=read_voc2007,
    multi_label=True,
)
