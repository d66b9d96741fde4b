"""The data sets of VTAB Natural and Specialized, read from miniature copies."""

import importlib.util
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from miniature import vtab
from miniature.cifar import pickle_as_python2
from miniature.pictures import make_picture, vary_size
from PIL import Image
from scipy.io import loadmat, savemat

from distillweighted.errors import DataError
from distillweighted.tasks.datasets import PAPER, vtab_natural, vtab_specialized
from distillweighted.tasks.datasets.vtab_natural import VTAB_NATURAL
from distillweighted.tasks.datasets.vtab_specialized import VTAB_SPECIALIZED

DATASETS = {**vtab_natural.DATASETS, **vtab_specialized.DATASETS}
COUNTS = {
    "cifar100": (100, 50_000, 10_000),
    "dtd": (47, 3_760, 1_880),
    "flowers102": (102, 2_040, 6_149),
    "sun397": (397, 108_753, 0),
    "svhn": (10, 73_257, 26_032),
    "resisc45": (45, 31_500, 0),
    "pcam": (2, 294_912, 32_768),
    "diabetic_retinopathy": (5, 35_126, 0),
}
BY_HAND = {"resisc45", "pcam", "diabetic_retinopathy"}
IN_ARRAYS = {"cifar100", "svhn", "pcam"}


@pytest.fixture(autouse=True)
def h5py(monkeypatch):
    """h5py, or what stands for it where it is not installed."""
    if importlib.util.find_spec("h5py"):
        return importlib.import_module("h5py")
    module = vtab.stand_in_for_h5py()
    monkeypatch.setitem(sys.modules, "h5py", module)
    return module


@pytest.fixture
def write(tmp_path):
    """Writes a miniature of a data set; gives what reads it."""

    def write(name, *, classes=3, per_class=4):
        vtab.WRITERS[name](tmp_path, classes=classes, per_class=per_class, seed=5)
        return lambda: DATASETS[name].read(tmp_path)

    return write


def labels_of(listing):
    return {example.name: example.label for example in listing.examples}


def names_in(listing, pool):
    return [example.name for example in listing.examples if example.pool == pool]


def pixels_of(listing, name):
    example = next(example for example in listing.examples if example.name == name)
    image = listing.open_image(example)
    assert image.mode == "RGB"
    return np.asarray(image)


def picture(task, label, index, *, size=None):
    height, width = size or vary_size(task, label, index, size=40, seed=5)
    return make_picture(task, label, index, height=height, width=width, seed=5)


def assert_nearly(pixels, wanted):
    """As JPEG keeps them, of which noise is the worst case."""
    assert pixels.shape == wanted.shape
    assert np.abs(pixels.astype(int) - wanted).mean() < 5


def replace_line(path, number, text):
    """Put `text` in place of a line of a file, counted from 1."""
    lines = path.read_text().split("\n")
    lines[number - 1] = text
    path.write_text("\n".join(lines))


# What the tables say.


def test_the_tasks_are_vtab_s_and_each_has_a_reader():
    paper = {data_set.name for data_set in PAPER}
    assert len(VTAB_NATURAL) == 7 and len(VTAB_SPECIALIZED) == 4
    assert set(VTAB_NATURAL) == paper & set(VTAB_NATURAL) | set(vtab_natural.DATASETS)
    assert set(VTAB_SPECIALIZED) == paper & set(VTAB_SPECIALIZED) | set(vtab_specialized.DATASETS)
    assert paper.isdisjoint(DATASETS)
    assert set(vtab.WRITERS) == set(DATASETS)


def test_the_published_counts():
    assert {d.name: (d.num_classes, d.num_train, d.num_test) for d in DATASETS.values()} == COUNTS
    assert all(DATASETS[name].name == name for name in DATASETS)


def test_files_have_what_a_download_needs_or_say_what_a_person_has_to_do():
    for data_set in DATASETS.values():
        for files in data_set.files:
            assert not files.path.startswith("/") and ".." not in files.path
            assert files.size > 0 and files.origin.startswith("http")
            assert (files.url is None) == (data_set.name in BY_HAND)
            if files.url:
                assert len(bytes.fromhex(files.checksum.removeprefix("md5:"))) == 16
                # A download is either an archive or the file itself.
                assert (files.unpack is None) == files.path.endswith(files.url.split("/")[-1])
    assert vtab_natural.SVHN.files[0].origin == (
        "http://ufldl.stanford.edu/housenumbers/: put train_32x32.mat into svhn/"
    )
    assert vtab_natural.DTD.files[0].origin == (
        "https://www.robots.ox.ac.uk/~vgg/data/dtd/: unpack dtd-r1.0.1.tar.gz into dtd/"
    )


def test_addresses_and_checksums_are_torchvision_s():
    # Its sources are read: importing them takes longer than all else here.
    (package,) = importlib.util.find_spec("torchvision").submodule_search_locations
    for name in sorted(set(DATASETS) - {"resisc45", "diabetic_retinopathy"}):
        module = {"cifar100": "cifar"}.get(name, name)
        source = (Path(package) / "datasets" / f"{module}.py").read_text()
        for files in DATASETS[name].files:
            if files.url:
                address = files.url
                if name == "flowers102":
                    prefix, _, file = address.rpartition("/")
                    assert f'"{prefix}/"' in source
                    address = file
                assert f'"{address}"' in source
                digest = files.checksum.removeprefix("md5:")
            else:
                address, digest = re.search(r"unpack (\S+)\.gz, md5 (\w+),", files.origin).groups()
                assert files.path == f"pcam/{address}"
            after = source.index(f'"{address}"')
            assert f'"{digest}"' in source[after - 200 : after + 200]


def test_importing_the_tables_loads_nothing_heavy():
    code = (
        "import sys; from distillweighted.tasks.datasets import vtab_natural, vtab_specialized; "
        "heavy = {'torch', 'torchvision', 'scipy', 'pandas', 'numpy', 'PIL', "
        "'h5py'} & set(sys.modules); sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    library = Path(__file__).parents[4] / "workflow_scripts"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=library, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")


# What holds for each of them.


@pytest.mark.parametrize("name", DATASETS)
def test_a_miniature_is_read_with_its_classes_and_pools(name, write, tmp_path):
    listing = write(name)()
    classes = {"pcam": 2}.get(name, 3)
    listed = {"svhn": 10, "diabetic_retinopathy": 5}.get(name, classes)
    assert len(listing.classes) == len(set(listing.classes)) == listed
    assert Counter(e.label for e in listing.examples) == dict.fromkeys(range(classes), 4)
    official = {"train": 3 * classes, "test": classes}
    pools = official if DATASETS[name].official_split else {None: 4 * classes}
    assert Counter(e.pool for e in listing.examples) == pools
    assert len(labels_of(listing)) == 4 * classes
    assert all((tmp_path / files.path).exists() for files in DATASETS[name].files)
    for example in listing.examples:
        assert listing.path_of(example).is_file()
        assert listing.path_of(example).is_relative_to(tmp_path)


@pytest.mark.parametrize("name", DATASETS)
def test_the_order_is_the_same_each_time(name, write):
    read = write(name)
    assert read().examples == read().examples


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_that_is_not_there_is_an_error_that_names_its_place(name, tmp_path):
    with pytest.raises(DataError, match="is missing") as error:
        DATASETS[name].read(tmp_path)
    assert str(tmp_path / DATASETS[name].files[0].path.split("/")[0]) in str(error.value)


@pytest.mark.parametrize("name", sorted(set(DATASETS) - IN_ARRAYS))
def test_a_truncated_image_is_an_error_that_names_it(name, write):
    listing = write(name)()
    path = listing.path_of(listing.examples[1])
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DataError) as error:
        listing.open_image(listing.examples[1])
    assert str(path) in str(error.value)


@pytest.mark.parametrize("name", ["dtd", "flowers102", "diabetic_retinopathy"])
def test_a_listed_image_without_a_file_is_named(name, write):
    read = write(name)
    listing = read()
    listing.path_of(listing.examples[2]).unlink()
    message = f"1 of 12 images are missing, the first is '{listing.examples[2].name}'"
    with pytest.raises(DataError, match=message):
        read()


@pytest.mark.parametrize("name", sorted(IN_ARRAYS))
def test_a_truncated_array_is_an_error_that_names_its_file(name, write):
    read = write(name)
    listing = read()
    path = listing.path_of(listing.examples[-1])
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError) as error:
        read()
    assert str(path) in str(error.value)


# CIFAR-100.


def test_cifar100_has_fine_labels(write):
    listing = write("cifar100")()
    assert listing.classes == ("apple", "aquarium_fish", "baby")
    assert labels_of(listing)["train/000004"] == 1
    np.testing.assert_array_equal(
        pixels_of(listing, "train/000004"), picture("cifar100", 1, 1, size=(32, 32))
    )
    np.testing.assert_array_equal(
        pixels_of(listing, "test/000002"), picture("cifar100", 2, 3, size=(32, 32))
    )


def test_cifar100_runs_no_code_of_a_pickle(write, tmp_path):
    read = write("cifar100")
    ran = tmp_path / "ran"
    hostile = f"cos\nsystem\n(S'touch {ran}'\ntR."
    (tmp_path / "cifar-100-python" / "test").write_bytes(hostile.encode())
    with pytest.raises(DataError, match=r"cifar-100-python/test .*os\.system"):
        read()
    assert not ran.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({b"fine_labels": [0, 1, 3]}, "image 2 has the unknown class 3"),
        ({b"fine_labels": [0, 1]}, r"the images are an array \[3, 3072\] and the labels are 2"),
        ({b"labels": [0, 1, 2]}, "no list 'fine_labels'"),
    ],
)
def test_cifar100_checks_labels(change, message, write, tmp_path):
    read = write("cifar100")
    content = {b"data": np.zeros((3, 3072), np.uint8), **change}
    (tmp_path / "cifar-100-python" / "test").write_bytes(pickle_as_python2(content))
    with pytest.raises(DataError, match=f"cifar-100-python/test: .*{message}"):
        read()


# DTD.


def test_dtd_is_split_by_its_first_split_with_val_for_training(write):
    listing = write("dtd")()
    assert listing.classes == ("banded", "blotchy", "braided")
    assert names_in(listing, "test") == [
        f"images/{name}/{name}_0003.jpg" for name in listing.classes
    ]
    train = names_in(listing, "train")
    assert train[:2] == ["images/banded/banded_0000.jpg", "images/banded/banded_0001.jpg"]
    assert train[6:] == [f"images/{name}/{name}_0002.jpg" for name in listing.classes]
    assert labels_of(listing)["images/blotchy/blotchy_0002.jpg"] == 1
    assert_nearly(pixels_of(listing, "images/blotchy/blotchy_0002.jpg"), picture("dtd", 1, 2))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("banded", r"labels/val1\.txt, line 2: expected class/image; found 'banded'"),
        ("banded/x/y.jpg", r"line 2: expected class/image"),
        ("woven/woven_0001.jpg", r"val1\.txt, line 2: 'woven' is not a folder of .*images"),
        (
            "banded/banded_0000.jpg",
            r"val1\.txt, line 2: the image .* twice, first in .*train1\.txt, line 1",
        ),
        ("banded/..", r"val1\.txt, line 2: .* is not a path under"),
        ("../secret.jpg", r"val1\.txt, line 2: '\.\.' is not a folder of"),
    ],
)
def test_dtd_names_the_line_that_is_wrong(line, message, write, tmp_path):
    read = write("dtd")
    replace_line(tmp_path / "dtd/dtd/labels/val1.txt", 2, line)
    with pytest.raises(DataError, match=message):
        read()


def test_dtd_has_no_class_without_images(write, tmp_path):
    read = write("dtd")
    (tmp_path / "dtd/dtd/images/.cache").mkdir()
    assert len(read().classes) == 3
    (tmp_path / "dtd/dtd/images/woven").mkdir()
    with pytest.raises(DataError, match="labels: no image of 'woven' is listed"):
        read()


# Flowers-102.


def test_flowers_are_numbered_from_1(write):
    listing = write("flowers102")()
    assert listing.classes == ("flower 1", "flower 2", "flower 3")
    assert names_in(listing, "train") == [f"jpg/image_{n:05d}.jpg" for n in range(1, 10)]
    assert names_in(listing, "test") == [f"jpg/image_{n:05d}.jpg" for n in (10, 11, 12)]
    labels = labels_of(listing)
    assert [labels[f"jpg/image_{n:05d}.jpg"] for n in (1, 2, 3, 4)] == [0, 1, 2, 0]
    assert_nearly(pixels_of(listing, "jpg/image_00005.jpg"), picture("flowers102", 1, 1))


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("setid", {"valid": [[7, 8, 13]]}, r"setid\.mat, valid, entry 3: image 13 has no label"),
        ("setid", {"valid": [[0, 8, 9]]}, r"setid\.mat, valid, entry 1: image 0 has no label"),
        (
            "setid",
            {"valid": [[7, 3, 9]]},
            r"valid, entry 2: .* twice, first in .*setid\.mat, trnid, entry 3",
        ),
        ("setid", {"valid": [[7, 8.5, 9]]}, r"setid\.mat: .* not all whole numbers"),
        ("setid", {"valid": ["789"]}, r"setid\.mat is not a MATLAB file with trnid, valid, tstid"),
        ("imagelabels", {"labels": [[1, 2, 0] * 4]}, r"imagelabels\.mat, entry 3: class ids"),
        ("imagelabels", {"labels": [[1, 2, 5] * 4]}, r"imagelabels\.mat: the class ids are not"),
        ("imagelabels", {"labels": [[1, 2, 3]]}, r"image 4 has no label in .*which has 3"),
        ("imagelabels", {"classes": [[1]], "labels": None}, r"imagelabels\.mat is not a MATLAB"),
    ],
)
def test_flowers_name_the_entry_that_is_wrong(file, change, message, write, tmp_path):
    read = write("flowers102")
    path = tmp_path / "flowers-102" / f"{file}.mat"
    content = {**loadmat(path), **change}
    savemat(path, {n: v for n, v in content.items() if n[0] != "_" and v is not None})
    with pytest.raises(DataError, match=message):
        read()


def test_flowers_may_be_floating_point_numbers(write, tmp_path):
    read = write("flowers102")
    before = read()
    path = tmp_path / "flowers-102" / "imagelabels.mat"
    savemat(path, {"labels": loadmat(path)["labels"].astype(float)})
    assert read().examples == before.examples


@pytest.mark.parametrize("file", ["imagelabels.mat", "setid.mat"])
def test_flowers_need_files_of_matlab(file, write, tmp_path):
    read = write("flowers102")
    (tmp_path / "flowers-102" / file).write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match=f"{file} is not a MATLAB file"):
        read()


# SUN397.


def test_scenes_may_be_nested_and_the_damaged_one_is_left_out(write, tmp_path):
    listing = write("sun397", classes=7)()
    assert listing.classes == (
        "abbey",
        "apartment_building/outdoor",
        "church/outdoor",
        "creek",
        "library/indoor",
        "library/outdoor",
        "zoo",
    )
    labels = labels_of(listing)
    assert labels["a/apartment_building/outdoor/sun_abxyz.jpg"] == 1
    assert labels["l/library/outdoor/sun_aaxyz.jpg"] == 5
    assert (tmp_path / "SUN397" / vtab_natural.UNREADABLE_SCENE).exists()
    assert vtab_natural.UNREADABLE_SCENE not in labels
    assert list(labels)[4:6] == [
        "a/apartment_building/outdoor/sun_aaxyz.jpg",
        "a/apartment_building/outdoor/sun_abxyz.jpg",
    ]
    assert_nearly(pixels_of(listing, "z/zoo/sun_adxyz.jpg"), picture("sun397", 6, 3))


def test_scenes_may_be_png_files_called_jpg(write):
    listing = write("sun397")()
    np.testing.assert_array_equal(
        pixels_of(listing, "a/abbey/sun_aaxyz.jpg"), picture("sun397", 0, 0, size=(40, 40))
    )


def test_labels_of_scenes_follow_the_list_of_classes(write, tmp_path):
    read = write("sun397")
    path = tmp_path / "SUN397" / "ClassName.txt"
    path.write_text("/c/church/outdoor\n/a/abbey\r\n\n/a/apartment_building/outdoor")
    listing = read()
    assert listing.classes == ("church/outdoor", "abbey", "apartment_building/outdoor")
    assert labels_of(listing)["a/abbey/sun_acxyz.jpg"] == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("abbey", r"ClassName\.txt, line 2: expected a class as /a/abbey; found 'abbey'"),
        ("/a", "line 2: expected a class"),
        ("/b/abbey", "line 2: expected a class"),
        ("/a/apartment_building//outdoor", "line 2: expected a class"),
        ("/a/abbey", r"ClassName\.txt, line 2: the class '/a/abbey' is listed twice"),
        ("", r"SUN397/a/apartment_building/outdoor has images, but is no class"),
        ("/a/apartment_building", r"a/apartment_building/outdoor has images, but is no class"),
        (
            "/a/apartment_building/outdoor\n/a/attic",
            r"the class /a/attic of ClassName\.txt has no image",
        ),
    ],
)
def test_a_wrong_class_of_scenes_is_named(line, message, write, tmp_path):
    read = write("sun397")
    replace_line(tmp_path / "SUN397" / "ClassName.txt", 2, line)
    with pytest.raises(DataError, match=message):
        read()


# SVHN.


def test_the_digit_0_is_labelled_10_in_svhn(write, tmp_path):
    listing = write("svhn")()
    published = loadmat(tmp_path / "svhn" / "train_32x32.mat")
    assert published["y"][:4].ravel().tolist() == [10, 1, 2, 10]
    assert published["X"].shape == (32, 32, 3, 9)
    assert listing.classes == tuple("0123456789")
    labels = labels_of(listing)
    assert [labels[f"train/{row:06d}"] for row in range(4)] == [0, 1, 2, 0]
    for name, digit, index in (("train/000003", 0, 1), ("test/000001", 1, 3)):
        np.testing.assert_array_equal(
            pixels_of(listing, name), picture("svhn", digit, index, size=(32, 32))
        )


def test_svhn_is_loaded_once(write, monkeypatch):
    import scipy.io

    loads = []
    monkeypatch.setattr(
        scipy.io, "loadmat", lambda *args, **keys: loads.append(1) or loadmat(*args, **keys)
    )
    listing = write("svhn")()
    for example in listing.examples:
        listing.open_image(example)
    assert len(loads) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.array([[10], [1], [0]])}, "image 2 has the unknown class 0"),
        ({"y": np.array([[10], [11], [2]])}, "image 1 has the unknown class 11"),
        (
            {"y": np.array([[10], [1]])},
            r"X is an array \[32, 32, 3, 3\] of type uint8 for 2 labels",
        ),
        ({"X": np.zeros((3, 32, 32, 3), np.uint8)}, r"X is an array \[3, 32, 32, 3\]"),
        ({"X": np.zeros((32, 32, 3, 3))}, "of type float64"),
        ({"X": np.zeros((32, 32, 3, 0), np.uint8), "y": np.zeros((0, 1))}, "for 0 labels"),
        ({"y": np.array([["a"], ["b"], ["c"]])}, "is not a MATLAB file with X, y"),
    ],
)
def test_svhn_checks_its_arrays(change, message, write, tmp_path):
    read = write("svhn")
    path = tmp_path / "svhn" / "test_32x32.mat"
    savemat(
        path, {name: value for name, value in {**loadmat(path), **change}.items() if name in "Xy"}
    )
    with pytest.raises(DataError, match=rf"svhn/test_32x32\.mat.*{message}"):
        read()


# RESISC45.


def test_resisc45_has_one_folder_a_class(write):
    listing = write("resisc45")()
    assert listing.classes == ("airplane", "airport", "baseball_diamond")
    name = "NWPU-RESISC45/airport/airport_003.jpg"
    assert labels_of(listing)[name] == 1
    assert_nearly(pixels_of(listing, name), picture("resisc45", 1, 2, size=(40, 40)))


def test_resisc45_has_images_alone(write, tmp_path):
    read = write("resisc45")
    (tmp_path / "NWPU-RESISC45" / "airport" / "notes.txt").write_text("!")
    with pytest.raises(DataError, match=r"airport/notes\.txt is not an image"):
        read()


# PCAM.


def patch_file(root, split, kind):
    return root / "pcam" / f"camelyonpatch_level_2_split_{split}_{kind}.h5"


def test_pcam_has_valid_for_training(write, tmp_path):
    listing = write("pcam")()
    assert listing.classes == ("no tumour", "tumour")
    assert names_in(listing, "test") == ["test/000000", "test/000001"]
    assert names_in(listing, "train") == [
        *(f"train/{row:06d}" for row in range(4)),
        *(f"valid/{row:06d}" for row in range(2)),
    ]
    assert labels_of(listing)["valid/000001"] == 1
    for name, label, index in (("train/000002", 0, 1), ("valid/000001", 1, 2)):
        np.testing.assert_array_equal(
            pixels_of(listing, name), picture("pcam", label, index, size=(40, 40))
        )
    assert listing.path_of(listing.examples[-1]) == patch_file(tmp_path, "test", "x")


def test_pcam_is_read_row_by_row(write, monkeypatch):
    class Rows:
        def __init__(self, array):
            self.array, self.shape, self.dtype = array, array.shape, array.dtype

        def __getitem__(self, row):
            rows.append(row)
            return self.array[row]

    rows, open_array = [], vtab_specialized._open_array
    monkeypatch.setattr(
        vtab_specialized,
        "_open_array",
        lambda path, name: (Rows if name == "x" else lambda labels: labels)(open_array(path, name)),
    )
    listing = write("pcam")()
    assert rows == []
    listing.open_image(listing.examples[5])
    assert rows == [1]


def test_pcam_without_h5py_says_what_to_install(write, monkeypatch):
    read = write("pcam")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match=r"train_x\.h5 can only be read with h5py.*pip install"):
        read()


@pytest.mark.parametrize(
    ("kind", "array", "values", "message"),
    [
        ("y", "y", np.array([[[[0]]], [[[2]]]]), "test_y.h5: image 1 has the unknown class 2"),
        ("y", "y", np.array([0]), r"test_x.h5: x is an array \[2, 40, 40, 3\] .* for 1 labels"),
        ("y", "labels", np.array([0, 1]), "test_y.h5 is not a file of PCAM: there is no 'y' in it"),
        ("y", "y", np.zeros(0, np.uint8), "test_y.h5 is not a file of PCAM: 'y' is empty"),
        ("x", "x", np.zeros((2, 3, 9, 9), np.uint8), r"test_x.h5: x is an array \[2, 3, 9, 9\]"),
        ("x", "x", np.zeros((2, 9, 9, 3)), "test_x.h5: x is an array .* of type float64"),
    ],
)
def test_pcam_checks_its_arrays(kind, array, values, message, write, h5py, tmp_path):
    read = write("pcam")
    with h5py.File(patch_file(tmp_path, "test", kind), "w") as file:
        file.create_dataset(array, data=values)
    with pytest.raises(DataError, match=message):
        read()


@pytest.mark.parametrize("attribute", ["external", "is_virtual"])
def test_pcam_reads_no_other_file_that_an_array_names(attribute, write, h5py, monkeypatch):
    read = write("pcam")
    monkeypatch.setattr(h5py.Dataset, attribute, [("/etc/passwd", 0, 8)])
    with pytest.raises(DataError, match="'x' is not an array with its contents in it"):
        read()


def test_a_row_of_pcam_that_cannot_be_read_is_named(write, monkeypatch):
    listing = write("pcam")()
    monkeypatch.setattr(Image, "fromarray", lambda _: 1 / 0)
    with pytest.raises(DataError, match=r"train_x\.h5: image 000003 cannot be read"):
        listing.open_image(listing.examples[3])


# Diabetic Retinopathy.


def test_retinopathy_is_graded_from_0_to_4(write):
    listing = write("diabetic_retinopathy", classes=5)()
    assert listing.classes == ("no retinopathy", "mild", "moderate", "severe", "proliferative")
    labels = labels_of(listing)
    assert list(labels)[:3] == ["train/10_left.jpeg", "train/10_right.jpeg", "train/11_left.jpeg"]
    assert [labels[name] for name in list(labels)[:6]] == [0, 1, 2, 3, 4, 0]
    assert_nearly(pixels_of(listing, "train/11_right.jpeg"), picture("diabetic_retinopathy", 3, 0))


@pytest.mark.parametrize(
    ("number", "line", "message"),
    [
        (1, "image,label", r"trainLabels\.csv, line 1: the header is not image,level"),
        (3, "10_right,5", r"line 3: '10_right' has the unknown class 5"),
        (3, "10_right,-1", r"line 3: the level '-1' is not a number"),
        (3, "10_right", r"line 3: 1 cells, where the header has 2"),
        (3, "10_left,1", r"line 3: the image .* is listed twice, first in .*line 2"),
        (3, "../10_right,1", r"line 3: '\.\./10_right' is not the name of an image"),
        (3, "..\\10_right,1", r"line 3: .* is not a path under"),
        (3, "99_left,1", r"1 of 12 images are missing, the first is 'train/99_left\.jpeg'"),
    ],
)
def test_a_wrong_line_of_retinopathy_is_named(number, line, message, write, tmp_path):
    read = write("diabetic_retinopathy")
    replace_line(tmp_path / "diabetic-retinopathy" / "trainLabels.csv", number, line)
    with pytest.raises(DataError, match=message):
        read()


def test_an_empty_table_of_retinopathy_is_an_error(write, tmp_path):
    read = write("diabetic_retinopathy")
    table = tmp_path / "diabetic-retinopathy" / "trainLabels.csv"
    table.write_text("")
    with pytest.raises(DataError, match=r"trainLabels\.csv: the header is not image,level"):
        read()
    table.write_text("image,level\n")
    with pytest.raises(DataError, match="no image is listed"):
        read()
