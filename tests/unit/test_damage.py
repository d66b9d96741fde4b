"""Stored files that were cut short, or of which a bit was flipped: noticed, named, with advice."""

import csv

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distillweighted.errors import DamagedError, DataError
from distillweighted.files.tables import read_table, write_table
from distillweighted.networks.classifier import build_model
from distillweighted.networks.model_files import load_model, save_model
from distillweighted.similarity.tables import read_scores, read_weights
from distillweighted.sources.outputs import load_inference, save_inference
from distillweighted.tasks.pools import open_pool, write_ragged
from distillweighted.tasks.prepared import (
    read_image_names,
    read_label_matrix,
    read_labels,
    read_meta,
    write_task,
)
from distillweighted.tasks.splits import read_split

EXAMPLES = settings(max_examples=80, suppress_health_check=list(HealthCheck))
RNG = np.random.default_rng(0)


def write_pools(folder):
    images = RNG.integers(0, 256, (9, 4, 4, 3), np.uint8)
    pool = images, np.arange(9) % 3
    write_task(folder, task="a", classes=["x", "y", "z"], seed=0, pools=dict(train=pool, test=pool))


def write_ragged_pool(folder):
    write_pools(folder)
    sides = [(2, 3), (5, 1), (1, 1)]
    images = [RNG.integers(0, 256, (h, w, 3), np.uint8) for h, w in sides]
    facts = write_ragged(folder / "train_images.npy", images)
    rows = [(f"{i}.png", "train", i, *fact) for i, fact in enumerate(facts.tolist())]
    write_table(folder / "images.csv", ("image", "pool", "row", "height", "width", "crc32"), rows)


def write_outputs(folder):
    outputs = {"features": RNG.random((7, 3), np.float32)}
    outputs["pseudo_labels"] = RNG.random((7, 2), np.float32)
    save_inference(folder / "a.safetensors", outputs, {"source": "é", "target": "1e5"})


def write_model(folder):
    meta = {"architecture": "alexnet_tiny", "num_classes": 2, "classes": ["é", "a\n\\"]}
    save_model(build_model("alexnet_tiny", 2, seed=0), folder / "a.safetensors", meta)


def read_pool(folder):
    pool = open_pool(folder / "train_images.npy", folder / "images.csv")
    return [image.tobytes() for image in pool.load(range(len(pool)))]


ARRAYS = {
    "images of one size": (write_pools, "train_images.npy", read_pool),
    "images of many sizes": (write_ragged_pool, "train_images.npy", read_pool),
    "outputs": (
        write_outputs,
        "a.safetensors",
        lambda root: load_inference(root / "a.safetensors"),
    ),
    "model": (write_model, "a.safetensors", lambda root: load_model(root / "a.safetensors")),
}


@pytest.fixture(params=ARRAYS)
def stored(request, tmp_path):
    """A file, how it is read, and its contents."""
    write, name, read = ARRAYS[request.param]
    write(tmp_path)
    read(tmp_path)
    return tmp_path / name, lambda: read(tmp_path), (tmp_path / name).read_bytes()


def is_refused(path, read, damaged):
    path.write_bytes(damaged)
    with pytest.raises(DamagedError) as caught:
        read()
    assert str(caught.value).startswith(f"{path} is damaged: ")
    assert str(caught.value).endswith(". Remove it and run again, so that it is made anew")


def test_an_array_cut_short_anywhere_is_refused(stored):
    path, read, data = stored

    @EXAMPLES
    @given(st.integers(0, len(data) - 1) | st.integers(max(len(data) - 9, 0), len(data) - 1))
    def check(length):
        is_refused(path, read, data[:length])

    check()
    is_refused(path, read, data + b"\0")


def test_an_array_with_a_flipped_bit_anywhere_is_refused(stored):
    path, read, data = stored

    # The first bytes are the header's; it is small next to a model's weights.
    @EXAMPLES
    @given(
        st.integers(0, len(data) - 1) | st.integers(0, min(len(data), 400) - 1), st.integers(0, 7)
    )
    def check(place, bit):
        damaged = bytearray(data)
        damaged[place] ^= 1 << bit
        is_refused(path, read, bytes(damaged))

    check()


@pytest.mark.slow
def test_every_bit_of_an_array_is_watched(stored):
    path, read, data = stored
    # Of a model's weights, some.
    places = {*range(min(len(data), 1500)), *range(0, len(data), 1 + len(data) // 1500)}
    for place in places:
        for bit in range(8):
            damaged = bytearray(data)
            damaged[place] ^= 1 << bit
            is_refused(path, read, bytes(damaged))


def test_other_arrays_in_the_place_of_the_images_are_refused(tmp_path):
    write_pools(tmp_path)
    path = tmp_path / "train_images.npy"
    images = np.load(path)
    others = [images[:-1], images.astype(np.int8), images[..., :1], images.astype(float)]
    others += [np.asfortranarray(images), np.zeros(0, np.uint8), images[::-1]]
    for other in others:
        np.save(path, other)
        with pytest.raises(DamagedError, match=r"train_images\.npy is damaged"):
            read_pool(tmp_path)
    np.save(path, np.array([{}]), allow_pickle=True)
    with pytest.raises(DamagedError, match=r"train_images\.npy is damaged"):
        read_pool(tmp_path)


NAMES = st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1, unique=True)


@settings(EXAMPLES, max_examples=50)
@given(names=NAMES)
def test_any_names_come_back_from_a_table(tmp_path_factory, names):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    write_table(path, ("image", "label"), [(name, i) for i, name in enumerate(names)])
    rows = read_table(path, ("label", "image"), unique=("image",))
    assert rows == [(str(i), name) for i, name in enumerate(names)]


# Tables: which reader of each, given the folder of `tables`.
TABLES = {
    "images.csv": lambda folder: [
        read_image_names(folder / "images.csv", pool) for pool in ("train", "test")
    ],
    "labels.csv": lambda folder: read_labels(folder / "labels.csv", ALL).tolist(),
    "several.csv": lambda folder: read_label_matrix(folder / "several.csv", ALL, 3).tolist(),
    "meta.json": read_meta,
    "split.csv": lambda folder: split_of(folder),
    "labeled.csv": lambda folder: split_of(folder),
    "similarity.csv": lambda folder: read_scores(
        folder / "similarity.csv", ["s", "t"], metric="parc", representation="features"
    ),
    "weights.csv": lambda folder: read_weights(folder / "weights.csv"),
}
ALL = [f"{pool}-{row:06d}" for pool in ("train", "test") for row in range(9)]


def split_of(folder):
    rows = read_split(folder / "split.csv", folder / "labeled.csv", folder / "images.csv")
    return [values.tolist() for values in rows]


@pytest.fixture
def tables(tmp_path):
    write_pools(tmp_path)
    write_table(tmp_path / "several.csv", ("image", "label"), [(name, "0 2") for name in ALL])
    parts = ["labeled"] * 3 + ["unlabeled"] * 6 + ["test"] * 9
    write_table(tmp_path / "split.csv", ("image", "split"), zip(ALL, parts))
    write_table(tmp_path / "labeled.csv", ("image", "label"), [(ALL[i], i) for i in range(3)])
    columns = ("target", "seed", "source", "representation", "metric", "score")
    rows = [("a", 0, s, "features", "parc", 0.25) for s in "st"]
    write_table(tmp_path / "similarity.csv", columns, rows)
    write_table(tmp_path / "weights.csv", ("source", "weight"), [("s", 0.25), ("t", 0.75)])
    for read in TABLES.values():
        read(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", TABLES)
def test_a_table_cut_short_is_refused(tables, name):
    path = tables / name
    data = path.read_bytes()
    whole = TABLES[name](tables)
    for length in range(len(data)):
        path.write_bytes(data[:length])
        try:
            assert TABLES[name](tables) != whole
        except (DamagedError, DataError) as error:
            assert str(path) in str(error)
        else:
            # Nothing in the file says how many images there were; the array does.
            assert name == "images.csv" and data[:length].endswith(b"\n")


@pytest.mark.parametrize("name", TABLES)
def test_what_is_no_text_is_refused(tables, name):
    @EXAMPLES
    @given(st.binary(max_size=60) | st.text(max_size=40).map(lambda text: text.encode("utf-16")))
    def check(data):
        (tables / name).write_bytes(data)
        with pytest.raises(DamagedError, match="is damaged: "):
            TABLES[name](tables)

    check()


CELLS = st.sampled_from(["", "nan", "-1", "1.5", "1e9", "1" * 30, "٣", " 1", "é", "x", "a\nb"])


@pytest.mark.parametrize("name", [name for name in TABLES if name.endswith(".csv")])
def test_other_cells_make_no_other_error(tables, name):
    path = tables / name
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))

    @EXAMPLES
    @given(st.data())
    def check(data):
        changed = [list(row) for row in rows]
        for _ in range(data.draw(st.integers(1, 3))):
            line = data.draw(st.integers(0, len(rows) - 1))
            column = data.draw(st.integers(0, len(rows[0]) - 1))
            changed[line][column] = data.draw(CELLS | st.sampled_from(rows[0]))
        write_table(path, changed[0], changed[1:])
        try:
            TABLES[name](tables)
            read_pool(tables)
        except (DamagedError, DataError) as error:
            assert str(tables) in str(error)

    check()


BAD_CELLS = {
    "images.csv": [
        (("test-000003", "image"), "test-000004", "'test-000004' is in it twice"),
        (("test-000003", "pool"), "valid", "the unknown pool 'valid'"),
        (("test-000003", "row"), "4", "row 4 of pool test is in it twice"),
        (("test-000003", "row"), "9", "the rows of pool test are not 0 to 8"),
        (("test-000003", "height"), "nan", "the height of 'test-000003' is 'nan', not a whole"),
        (("test-000003", "crc32"), "-1", "the crc32 of 'test-000003' is '-1', not a whole"),
    ],
    "labels.csv": [
        (("test-000003", "label"), "1.0", "the label of 'test-000003' is '1.0', not a whole"),
        (("test-000003", "image"), "x", "no label for 1 images, the first is 'test-000003'"),
        (("test-000003", "image"), "test-000004", "'test-000004' is in it twice"),
    ],
    "several.csv": [
        (("test-000003", "label"), "0 3", "the label of 'test-000003' is '3', not a whole"),
        (("test-000003", "label"), "x", "the label of 'test-000003' is 'x', not a whole"),
    ],
    "split.csv": [
        (("test-000003", "split"), "", "the unknown part ''"),
        (("test-000003", "split"), "labeled", "its images are not those of"),
        (("train-000003", "image"), "x", "its images are not those of"),
        (("train-000000", "split"), "unlabeled", "its images are not those labelled in"),
    ],
    "labeled.csv": [
        (("train-000000", "label"), "nan", "the label of 'train-000000' is 'nan', not a whole"),
        (("train-000000", "image"), "train-000008", "its images are not those labelled in"),
    ],
    "similarity.csv": [
        (("a", "score"), "nan", "the score of 's' is 'nan', not a finite number"),
        (("a", "score"), "inf", "the score of 's' is 'inf', not a finite number"),
        (("a", "source"), "t", "'a, 0, t, features, parc' is in it twice"),
        (("a", "source"), "u", "its parc on features is not of the 2 sources"),
        (("a", "metric"), "cka", "its parc on features is not of the 2 sources"),
        (("a", "seed"), "x", "the seed is 'x', not a whole number"),
    ],
    "weights.csv": [
        (("s", "weight"), "0.5", "its weights are not shares with a sum of 1"),
        (("s", "weight"), "nan", "the weight of 's' is 'nan', not a finite number"),
        (("s", "source"), "t", "'t' is in it twice"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_CELLS)
def test_wrong_cells_are_named(tables, name):
    path = tables / name
    text = path.read_bytes()
    for (row_name, column), value, message in BAD_CELLS[name]:
        path.write_bytes(text)
        with open(path, encoding="utf-8", newline="") as file:
            header, *rows = list(csv.reader(file))
        row = next(row for row in rows if row[0] == row_name)
        row[header.index(column)] = value
        write_table(path, header, rows)
        with pytest.raises((DamagedError, DataError)) as caught:
            TABLES[name](tables)
        assert message in str(caught.value)
        for change in (lambda names: names[1:], lambda names: [*names, names[0]]):
            write_table(path, change(header), [change(row) for row in rows])
            with pytest.raises(DamagedError, match=f"it has no column '{header[0]}', or several"):
                TABLES[name](tables)


@pytest.mark.parametrize(
    "text",
    ["{}", "[]", "null", '{"task": "a"', '{"task": "a", "classes": ["x"], "num_classes": 2}',
     '{"task": "a", "classes": 3, "num_classes": 3}', "[" * 100_000, "\ud800"],
)  # fmt: skip
def test_facts_that_are_none_are_refused(tmp_path, text):
    (tmp_path / "meta.json").write_text(text, errors="surrogatepass")
    with pytest.raises(DamagedError, match=r"meta\.json is damaged"):
        read_meta(tmp_path)
