"""PASCAL VOC 2007: several classes an image, from annotations of XML."""

import numpy as np
import pytest
from miniature.pictures import make_picture
from miniature.voc2007 import annotate, write_voc2007

from distillweighted.errors import DataError
from distillweighted.tasks.datasets.voc2007 import CLASSES, read_voc2007


@pytest.fixture
def folder(tmp_path):
    write_voc2007(tmp_path, classes=3, per_class=5, seed=6)
    return tmp_path / "VOCdevkit" / "VOC2007"


def read(folder):
    return read_voc2007(folder.parents[1])


def test_there_are_21_classes_of_which_no_image_has_the_first(folder):
    listing = read(folder)
    assert len(listing.classes) == 21
    assert listing.classes[:2] == ("background", "aeroplane")
    assert (listing.classes[15], listing.classes[20]) == ("person", "tvmonitor")
    assert all(0 not in example.label for example in listing.examples)


def test_an_image_has_the_classes_of_its_objects_once_each(folder):
    labels = {e.name: (e.label, e.pool) for e in read(folder).examples}
    assert len(labels) == 12
    assert labels["JPEGImages/000001.jpg"] == ((1,), "train")
    assert labels["JPEGImages/000004.jpg"] == ((1, 2), "train")
    # The third class, and the first again.
    assert labels["JPEGImages/000006.jpg"] == ((1, 3), "train")
    assert labels["JPEGImages/000010.jpg"] == ((1,), "test")


def test_images_of_val_are_not_used(folder):
    val = (folder / "ImageSets" / "Main" / "val.txt").read_text().split()
    assert val == ["000007", "000008", "000009"]
    names = {example.name for example in read(folder).examples}
    assert not names & {f"JPEGImages/{image}.jpg" for image in val}


def test_a_picture_is_that_of_its_file(folder):
    listing = read(folder)
    pixels = np.asarray(listing.open_image(listing.examples[1])).astype(int)
    height, width, _ = pixels.shape
    expected = make_picture("voc2007", 2, 0, height=height, width=width, seed=6).astype(int)
    assert np.abs(pixels - expected).mean() < 6


def test_parts_of_a_person_are_no_objects(folder):
    text = annotate("000001", ["person", "Dog "])
    assert "<part><name>head</name></part>" in text
    (folder / "Annotations" / "000001.xml").write_text(text)
    assert read(folder).examples[0].label == (CLASSES.index("dog"), CLASSES.index("person"))


BOMB = """<?xml version="1.0"?>
<!DOCTYPE annotation [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<annotation><object><name>&b;</name></object></annotation>
"""
FILE = """<!DOCTYPE annotation [<!ENTITY a SYSTEM "file:///etc/hostname">]>
<annotation><object><name>&a;</name></object></annotation>
"""
ENTITY = "<annotation><object><name>&a;</name></object></annotation>"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BOMB.encode(), "it has a DOCTYPE or a null byte"),
        (FILE.encode(), "it has a DOCTYPE or a null byte"),
        (BOMB.replace('version="1.0"', 'version="1.0" encoding="utf-16"').encode("utf-16"), "null"),
        (ENTITY.encode(), "is not an XML file"),
        (b"<annotation><object>", "is not an XML file"),
        (b"", "is not an XML file"),
        (b'<?xml version="1.0" encoding="none"?><annotation/>', "is not an XML file"),
        (annotate("x", ["unicorn"]).encode(), "the class 'unicorn' is none of VOC 2007"),
        (annotate("x", ["background"]).encode(), "the class 'background' is none of VOC 2007"),
        (b"<annotation><object><pose>Left</pose></object></annotation>", "the class ''"),
        (b"<annotation></annotation>", "without an object"),
    ],
)
def test_an_annotation_that_does_not_fit_is_named(content, message, folder):
    (folder / "Annotations" / "000002.xml").write_bytes(content)
    with pytest.raises(DataError, match=rf"000002\.xml.*{message}"):
        read(folder)


def test_a_missing_annotation_is_named(folder):
    (folder / "Annotations" / "000004.xml").unlink()
    with pytest.raises(DataError, match=r"Annotations/000004\.xml is missing"):
        read(folder)


@pytest.mark.parametrize("name", ["../000001", "/etc/passwd", "a/b", "..\\a"])
def test_a_path_in_a_list_is_refused(name, folder):
    path = folder / "ImageSets" / "Main" / "test.txt"
    path.write_text(f"000010\n{name}\n")
    with pytest.raises(DataError, match=r"test\.txt, line 2: '.*' is not the name of an image"):
        read(folder)


def test_an_image_for_training_and_testing_is_named(folder):
    with open(folder / "ImageSets" / "Main" / "test.txt", "a") as file:
        file.write("000001\n")
    with pytest.raises(
        DataError, match=r"test\.txt, line 4: .*listed twice, first in .*train\.txt"
    ):
        read(folder)
