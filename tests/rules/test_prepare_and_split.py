"""Rules prepare_task and split_target."""

import numpy as np
import pandas as pd
import pytest

import prepare_task
import split_target
from distillweighted.tasks.embedded import class_names, generate
from distillweighted.tasks.jobs import GenerationJob, SplitJob
from distillweighted.tasks.prepared import read_image_names, read_labels, read_meta


def test_prepare_task_writes_what_the_generator_gives(tmp_path):
    options = {"seed": 3, "image_size": 16}
    job = GenerationJob("textures_a", **options, train_images=40, test_images=30)
    prepare_task.main(job, tmp_path / "data")
    for pool, size in (("train", 40), ("test", 30)):
        images, labels = generate("textures_a", num_images=size, pool=pool, **options)
        stored = np.load(tmp_path / f"data/{pool}_images.npy")
        np.testing.assert_array_equal(stored, images)
        names = read_image_names(tmp_path / "data/images.csv", pool)
        np.testing.assert_array_equal(read_labels(tmp_path / "data/labels.csv", names), labels)
    meta = read_meta(tmp_path / "data")
    assert (meta["task"], meta["seed"], meta["image_size"]) == ("textures_a", 3, 16)
    assert meta["classes"] == list(class_names("textures_a"))


def split(world, seed=0, fraction=0.3, target="lesions_b"):
    paths = [world.root / f"new_{name}.csv" for name in ("split", "labeled")]
    split_target.main(SplitJob(target, seed, fraction), world.data["index"], world.labels, *paths)
    return tuple(map(pd.read_csv, paths))


def test_both_files_tell_the_same_and_only_labels_of_labelled_images(world):
    table, known = split(world)
    train, test = (read_image_names(world.data["index"], pool) for pool in ("train", "test"))
    assert table["image"].tolist() == train + test
    assert table["split"].value_counts().to_dict() == {"labeled": 18, "unlabeled": 42, "test": 30}
    assert set(table.loc[table["split"] == "test", "image"]) == set(test)
    assert list(table.columns) == ["image", "split"]
    assert list(known.columns) == ["image", "label"]
    assert known["image"].tolist() == table.loc[table["split"] == "labeled", "image"].tolist()
    truth = read_labels(world.labels, known["image"].tolist())
    np.testing.assert_array_equal(known["label"], truth)
    np.testing.assert_array_equal(np.bincount(truth), [6, 6, 6])


def test_the_split_depends_on_target_and_seed_alone(world):
    first, again = split(world)[0], split(world)[0]
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(split(world, seed=1)[0])
    assert not first.equals(split(world, target="nuts")[0])


def test_too_few_labels_are_an_error(world):
    with pytest.raises(ValueError, match=r"cannot label 0\.02 of 60 images"):
        split(world, fraction=0.02)
