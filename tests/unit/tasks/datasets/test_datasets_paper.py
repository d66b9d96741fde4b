"""The paper's data sets together: their table, and miniature copies of all of them."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from miniature import WRITERS, write_all
from miniature.pictures import make_picture

from distillweighted.errors import DataError
from distillweighted.tasks.datasets import (
    DATASETS,
    PAPER,
    VTAB_NATURAL,
    VTAB_SPECIALIZED,
)

COUNTS = {
    "cifar10": (10, 50_000, 10_000),
    "cub200": (200, 5_994, 5_794),
    "chestx": (7, 25_848, 0),
    "eurosat": (10, 27_000, 0),
    "isic": (7, 10_015, 0),
    "nabird": (555, 23_929, 24_633),
    "oxford_pets": (37, 3_680, 3_669),
    "stanford_dogs": (120, 12_000, 8_580),
    "caltech101": (101, 8_677, 0),
    "voc2007": (21, 2_501, 4_952),
}


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_all(root, classes=3, per_class=4, seed=5)
    return root


def test_the_data_sets_are_the_paper_s_with_their_published_counts():
    found = {d.name: (d.num_classes, d.num_train, d.num_test) for d in PAPER}
    assert found == COUNTS
    assert all(DATASETS[name].name == name for name in DATASETS)
    assert set(DATASETS) == {*COUNTS, *VTAB_NATURAL, *VTAB_SPECIALIZED}
    assert [d.name for d in PAPER if d.multi_label] == ["voc2007"]
    assert {name for name in COUNTS if not DATASETS[name].official_split} == {
        "chestx",
        "eurosat",
        "isic",
        "caltech101",
    }


def test_files_have_what_a_download_needs_or_say_what_a_person_has_to_do():
    by_hand = {"chestx", "isic", "nabird"}
    for data_set in PAPER:
        for files in data_set.files:
            assert not files.path.startswith("/") and ".." not in files.path
            assert files.size > 0 and files.origin.startswith("http")
            assert (files.url is None) == (data_set.name in by_hand)
            if files.url:
                kind, digest = files.checksum.split(":")
                assert len(bytes.fromhex(digest)) == {"md5": 16, "sha256": 32}[kind]
                assert files.unpack is not None


def test_importing_the_table_loads_nothing_heavy():
    code = (
        "import sys, distillweighted.tasks.datasets;"
        "heavy = {'torch', 'torchvision', 'scipy', 'pandas', 'numpy', 'PIL'} & set(sys.modules);"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    library = Path(__file__).parents[4] / "workflow_scripts"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=library, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("name", WRITERS)
def test_a_miniature_is_read_with_its_classes_pools_and_pictures(name, data_root):
    data_set = DATASETS[name]
    listing = data_set.read(data_root)
    examples = listing.examples
    assert all((data_root / files.path).exists() for files in data_set.files)
    assert len({example.name for example in examples}) == len(examples)
    assert len(listing.classes) == len(set(listing.classes)) == (21 if data_set.multi_label else 3)
    pools = Counter(example.pool for example in examples)
    if data_set.multi_label:
        # The third image of each class is of val.txt.
        assert pools == {"train": 6, "test": 3}
    else:
        assert pools == ({"train": 9, "test": 3} if data_set.official_split else {None: 12})
        assert Counter(example.label for example in examples) == {0: 4, 1: 4, 2: 4}
    for example in examples:
        assert listing.path_of(example).is_file()
        assert listing.path_of(example).is_relative_to(data_root)
    image = listing.open_image(examples[0])
    assert image.mode == "RGB" and min(image.size) >= 32


@pytest.mark.parametrize("name", WRITERS)
def test_the_order_and_the_files_are_the_same_each_time(name, data_root, tmp_path):
    WRITERS[name](tmp_path, classes=3, per_class=4, seed=5)
    first, second = (DATASETS[name].read(root) for root in (data_root, tmp_path))
    assert first.examples == second.examples
    for example in first.examples[::5]:
        there, again = first.path_of(example), second.path_of(example)
        assert there.relative_to(data_root) == again.relative_to(tmp_path)
        assert there.read_bytes() == again.read_bytes()


@pytest.mark.parametrize("name", WRITERS)
def test_a_data_set_that_is_not_there_is_an_error_that_names_its_place(name, tmp_path):
    with pytest.raises(DataError, match="is missing") as error:
        DATASETS[name].read(tmp_path)
    assert str(tmp_path / DATASETS[name].files[0].path.split("/")[0]) in str(error.value)


@pytest.mark.parametrize("name", sorted(set(WRITERS) - {"cifar10"}))
def test_missing_images_are_counted_and_the_first_is_named(name, data_root, tmp_path):
    WRITERS[name](tmp_path, classes=2, per_class=5, seed=0)
    listing = DATASETS[name].read(tmp_path)
    gone = [listing.examples[i] for i in (1, 3)]
    for example in gone:
        listing.path_of(example).unlink()
    if DATASETS[name].files[0].path in ("eurosat/2750", "caltech101/101_ObjectCategories"):
        # Such a data set is the files that are there.
        assert set(listing.examples) - set(DATASETS[name].read(tmp_path).examples) == set(gone)
        return
    message = f"2 of {len(listing.examples)} images are missing, the first is '{gone[0].name}'"
    with pytest.raises(DataError, match=message.replace("(", r"\(")):
        DATASETS[name].read(tmp_path)


@pytest.mark.parametrize("name", sorted(set(WRITERS) - {"cifar10"}))
def test_a_truncated_image_is_an_error_that_names_it(name, tmp_path):
    WRITERS[name](tmp_path, classes=2, per_class=4, seed=0)
    listing = DATASETS[name].read(tmp_path)
    path = listing.path_of(listing.examples[0])
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DataError) as error:
        listing.open_image(listing.examples[0])
    assert str(path) in str(error.value)


def test_pictures_tell_their_class_and_not_each_other_s():
    options = {"height": 40, "width": 44, "seed": 0}
    first, again, second = (
        make_picture("isic", label, index, **options).astype(int)
        for label, index in ((0, 0), (0, 1), (1, 0))
    )
    assert first.shape == (40, 44, 3)
    assert (first != again).any()
    within = np.abs(first.mean((0, 1)) - again.mean((0, 1))).max()
    assert within < np.abs(first.mean((0, 1)) - second.mean((0, 1))).max() / 3
    # Computed with whole numbers only: the same on every machine.
    assert first[0, 0].tolist() == [115, 193, 171]
