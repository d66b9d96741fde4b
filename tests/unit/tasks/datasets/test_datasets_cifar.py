"""CIFAR-10's batches, which are pickles, without running what a pickle names."""

import os
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miniature.cifar import pickle_as_python2, write_cifar10
from miniature.pictures import make_picture

from distillweighted.errors import DataError
from distillweighted.tasks.datasets.cifar import read_batch, read_cifar10


@pytest.fixture
def data_root(tmp_path):
    write_cifar10(tmp_path, classes=3, per_class=8, seed=1)
    return tmp_path


def batch_of(labels, **changes):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (len(labels), 3072), np.uint8)
    return {b"data": pixels, b"labels": labels, **changes}


def test_images_labels_and_names_are_the_batches_own(data_root):
    listing = read_cifar10(data_root)
    assert listing.classes == ("airplane", "automobile", "bird")
    assert len(listing.examples) == 24
    # 18 training images go round five batches; images of a class: 0, 1, 2, 4, 5, 6.
    assert [e.name for e in listing.examples][:5] == [
        "data_batch_1/00000",
        "data_batch_1/00001",
        "data_batch_1/00002",
        "data_batch_1/00003",
        "data_batch_2/00000",
    ]
    example = listing.examples[1]
    assert (example.label, example.pool) == (2, "train")
    expected = make_picture("cifar10", 2, 1, height=32, width=32, seed=1)
    np.testing.assert_array_equal(np.asarray(listing.open_image(example)), expected)
    assert listing.path_of(example) == data_root / "cifar-10-batches-py" / "data_batch_1"
    last = listing.examples[-1]
    assert (last.name, last.label, last.pool) == ("test_batch/00005", 2, "test")
    expected = make_picture("cifar10", 2, 7, height=32, width=32, seed=1)
    np.testing.assert_array_equal(np.asarray(listing.open_image(last)), expected)


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("order", ["C", "F"])
def test_pickles_of_python_3_are_read(protocol, order, tmp_path):
    batch = batch_of([0, 1, 2])
    batch[b"data"] = np.asarray(batch[b"data"], order=order)
    (tmp_path / "batch").write_bytes(pickle.dumps(batch, protocol=protocol))
    read = read_batch(tmp_path / "batch")
    np.testing.assert_array_equal(read[b"data"], batch[b"data"])
    assert read[b"data"].dtype == np.uint8 and read[b"labels"] == [0, 1, 2]


def test_texts_as_keys_are_those_of_python_2(tmp_path):
    (tmp_path / "batch").write_bytes(pickle.dumps({"labels": [1], b"other": "x"}))
    assert read_batch(tmp_path / "batch") == {b"labels": [1], b"other": "x"}


def test_the_writer_pickles_as_numpy_reads():
    value = batch_of([4, 300], name=b"x" * 300, number=-7)
    value = {key if isinstance(key, bytes) else key.encode(): v for key, v in value.items()}
    read = pickle.loads(pickle_as_python2(value), encoding="bytes")
    np.testing.assert_array_equal(read.pop(b"data"), value.pop(b"data"))
    assert read == value


class Call:
    """Pickled as a call of a function."""

    def __init__(self, function, *arguments):
        self.parts = function, arguments

    def __reduce__(self):
        return self.parts


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("function", [os.system, eval, getattr, np.load, os.mkdir])
def test_a_pickle_that_names_a_function_is_refused_and_not_run(function, protocol, tmp_path):
    mark = tmp_path / "mark"
    arguments = {os.system: f"touch {mark}", eval: f"open({str(mark)!r}, 'w')"}
    content = {b"data": Call(function, arguments.get(function, str(mark)))}
    (tmp_path / "batch").write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(DataError, match=r"batch is not a batch of CIFAR: it names .*hostile"):
        read_batch(tmp_path / "batch")
    assert not mark.exists()


@pytest.mark.parametrize(
    "code",
    [
        b"(S'touch mark'\nios\nsystem\n.",  # INST
        b"(cos\nsystem\nS'touch mark'\no.",  # OBJ
        b"cos\nsystem\n)\x81.",  # NEWOBJ
        b"cnumpy\nndarray.__class__\n.",
        b"c__main__\nDataError\n.",
        b"Pname\n.",  # a persistent id
        b"\x82\x01.",  # an extension code
        # Attributes of what stands for a function or an array: (None, {...}) BUILD.
        b"c_codecs\nencode\n(N}S'_run'\nN" + b"stb.",
        b"cnumpy\nndarray\n(N}S'x'\nN" + b"stb.",
        b"cnumpy.core.multiarray\n_reconstruct\n)R.",
        b"cnumpy\ndtype\n.",
    ],
)
def test_other_ways_to_call_or_change_something_are_refused(code, tmp_path):
    (tmp_path / "batch").write_bytes(code)
    with pytest.raises(DataError, match="batch is not a batch of CIFAR"):
        read_batch(tmp_path / "batch")
    # And the next file is read as ever.
    (tmp_path / "batch").write_bytes(pickle.dumps({b"labels": [b"x"]}, protocol=2))
    assert read_batch(tmp_path / "batch") == {b"labels": [b"x"]}


@pytest.mark.parametrize("kind", [np.float32, np.int8, object, np.dtype("u1,u1")])
def test_arrays_of_other_types_are_refused(kind, tmp_path):
    (tmp_path / "batch").write_bytes(pickle.dumps({b"data": np.zeros((1, 3072), kind)}))
    with pytest.raises(DataError, match="batch is not a batch of CIFAR"):
        read_batch(tmp_path / "batch")


def test_an_array_with_more_places_than_bytes_is_refused(tmp_path):
    data = pickle_as_python2({b"data": np.zeros((2, 3), np.uint8)})
    wrong = data.replace(struct.pack("<BiBi", 74, 2, 74, 3), struct.pack("<BiBi", 74, 2, 74, 9))
    assert wrong != data
    (tmp_path / "batch").write_bytes(wrong)
    with pytest.raises(DataError, match=r"an array \[2, 9\] of type u1"):
        read_batch(tmp_path / "batch")


@given(st.integers(0, 400), st.integers(0, 255))
@settings(max_examples=60)
def test_a_damaged_pickle_is_an_error_or_a_dictionary(tmp_path_factory, at, value):
    data = bytearray(pickle_as_python2({b"data": np.zeros((2, 9), np.uint8), b"labels": [1, 2]}))
    data[at % len(data)] = value
    path = tmp_path_factory.mktemp("batches") / "batch"
    path.write_bytes(data)
    try:
        assert isinstance(read_batch(path), dict)
    except DataError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (batch_of([0, 3]), "image 1 has the unknown class 3"),
        (batch_of([0, -1]), "image 1 has the unknown class -1"),
        (batch_of([0, True]), "image 1 has the unknown class True"),
        ({**batch_of([0, 1]), b"labels": [0]}, r"\[2, 3072\] and the labels are 1"),
        ({b"data": np.zeros((1, 3071), np.uint8), b"labels": [0]}, r"\[1, 3071\]"),
        ({b"labels": [0]}, "no array 'data'"),
        ({b"data": np.zeros((1, 3072), np.uint8)}, "no list 'labels'"),
        (batch_of([]), "the labels are 0"),
    ],
)
def test_a_batch_that_does_not_fit_is_named(batch, message, data_root):
    path = data_root / "cifar-10-batches-py" / "data_batch_3"
    path.write_bytes(pickle.dumps(batch))
    with pytest.raises(DataError, match=rf"data_batch_3: .*{message}"):
        read_cifar10(data_root)


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({}, "no list of class names"),
        ({b"label_names": []}, "no list of class names"),
        ({b"label_names": [b"cat", b"cat"]}, "two classes have the same name"),
        ({b"label_names": [b"\xff"]}, "not ASCII"),
    ],
)
def test_class_names_that_do_not_fit_are_an_error(meta, message, data_root):
    (data_root / "cifar-10-batches-py" / "batches.meta").write_bytes(pickle_as_python2(meta))
    with pytest.raises(DataError, match=rf"batches\.meta: .*{message}"):
        read_cifar10(data_root)


def test_a_missing_batch_is_named(data_root):
    (data_root / "cifar-10-batches-py" / "data_batch_4").unlink()
    with pytest.raises(DataError, match="data_batch_4 is missing"):
        read_cifar10(data_root)
