"""From a data set's files to a prepared task."""

import dataclasses
import json
import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from distillweighted.errors import DamagedError, DataError
from distillweighted.files.downloads.file_set import FileSet
from distillweighted.tasks.listing import DataSet, Example, Listing
from distillweighted.tasks.pools import open_pool
from distillweighted.tasks.preparation import prepare_data_set
from distillweighted.tasks.prepared import read_image_names, read_label_matrix, read_labels
from distillweighted.tasks.splits import split_pools
from distillweighted.workflow.states import data_set_state


def pixels(name):
    """A grey level a name, in sizes that differ."""
    number = int(name[:-4])
    return np.full((3 + number % 4, 5, 3), number, np.uint8)


def listing_of(examples, broken=()):
    def open_image(example):
        if example.name in broken:
            raise DataError(f"{example.name} cannot be read")
        return Image.fromarray(pixels(example.name))

    return Listing(("ant", "bee"), tuple(examples), open_image, lambda example: None)


def data_set(examples, *, train, test, multi_label=False, broken=()):
    return DataSet(
        "insects",
        "Insects",
        2,
        train,
        test,
        (FileSet("insects", 10, "nowhere"),),
        lambda root: listing_of(examples, broken),
        multi_label,
    )


OFFICIAL = [Example(f"{i}.png", i % 2, "test" if i % 3 == 0 else "train") for i in range(9)]
OPEN = [Example(f"{i}.png", int(i >= 40), None) for i in range(50)]


def prepare(folder, data, **changes):
    options = {"check_counts": True, "threads": 2} | changes
    prepare_data_set(folder, data, folder, **options)


def test_images_and_labels_lie_apart_and_belong_together(tmp_path):
    prepare(tmp_path, data_set(OFFICIAL, train=6, test=3))
    expected = {"train": [1, 2, 4, 5, 7, 8], "test": [0, 3, 6]}
    for pool, numbers in expected.items():
        names = read_image_names(tmp_path / "images.csv", pool)
        assert names == [f"{number}.png" for number in numbers]
        images = open_pool(tmp_path / f"{pool}_images.npy", tmp_path / "images.csv")
        for name, image in zip(names, images.load(range(len(names))), strict=True):
            np.testing.assert_array_equal(image, pixels(name))
        labels = read_labels(tmp_path / "labels.csv", names)
        assert labels.tolist() == [number % 2 for number in numbers]
    assert "label" not in pd.read_csv(tmp_path / "images.csv").columns
    meta = json.loads((tmp_path / "meta.json").read_text())
    assert (meta["task"], meta["num_classes"], meta["classes"]) == ("insects", 2, ["ant", "bee"])
    assert meta["images"] == {"train": 6, "test": 3}


def test_without_an_official_split_a_fifth_of_every_class_is_for_testing():
    pools = split_pools("insects", listing_of(OPEN))
    labels = [example.label for example in OPEN]
    counts = pd.crosstab(labels, pools)
    assert counts["test"].tolist() == [8, 2] and counts["train"].tolist() == [32, 8]
    assert split_pools("insects", listing_of(OPEN)) == pools
    assert split_pools("moths", listing_of(OPEN)) != pools


def test_a_split_that_some_images_lack_is_an_error():
    examples = [*OFFICIAL, Example("9.png", 0, None)]
    with pytest.raises(DataError, match=r"'9\.png' is in no pool"):
        split_pools("insects", listing_of(examples))


def test_a_class_with_one_image_cannot_be_split():
    with pytest.raises(DataError, match="insects: its images cannot be split"):
        split_pools("insects", listing_of([*OPEN[:40], Example("99.png", 1, None)]))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (data_set(OFFICIAL, train=7, test=3), "6 train images instead of 7"),
        (data_set(OFFICIAL, train=6, test=4), "3 test images instead of 4"),
        (data_set(OPEN, train=51, test=0), "50 images instead of 51"),
        (
            dataclasses.replace(data_set(OPEN, train=50, test=0), num_classes=3),
            "2 classes instead of 3",
        ),
    ],
    ids=["train", "test", "no split", "classes"],
)
def test_other_counts_than_the_published_ones_are_an_error_unless_allowed(tmp_path, data, message):
    with pytest.raises(DataError, match=message):
        prepare(tmp_path, data)
    assert not list(tmp_path.iterdir())
    prepare(tmp_path, data, check_counts=False)
    assert (tmp_path / "meta.json").is_file()


def test_an_image_that_cannot_be_read_is_named_and_nothing_looks_finished(tmp_path):
    data = data_set(OFFICIAL, train=6, test=3, broken=["7.png"])
    with pytest.raises(DataError, match=r"7\.png cannot be read"):
        prepare(tmp_path, data)
    assert {path.name for path in tmp_path.iterdir()} <= {"train_images.npy.partial"}


def test_several_labels_an_image(tmp_path):
    examples = [
        Example("1.png", (0, 1), "train"),
        Example("2.png", (1,), "train"),
        Example("3.png", (), "test"),
    ]
    prepare(tmp_path, data_set(examples, train=2, test=1, multi_label=True))
    matrix = read_label_matrix(tmp_path / "labels.csv", ["2.png", "1.png", "3.png"], 2)
    assert matrix.tolist() == [[0, 1], [1, 1], [0, 0]]
    with pytest.raises(DamagedError, match=r"the label of '1\.png' is '1', not .* below 1"):
        read_label_matrix(tmp_path / "labels.csv", ["1.png"], 1)
    with pytest.raises(DataError, match=r"no label for the image '4\.png'"):
        read_label_matrix(tmp_path / "labels.csv", ["4.png"], 2)


def test_names_that_csv_readers_like_to_change_stay(tmp_path):
    names = ["NA", "null", "007.png", 'a,"b"\nc.png', "é.png", " x"]
    examples = [Example(name, i % 2, "train") for i, name in enumerate(names)]
    examples.append(Example("nan", 1, "test"))
    data = data_set(examples, train=6, test=1)
    blank = dataclasses.replace(
        listing_of(examples), open_image=lambda example: Image.new("RGB", (1, 1))
    )
    prepare(tmp_path, dataclasses.replace(data, read=lambda root: blank))
    assert read_image_names(tmp_path / "images.csv", "train") == names
    assert read_labels(tmp_path / "labels.csv", ["nan", "NA", "null"]).tolist() == [1, 0, 1]


def test_the_state_of_files_changes_with_them(tmp_path):
    data = data_set(OFFICIAL, train=6, test=3)
    assert data_set_state(data, tmp_path) is None and data_set_state(data, None) is None
    folder = tmp_path / "insects" / "deep"
    folder.mkdir(parents=True)
    (folder / "a").write_text("1")
    os.utime(folder / "a", (1, 1))
    states = [data_set_state(data, tmp_path)]
    (folder / "b").write_text("2")
    states.append(data_set_state(data, tmp_path))
    (folder / "a").write_text("12")
    os.utime(folder / "a", (1, 1))
    states.append(data_set_state(data, tmp_path))
    os.utime(folder / "a", (2, 2))
    states.append(data_set_state(data, tmp_path))
    assert len(set(states)) == 4 and None not in states
    assert data_set_state(data, tmp_path) == states[-1]
