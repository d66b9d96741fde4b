"""Oxford-IIIT Pets and Stanford Dogs: lists of breeds, whose ids count from 1."""

import numpy as np
import pytest
from miniature.breeds import write_dogs_list, write_oxford_pets, write_stanford_dogs
from miniature.pictures import make_picture
from scipy.io import savemat

from distillweighted.errors import DataError
from distillweighted.tasks.datasets.dogs import read_stanford_dogs
from distillweighted.tasks.datasets.pets import read_oxford_pets


@pytest.fixture
def pets(tmp_path):
    write_oxford_pets(tmp_path, classes=4, per_class=4, seed=3)
    return tmp_path / "oxford-iiit-pet" / "annotations"


@pytest.fixture
def dogs(tmp_path):
    write_stanford_dogs(tmp_path, classes=3, per_class=4, seed=3)
    return tmp_path / "stanford_dogs"


def read_pets(annotations):
    return read_oxford_pets(annotations.parents[1])


def read_dogs(folder):
    return read_stanford_dogs(folder.parent)


def assert_is_picture(listing, example, task, label, index):
    pixels = np.asarray(listing.open_image(example)).astype(int)
    height, width, _ = pixels.shape
    expected = make_picture(task, label, index, height=height, width=width, seed=3).astype(int)
    assert np.abs(pixels - expected).mean() < 6


def test_classes_of_pets_are_the_names_of_files_without_their_numbers(pets):
    listing = read_pets(pets)
    assert listing.classes == ("Cat_breed_0", "dog1", "dog2", "Cat_breed_3")
    assert len(listing.examples) == 16
    fourth = listing.examples[3]
    assert (fourth.name, fourth.label, fourth.pool) == ("images/dog1_1.jpg", 1, "train")
    assert (pets / "trainval.txt").read_text().splitlines()[3] == "dog1_1 2 2 2"
    assert_is_picture(listing, fourth, "oxford_pets", 1, 0)
    last = listing.examples[-1]
    assert (last.name, last.label, last.pool) == ("images/Cat_breed_3_4.jpg", 3, "test")
    assert [e.pool for e in listing.examples] == ["train"] * 12 + ["test"] * 4


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("dog1_1 2 2", "expected image, class id, species, breed id"),
        ("dog1_1 2 2 2 2", "the breed id '2 2' is not a number"),
        ("dog1_1 two 2 2", "the class id 'two' is not a number"),
        ("dog1 2 2 2", "'dog1' is not a class name, _ and a number"),
        ("dog1_1 3 2 2", "class 3 is 'dog2' here and 'dog1' before|class 3 is 'dog1' here"),
        ("dog1_1 0 2 2", "class ids count from 1"),
        ("../dog1_1 2 2 2", "class 2 is 'dog1' here and '../dog1' before|is not a path under"),
        ("Cat_breed_0_1 1 1 1", "'images/Cat_breed_0_1.jpg' is listed twice, first in .*line 1"),
    ],
)
def test_a_line_of_pets_that_does_not_fit_is_named(line, message, pets):
    path = pets / "trainval.txt"
    lines = path.read_text().splitlines()
    lines[3] = line
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=rf"trainval\.txt, line \d+: .*({message})"):
        read_pets(pets)


def test_an_image_for_training_and_testing_is_named(pets):
    with open(pets / "test.txt", "a") as file:
        file.write("dog1_1 2 2 2\n")
    with pytest.raises(DataError, match=r"test\.txt, line 5: .*twice, first in .*trainval\.txt"):
        read_pets(pets)


def test_class_ids_of_pets_have_no_gap(pets):
    for name in ("trainval.txt", "test.txt"):
        lines = (pets / name).read_text().splitlines()
        (pets / name).write_text("".join(f"{line}\n" for line in lines if "dog1" not in line))
    with pytest.raises(DataError, match="annotations: the class ids are not 1 to 3"):
        read_pets(pets)


def test_a_missing_list_of_pets_is_named(pets):
    (pets / "test.txt").unlink()
    with pytest.raises(DataError, match=r"test\.txt is missing"):
        read_pets(pets)


def test_dogs_are_listed_by_matlab_files(dogs):
    listing = read_dogs(dogs)
    assert listing.classes == (
        "n02085620-Breed_0",
        "n02085782-Breed_1",
        "n02085944-Breed_2",
    )
    assert [e.pool for e in listing.examples] == ["train"] * 9 + ["test"] * 3
    fifth = listing.examples[4]
    assert fifth.name == "Images/n02085782-Breed_1/n02085782_17.jpg"
    assert (fifth.label, listing.path_of(fifth)) == (1, dogs / fifth.name)
    assert_is_picture(listing, fifth, "stanford_dogs", 1, 1)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("n02085782-Breed_1/n02085782_17.jpg", 0), "class ids count from 1"),
        (("n02085944-Breed_2/n02085944_7.jpg", 2), "class 2 is 'n02085944-Breed_2' here"),
        (("n02085620-Breed_0/n02085620_7.jpg", 1), "listed twice, first in .*row 1"),
        (("../classes/a.jpg", 3), "is not a path under"),
        (("/etc/a.jpg", 3), "is not a path under"),
    ],
)
def test_a_row_of_dogs_that_does_not_fit_is_named(row, message, dogs):
    files = [e.name.removeprefix("Images/") for e in read_dogs(dogs).examples[:3]]
    others = [("n02085782-Breed_1/n02085782_7.jpg", 2)]
    write_dogs_list(dogs / "train_list.mat", [(file, 1) for file in files] + others + [row])
    with pytest.raises(DataError, match=rf"train_list\.mat, row 5: .*{message}"):
        read_dogs(dogs)


@pytest.mark.parametrize(
    "content",
    [
        {"labels": np.ones((1, 1))},
        {"file_list": np.array([["a/b.jpg"]], object)},
        {"file_list": np.array([["a/b.jpg"]], object), "labels": np.ones((2, 1))},
        {"file_list": np.array([["a/b.jpg"]], object), "labels": np.full((1, 1), 1.5)},
        {"file_list": np.array([["a/b.jpg"]], object), "labels": np.full((1, 1), np.nan)},
        {"file_list": np.array([[1.0]], object), "labels": np.ones((1, 1))},
    ],
)
def test_a_matlab_file_of_something_else_is_named(content, dogs):
    savemat(dogs / "test_list.mat", content)
    with pytest.raises(DataError, match=r"test_list\.mat is not a MATLAB file with (a )?file_list"):
        read_dogs(dogs)


def test_a_damaged_matlab_file_is_named(dogs):
    path = dogs / "train_list.mat"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"train_list\.mat is not a MATLAB file"):
        read_dogs(dogs)


def test_labels_of_dogs_may_be_numbers_of_any_type(dogs):
    """MATLAB's numbers are doubles where nothing else is said."""
    listing = read_dogs(dogs)
    files = np.empty((9, 1), object)
    files[:, 0] = [e.name.removeprefix("Images/") for e in listing.examples[:9]]
    labels = np.array([[e.label + 1.0] for e in listing.examples[:9]])
    savemat(dogs / "train_list.mat", {"file_list": files, "labels": labels})
    assert read_dogs(dogs).examples == listing.examples
