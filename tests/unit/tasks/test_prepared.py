"""Prepared tasks on disk and the labelled split."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillweighted.errors import DataError
from distillweighted.tasks.pools import open_pool
from distillweighted.tasks.prepared import (
    read_image_names,
    read_labels,
    read_meta,
    write_task,
)
from distillweighted.tasks.splits import split_labeled


def two_pools():
    rng = np.random.default_rng(0)
    return {
        "train": (rng.integers(0, 256, (7, 5, 5, 3), np.uint8), np.array([2, 0, 1, 1, 0, 2, 2])),
        "test": (rng.integers(0, 256, (3, 5, 5, 3), np.uint8), np.array([1, 0, 2])),
    }


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "data" / "fruit"
    write_task(path, task="fruit", classes=["fig", "lime", "plum"], seed=4, pools=two_pools())
    return path


def test_a_task_comes_back_as_written(folder):
    for pool, (images, labels) in two_pools().items():
        stored = open_pool(folder / f"{pool}_images.npy", folder / "images.csv")
        np.testing.assert_array_equal(stored.stack(range(len(stored))), images)
        names = read_image_names(folder / "images.csv", pool)
        assert len(set(names)) == len(labels)
        np.testing.assert_array_equal(read_labels(folder / "labels.csv", names), labels)
        np.testing.assert_array_equal(read_labels(folder / "labels.csv", names[::-1]), labels[::-1])
    assert read_meta(folder) == {
        "task": "fruit",
        "classes": ["fig", "lime", "plum"],
        "num_classes": 3,
        "image_size": 5,
        "images": {"train": 7, "test": 3},
        "seed": 4,
    }


def test_the_images_on_disk_stay_whatever_is_done_to_what_was_read(folder):
    before = (folder / "train_images.npy").read_bytes()
    images = open_pool(folder / "train_images.npy", folder / "images.csv")
    images.stack([0, 1])[:] = 1
    images.load([2])[0][:] = 1
    np.testing.assert_array_equal(images.stack(range(7)), two_pools()["train"][0])
    assert (folder / "train_images.npy").read_bytes() == before


def test_names_come_in_the_order_of_the_array_whatever_the_order_of_the_index(folder):
    names = read_image_names(folder / "images.csv", "train")
    index = pd.read_csv(folder / "images.csv")
    index.iloc[::-1].to_csv(folder / "images.csv", index=False)
    assert read_image_names(folder / "images.csv", "train") == names
    assert not set(names) & set(read_image_names(folder / "images.csv", "test"))


def test_the_index_knows_no_labels(folder):
    """Same pools but for the labels: the same index."""
    pools = {pool: (images, (labels + 1) % 3) for pool, (images, labels) in two_pools().items()}
    other = folder.with_name("other")
    write_task(other, task="other", classes=["fig", "lime", "plum"], seed=4, pools=pools)
    assert (other / "images.csv").read_bytes() == (folder / "images.csv").read_bytes()
    assert (other / "labels.csv").read_bytes() != (folder / "labels.csv").read_bytes()


def test_an_image_without_a_label_is_named(folder):
    with pytest.raises(DataError, match=r"labels\.csv: no label for 2 images.*'kiwi'"):
        read_labels(folder / "labels.csv", ["train-000000", "kiwi", "melon"])


@given(
    counts=st.lists(st.integers(8, 40), min_size=2, max_size=6),
    fraction=st.sampled_from([0.2, 0.25, 0.5]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=40)
def test_the_share_is_exact_and_stratified(counts, fraction, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    mask = split_labeled(labels, fraction, seed=seed)
    assert mask.dtype == bool
    assert mask.shape == labels.shape
    assert mask.sum() == int(fraction * len(labels))
    of_class = np.bincount(labels[mask], minlength=len(counts))
    assert (abs(of_class - fraction * np.array(counts)) < 1 + 1e-9).all()
    np.testing.assert_array_equal(split_labeled(labels, fraction, seed=seed), mask)


def test_balanced_classes_get_equal_shares_and_seeds_other_images():
    labels = np.tile(np.arange(5), 20)
    masks = [split_labeled(labels, 0.2, seed=seed) for seed in range(3)]
    for mask in masks:
        np.testing.assert_array_equal(np.bincount(labels[mask]), [4] * 5)
    assert len({mask.tobytes() for mask in masks}) == 3


def test_a_class_without_a_labelled_image_is_an_error():
    labels = np.array([0] * 97 + [1] * 3)
    with pytest.raises(DataError, match=r"1 classes .*labels 1\); raise training\.label_fraction"):
        split_labeled(labels, 0.1, seed=0)


def test_classes_of_one_image_are_an_error_that_names_some():
    with pytest.raises(DataError, match=r"cannot label 0\.5 of 10 images: 1 classes .*labels 1\)"):
        split_labeled(np.array([0] * 9 + [1]), 0.5, seed=0)
    with pytest.raises(DataError, match=r"500 classes .*labels 0, 1, 2, 3, 4, \.\.\.\)"):
        split_labeled(np.arange(500), 0.5, seed=0)
