"""CUB-200-2011 and NABirds: lists by image id."""

import numpy as np
import pytest
from miniature import write_cub200, write_nabird
from miniature.pictures import make_picture

from distillweighted.errors import DataError
from distillweighted.tasks.datasets.birds import read_cub200, read_nabird

WRITERS = {"CUB_200_2011": write_cub200, "nabirds": write_nabird}
READERS = {"CUB_200_2011": read_cub200, "nabirds": read_nabird}


@pytest.fixture(params=WRITERS)
def folder(request, tmp_path):
    WRITERS[request.param](tmp_path, classes=3, per_class=4, seed=2)
    return tmp_path / request.param


@pytest.fixture
def cub(tmp_path):
    write_cub200(tmp_path, classes=3, per_class=4, seed=2)
    return tmp_path / "CUB_200_2011"


@pytest.fixture
def nabirds(tmp_path):
    write_nabird(tmp_path, classes=3, per_class=4, seed=2)
    return tmp_path / "nabirds"


def read(folder):
    return READERS[folder.name](folder.parent)


def edit(path, number, line):
    """Change a line, counted from 1; None removes it."""
    lines = path.read_text().splitlines()
    lines[number - 1 : number] = [] if line is None else [line]
    path.write_text("\n".join(lines) + "\n")


def line_of(path, number):
    return path.read_text().splitlines()[number - 1]


def test_ids_of_cub_count_from_1_and_labels_from_0(cub):
    listing = read(cub)
    assert listing.classes == ("001.Bird_1", "002.Bird_2", "003.Bird_3")
    fifth = listing.examples[4]
    assert (cub / "images.txt").read_text().splitlines()[4].split() == [
        "5",
        fifth.name.removeprefix("images/"),
    ]
    assert fifth.name.startswith("images/002.Bird_2/Bird_2_0001_")
    assert (fifth.label, fifth.pool) == (1, "train")
    assert [e.pool for e in listing.examples] == ["train", "train", "train", "test"] * 3
    assert listing.path_of(fifth) == cub / fifth.name


def test_a_picture_of_cub_is_that_of_its_file(cub):
    listing = read(cub)
    pixels = np.asarray(listing.open_image(listing.examples[6])).astype(int)
    height, width, _ = pixels.shape
    expected = make_picture("cub200", 1, 2, height=height, width=width, seed=2).astype(int)
    assert np.abs(pixels - expected).mean() < 6
    sizes = {listing.open_image(example).size for example in listing.examples}
    assert len(sizes) > 6


def test_classes_of_nabirds_are_the_ids_that_images_have_in_their_order(nabirds):
    # Ids 295, 298 and 301, among others of the tree that have no image.
    classes = (nabirds / "classes.txt").read_text().splitlines()
    assert classes[:4] == [
        "0 Birds",
        "1 Ducks, Geese, and Swans",
        "294 Species 0",
        "295 Species 0 (Adult male)",
    ]
    listing = read(nabirds)
    assert listing.classes == tuple(f"Species {i} (Adult male)" for i in range(3))
    for example, line in zip(listing.examples, (nabirds / "images.txt").read_text().splitlines()):
        image, file = line.split()
        assert len(image) == 36 and image.count("-") == 4
        assert example.name == f"images/{file}"
        assert file.split("/")[1] == image.replace("-", "") + ".jpg"
        assert {"0295": 0, "0298": 1, "0301": 2}[file.split("/")[0]] == example.label
    assert [e.label for e in listing.examples] != sorted(e.label for e in listing.examples)


def test_ids_are_ordered_as_numbers(nabirds):
    """As texts, 1010 would come before 295."""
    for name in ("classes.txt", "image_class_labels.txt"):
        path = nabirds / name
        path.write_text(path.read_text().replace("295 S", "1010 S").replace(" 295\n", " 1010\n"))
    listing = read(nabirds)
    assert listing.classes == tuple(f"Species {i} (Adult male)" for i in (1, 2, 0))
    assert {e.label for e in listing.examples if "/0295/" in e.name} == {2}


def test_a_class_of_cub_without_an_image_keeps_its_label(cub):
    with open(cub / "classes.txt", "a") as file:
        file.write("4 004.Bird_4\n")
    assert read(cub).classes == ("001.Bird_1", "002.Bird_2", "003.Bird_3", "004.Bird_4")


def test_class_ids_of_cub_that_leave_one_out_are_an_error(cub):
    with open(cub / "classes.txt", "a") as file:
        file.write("5 005.Bird_5\n")
    with pytest.raises(DataError, match=r"classes\.txt: the class ids are not 1 to 4"):
        read(cub)


@pytest.mark.parametrize(
    "name", ["images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt"]
)
def test_a_missing_list_is_named(name, folder):
    (folder / name).unlink()
    with pytest.raises(DataError, match=rf"{name} is missing"):
        read(folder)


@pytest.mark.parametrize("name", ["images.txt", "image_class_labels.txt", "train_test_split.txt"])
def test_a_line_without_its_second_column_is_named(name, folder):
    image = line_of(folder / name, 3).split()[0]
    edit(folder / name, 3, image)
    with pytest.raises(DataError, match=rf"{name}, line 3: expected image id, .*found '{image}'"):
        read(folder)


@pytest.mark.parametrize("name", ["images.txt", "image_class_labels.txt", "train_test_split.txt"])
def test_an_image_listed_twice_is_named(name, folder):
    edit(folder / name, 5, line_of(folder / name, 2))
    with pytest.raises(DataError, match=rf"{name}, line 5: .*listed twice, first in .*line 2"):
        read(folder)


def test_a_file_of_two_images_is_named(folder):
    path = folder / "images.txt"
    edit(path, 4, f"{line_of(path, 4).split()[0]} {line_of(path, 1).split()[1]}")
    with pytest.raises(DataError, match=r"images\.txt, line 4: the image .*listed twice.*line 1"):
        read(folder)


@pytest.mark.parametrize("name", ["image_class_labels.txt", "train_test_split.txt"])
def test_an_image_in_no_split_or_class_is_named(name, folder):
    image = line_of(folder / name, 6).split()[0]
    edit(folder / name, 6, None)
    message = rf"images\.txt, line 6: the image {image} is not in .*{name}"
    with pytest.raises(DataError, match=message):
        read(folder)


@pytest.mark.parametrize("name", ["image_class_labels.txt", "train_test_split.txt"])
def test_a_line_of_an_unknown_image_is_named(name, folder):
    with open(folder / name, "a") as file:
        file.write("777 1\n" if name.startswith("train") else f"777 {class_id(folder)}\n")
    with pytest.raises(DataError, match=rf"{name}: the image 777 is not in images\.txt"):
        read(folder)


def class_id(folder):
    return line_of(folder / "image_class_labels.txt", 1).split()[1]


@pytest.mark.parametrize(("value", "message"), [("99", "99 is not in"), ("x", "'x' is not a num")])
def test_an_unknown_class_id_is_named(value, message, folder):
    path = folder / "image_class_labels.txt"
    edit(path, 2, f"{line_of(path, 2).split()[0]} {value}")
    with pytest.raises(DataError, match=rf"image_class_labels\.txt, line 2: the class .*{message}"):
        read(folder)


def test_a_class_listed_twice_is_named(folder):
    edit(folder / "classes.txt", 3, line_of(folder / "classes.txt", 2))
    with pytest.raises(DataError, match=r"classes\.txt, line 3: the class . is listed twice"):
        read(folder)


def test_a_split_that_is_neither_is_named(folder):
    path = folder / "train_test_split.txt"
    edit(path, 2, f"{line_of(path, 2).split()[0]} 2")
    with pytest.raises(DataError, match=r"train_test_split\.txt, line 2: the split .* not 0 or 1"):
        read(folder)


@pytest.mark.parametrize("name", ["../classes.jpg", "/a.jpg", "a/../../../b.jpg"])
def test_a_path_out_of_the_folder_is_refused(name, folder):
    path = folder / "images.txt"
    edit(path, 2, f"{line_of(path, 2).split()[0]} {name}")
    with pytest.raises(DataError, match=r"images\.txt, line 2: '.*' is not a path under"):
        read(folder)
