"""EuroSAT and Caltech-101: one folder a class."""

import numpy as np
import pytest
from miniature import write_caltech101, write_eurosat
from miniature.pictures import make_picture
from PIL import Image

from distillweighted.errors import DataError
from distillweighted.tasks.datasets.caltech101 import read_caltech101
from distillweighted.tasks.datasets.eurosat import read_eurosat


@pytest.fixture
def eurosat(tmp_path):
    write_eurosat(tmp_path, classes=3, per_class=11, seed=4)
    return tmp_path / "eurosat" / "2750"


@pytest.fixture
def caltech(tmp_path):
    write_caltech101(tmp_path, classes=3, per_class=4, seed=4)
    return tmp_path / "caltech101" / "101_ObjectCategories"


def read(folder):
    reader = read_eurosat if folder.name == "2750" else read_caltech101
    return reader(folder.parents[1])


def test_classes_and_images_of_eurosat_are_in_the_order_of_their_names(eurosat):
    listing = read(eurosat)
    assert listing.classes == ("AnnualCrop", "Forest", "HerbaceousVegetation")
    assert [e.name for e in listing.examples[11:15]] == [
        "2750/Forest/Forest_1.jpg",
        "2750/Forest/Forest_10.jpg",
        "2750/Forest/Forest_11.jpg",
        "2750/Forest/Forest_2.jpg",
    ]
    assert {(e.label, e.pool) for e in listing.examples[11:22]} == {(1, None)}
    pixels = np.asarray(listing.open_image(listing.examples[14])).astype(int)
    expected = make_picture("eurosat", 1, 1, height=40, width=40, seed=4).astype(int)
    assert np.abs(pixels - expected).mean() < 6
    assert {listing.open_image(e).size for e in listing.examples} == {(40, 40)}


def test_caltech_has_no_background_and_grey_images_come_out_rgb(caltech):
    assert (caltech / "BACKGROUND_Google").is_dir()
    listing = read(caltech)
    assert listing.classes == ("Object_00", "Object_01", "object_02")
    assert len(listing.examples) == 12
    grey = listing.examples[7]
    assert grey.name == "101_ObjectCategories/Object_01/image_0004.jpg"
    assert Image.open(listing.path_of(grey)).mode == "L"
    image = listing.open_image(grey)
    assert image.mode == "RGB"
    pixels = np.asarray(image).astype(int)
    assert (pixels == pixels[:, :, :1]).all()
    height, width, _ = pixels.shape
    expected = make_picture("caltech101", 1, 3, height=height, width=width, seed=4)[:, :, 1]
    assert np.abs(pixels[:, :, 0] - expected).mean() < 6


def test_what_file_managers_leave_behind_is_left_out(eurosat):
    before = read(eurosat).examples
    (eurosat / ".DS_Store").write_bytes(b"x")
    (eurosat / "Forest" / "._Forest_1.jpg").write_bytes(b"x")
    assert read(eurosat).examples == before


def test_suffixes_may_be_in_capitals(eurosat):
    (eurosat / "Forest" / "Forest_1.jpg").rename(eurosat / "Forest" / "Forest_1.JPG")
    assert "2750/Forest/Forest_1.JPG" in {e.name for e in read(eurosat).examples}


def test_what_is_no_image_is_named(eurosat):
    (eurosat / "Forest" / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"Forest/notes\.txt is not an image"):
        read(eurosat)


def test_a_file_in_the_place_of_a_class_is_named(eurosat):
    (eurosat / "readme.txt").write_text("x")
    with pytest.raises(DataError, match=r"readme\.txt is not the folder of a class"):
        read(eurosat)


def test_a_class_without_an_image_is_named(eurosat):
    (eurosat / "Highway").mkdir()
    with pytest.raises(DataError, match="Highway: a class without an image"):
        read(eurosat)


def test_a_folder_without_a_class_is_named(tmp_path):
    (tmp_path / "caltech101" / "101_ObjectCategories" / "BACKGROUND_Google").mkdir(parents=True)
    with pytest.raises(DataError, match="caltech101: no image"):
        read_caltech101(tmp_path)
