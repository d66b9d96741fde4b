"""Arrays of a model behind an API: what is read of a file, and every way in which it is wrong."""

import re
import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillweighted.errors import DataError
from distillweighted.sources.arrays import load_arrays, read_arrays

NAMES = ["labeled/rose/IMG 1.JPG", "labeled/tulip/b[1].png", "test/rose/ü.png"]
FEATURES = np.array([[1, 2], [3, 4], [5, 6.5]], np.float32)
PROBABILITIES = np.array([[0.5, 0.5, 0], [0.25, 0.25, 0.5], [1, 0, 0]], np.float32)


def npz(folder, **arrays):
    path = folder / "a.npz"
    np.savez(path, **{"images": np.array(NAMES), **arrays})
    return path


def parquet(folder, **columns):
    path = folder / "a.parquet"
    columns = {"image": NAMES, **columns}
    pq.write_table(pa.table({name: values for name, values in columns.items()}), path)
    return path


def numbered(name, values):
    return {f"{name}_{i}": values[:, i] for i in range(values.shape[1])}


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: npz(folder, features=FEATURES, probabilities=PROBABILITIES),
        lambda folder: npz(folder, features=FEATURES.astype(float), probabilities=PROBABILITIES),
        lambda folder: parquet(
            folder, **numbered("feature", FEATURES), **numbered("probability", PROBABILITIES)
        ),
        lambda folder: parquet(
            folder, features=FEATURES.tolist(), probabilities=PROBABILITIES.tolist()
        ),
        lambda folder: parquet(
            folder,
            features=pa.FixedSizeListArray.from_arrays(FEATURES.ravel(), 2),
            probabilities=pa.array(PROBABILITIES.tolist(), pa.large_list(pa.float16())),
        ),
    ],
)
def test_all_ways_of_writing_say_the_same_in_the_order_asked(tmp_path, write):
    outputs = read_arrays(write(tmp_path), [NAMES[2], NAMES[0]])
    assert {name: values.dtype.str for name, values in outputs.items()} == {
        "features": "<f4",
        "pseudo_labels": "<f4",
    }
    np.testing.assert_array_equal(outputs["features"], FEATURES[[2, 0]])
    np.testing.assert_array_equal(outputs["pseudo_labels"], PROBABILITIES[[2, 0]])


def test_columns_are_numbered_not_sorted_as_text(tmp_path):
    wide = np.arange(36, dtype=np.float32).reshape(3, 12)
    columns = dict(sorted(numbered("feature", wide).items()))
    assert list(columns)[1:3] == ["feature_1", "feature_10"]
    np.testing.assert_array_equal(
        read_arrays(parquet(tmp_path, **columns), NAMES)["features"], wide
    )


def test_of_features_alone_there_are_no_pseudo_labels_and_of_probabilities_these_are_both(tmp_path):
    outputs = read_arrays(npz(tmp_path, features=FEATURES), NAMES)
    assert list(outputs) == ["features"]
    outputs = read_arrays(npz(tmp_path, probabilities=PROBABILITIES), NAMES)
    np.testing.assert_array_equal(outputs["features"], PROBABILITIES)
    np.testing.assert_array_equal(outputs["pseudo_labels"], PROBABILITIES)


def test_probabilities_that_were_rounded_are_divided_by_their_sum(tmp_path):
    rounded = np.array([[0.33, 0.33, 0.33], [0.501, 0.5, 0], [1, 0, 0]])
    labels = read_arrays(npz(tmp_path, probabilities=rounded), NAMES)["pseudo_labels"]
    np.testing.assert_allclose(labels[0], [1 / 3] * 3, rtol=1e-6)
    np.testing.assert_allclose(labels[1], [501 / 1001, 500 / 1001, 0], rtol=1e-6)


def test_an_accent_may_be_written_either_way_but_not_both(tmp_path):
    other = [unicodedata.normalize("NFD", name) for name in NAMES]
    assert other != NAMES
    path = npz(tmp_path, images=np.array(other), features=FEATURES)
    np.testing.assert_array_equal(read_arrays(path, NAMES)["features"], FEATURES)
    path = npz(tmp_path, images=np.array([NAMES[2], NAMES[0], other[2]]), features=FEATURES)
    with pytest.raises(DataError, match=f"a.npz: '{other[2]}' is in it twice"):
        read_arrays(path, NAMES[:1])
    # Two files of a folder that differ in nothing else are two images.
    outputs = read_arrays(path, [other[2], NAMES[2]])
    np.testing.assert_array_equal(outputs["features"], FEATURES[[2, 0]])


def test_other_images_are_passed_over_and_told(tmp_path, caplog):
    caplog.set_level("INFO")
    path = npz(tmp_path, features=FEATURES)
    assert read_arrays(path, NAMES[:1])["features"].tolist() == [[1, 2]]
    assert caplog.messages == [f"{path}: 2 images that were not asked for are passed over"]


def test_images_that_are_missing_are_counted_and_three_are_named(tmp_path):
    path = npz(tmp_path, features=FEATURES)
    names = [f"unlabeled/{i}.png" for i in range(5)]
    expected = (
        f"{path}: 5 of 6 images are not in it, such as 'unlabeled/0.png', 'unlabeled/1.png', "
        f"'unlabeled/2.png'; its 3 are named as {NAMES[0]!r}, {NAMES[1]!r}, {NAMES[2]!r}. Names "
        "are those of images.csv, which `python -m distillweighted images` lists"
    )
    with pytest.raises(DataError, match=f"^{re.escape(expected)}$"):
        read_arrays(path, [*names, NAMES[0]])


def changed(values, row, column, value):
    values = np.array(values, float)
    values[row, column] = value
    return values


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "has neither features nor probabilities; it needs one of them"),
        ({"images": np.array([]), "features": FEATURES}, "has no images"),
        (
            {"images": np.array([*NAMES[:2], NAMES[0]]), "features": FEATURES},
            f"'{NAMES[0]}' is in it twice; each image has one row",
        ),
        (
            {"images": np.array(NAMES, object), "features": FEATURES},
            "images holds Python objects, which are not unpickled; write text as "
            "np.array(names, dtype=str), and numbers as float32",
        ),
        ({"images": np.arange(3), "features": FEATURES}, "images are int64 [3], not text [n]"),
        (
            {"images": np.array([NAMES]), "features": FEATURES},
            f"images are {np.array(NAMES).dtype} [1, 3], not text [n]",
        ),
        ({"features": np.array([["a", "b"]] * 3)}, "features are <U1, not numbers"),
        ({"features": FEATURES > 2}, "features are bool, not numbers"),
        (
            {"features": FEATURES[:2]},
            "features are [2, 2], and not [3, d > 0], a row for each of the 3 images",
        ),
        ({"features": FEATURES[:, 0]}, "features are [3], and not [3, d > 0]"),
        ({"features": FEATURES[:, :0]}, "features are [3, 0], and not [3, d > 0]"),
        ({"probabilities": np.ones((3, 1))}, "probabilities are [3, 1], and not [3, c > 1]"),
        (
            {"features": changed(FEATURES, 1, 0, np.nan)},
            f"features of 1 images are not finite numbers, the first is '{NAMES[1]}'",
        ),
        ({"features": changed(FEATURES, 2, 0, 1e300)}, "features of 1 images are not finite"),
        (
            {"features": np.full((3, 2), 7.0)},
            "features are the same for all 3 images, so that they tell nothing",
        ),
        (
            {"probabilities": changed(PROBABILITIES, 0, 0, np.inf)},
            "probabilities of 1 images are not finite numbers",
        ),
        (
            {"probabilities": [[0.5, 0.5], [1.5, -0.5], [-1, 2]]},
            f"probabilities of 2 images are below 0, the first is '{NAMES[1]}' (-0.5); of logits, "
            "write the softmax",
        ),
        (
            {"probabilities": [[0.5, 0.5], [0.5, 0.48], [0, 1]]},
            f"probabilities of 1 images do not sum to 1 within 0.01, the first is '{NAMES[1]}' "
            "(0.98); what is left to 1 may be a class of its own",
        ),
    ],
)
def test_arrays_that_are_wrong_are_told(tmp_path, arrays, message):
    path = npz(tmp_path, **arrays)
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        load_arrays(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"feature_0": ["a", "b", "c"]}, "column feature_0 is string, not numbers"),
        ({"feature_0": [1, 2, 3], "feature_2": [1, 2, 3]},
         "has 2 columns feature_<i>, but no feature_1"),
        ({"feature_0": [1, None, 3]},
         f"features of 1 images are not finite numbers, the first is '{NAMES[1]}'"),
        ({"features": [[1.0, 2], [3.0], [4.0, 5]]},
         f"features of '{NAMES[1]}' are 1 numbers, and those of '{NAMES[0]}' are 2; all images "
         "need the same number of them"),
        ({"features": [[1.0], None, [4.0]]}, f"features of '{NAMES[1]}' are 0 numbers"),
        ({"features": [[1.0], [None], [4.0]]}, "features of 1 images are not finite numbers"),
        ({"features": [1.0, 2, 3]}, "column features is double, not a list of numbers a row"),
        ({"probabilities": [["a"]] * 3}, "column probabilities is string, not numbers"),
        ({"image": ["a", None, "b"], "feature_0": [1, 2, 3]}, "1 rows have no image"),
        ({"image": [1, 2, 3], "feature_0": [1, 2, 3]}, "images are int64 [3], not text [n]"),
    ],
)  # fmt: skip
def test_columns_that_are_wrong_are_told(tmp_path, columns, message):
    path = parquet(tmp_path, **columns)
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        load_arrays(path)
    assert str(caught.value).startswith(str(path))


def test_files_that_are_none_are_told(tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(b"\x80\x04.")
    with pytest.raises(DataError, match=r"a\.npz is not an \.npz file; write it with np\.savez"):
        load_arrays(path)
    np.savez(path, names=np.array(NAMES), features=FEATURES)
    with pytest.raises(DataError, match=r"has no array `images`, but names, features"):
        load_arrays(path)
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"a\.parquet is not a Parquet file, or damaged \("):
        load_arrays(path)
    pq.write_table(pa.table({"name": NAMES}), path)
    with pytest.raises(DataError, match=r"a\.parquet has no column `image`, but name"):
        load_arrays(path)


def test_a_file_with_a_flipped_or_a_lost_byte_is_read_as_it_was_or_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, images=np.array(NAMES), features=FEATURES)
    data = path.read_bytes()
    whole = load_arrays(path)

    @given(st.integers(0, len(data) - 1), st.booleans())
    def check(place, lost):
        broken = bytearray(data)
        broken[place] ^= 255
        path.write_bytes(data[:place] if lost else broken)
        try:
            found = load_arrays(path)
        except DataError as error:
            assert str(error).startswith(str(path))
        else:
            assert found.images == whole.images
            np.testing.assert_array_equal(found.features, whole.features)

    check()
