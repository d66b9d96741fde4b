"""Data sets from strangers: paths and links that leave them, and files that say they are huge."""

import io
import os
import struct
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from miniature import WRITERS
from miniature.vtab import WRITERS as VTAB_WRITERS
from PIL import Image, PngImagePlugin
from scipy.io import savemat

from distillweighted.errors import DataError
from distillweighted.tasks.datasets.cifar import read_batch
from distillweighted.tasks.datasets.folders import read_class_folders
from distillweighted.tasks.datasets.reading import (
    MAX_BYTES,
    open_rgb,
    read_bytes,
    read_csv,
    read_fields,
    read_matlab,
)
from distillweighted.tasks.datasets.registry import DATASETS

MINI = {"classes": 2, "per_class": 4, "seed": 0}

# Of each data set with a list of images: the list, what it calls an image, and a line of one.
LISTS = {
    "cub200": ("CUB_200_2011/images.txt", "{path}", 2),
    "nabird": ("nabirds/images.txt", "{path}", 2),
    "isic": ("isic2018/ISIC2018_Task3_Training_GroundTruth.csv", "{path}", 2),
    "chestx": ("chestx/Data_Entry_2017.csv", "{path}", 2),
    "voc2007": ("VOCdevkit/VOC2007/ImageSets/Main/train.txt", "{path}", 2),
    "oxford_pets": ("oxford-iiit-pet/annotations/trainval.txt", "{path}_1", 2),
    "dtd": ("dtd/dtd/labels/train1.txt", "{path}", 2),
    "sun397": ("SUN397/ClassName.txt", "/a/{path}", 2),
    "diabetic_retinopathy": ("diabetic-retinopathy/trainLabels.csv", "{path}", 2),
}
SUFFIXED = ("isic", "voc2007", "diabetic_retinopathy")
"""Their lists have names without .jpg."""
AWAY = ["../../../../etc/passwd", "/etc/passwd", "..", "a/../../../x", "x\\..\\y", "./x"]


@pytest.mark.parametrize("path", AWAY)
@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_names_a_file_elsewhere_is_refused_by_its_line(name, path, tmp_path):
    if (path == ".." and name in SUFFIXED) or (path == "a/../../../x" and name == "sun397"):
        pytest.skip("a file called ...jpg, and a folder that is looked for, are where they must be")
    {**WRITERS, **VTAB_WRITERS}[name](tmp_path, **MINI)
    file, text, line = LISTS[name]
    lines = (tmp_path / file).read_text().split("\n")
    old = lines[line - 1]
    # The name is where the image's or class's own was.
    separator = "," if file.endswith(".csv") else " "
    fields = old.split(separator)
    place = 1 if name in ("cub200", "nabird") else 0
    fields[place] = text.format(path=path)
    lines[line - 1] = separator.join(fields)
    (tmp_path / file).write_text("\n".join(lines))
    with pytest.raises(DataError) as caught:
        DATASETS[name].read(tmp_path)
    assert f"{tmp_path / file}, line {line}: " in str(caught.value)


def test_a_matlab_list_that_names_a_file_elsewhere_is_refused_by_its_row(tmp_path):
    WRITERS["stanford_dogs"](tmp_path, **MINI)
    files = np.array([["n1-a/x.jpg"], ["../../../etc/passwd"]], object)
    path = tmp_path / "stanford_dogs/train_list.mat"
    savemat(path, {"file_list": files, "labels": np.array([[1], [2]])})
    with pytest.raises(DataError, match=r"train_list\.mat, row 2: 'Images/\.\./\.\./.*not a path"):
        DATASETS["stanford_dogs"].read(tmp_path)


FOLDERS = {
    "cub200": "CUB_200_2011/images",
    "nabird": "nabirds/images",
    "isic": "isic2018/ISIC2018_Task3_Training_Input",
    "chestx": "chestx/images",
    "voc2007": "VOCdevkit/VOC2007/JPEGImages",
    "oxford_pets": "oxford-iiit-pet/images",
    "stanford_dogs": "stanford_dogs/Images",
    "eurosat": "eurosat/2750",
    "caltech101": "caltech101/101_ObjectCategories",
    "dtd": "dtd/dtd/images",
    "resisc45": "NWPU-RESISC45",
}


@pytest.mark.parametrize("name", FOLDERS)
def test_an_image_that_is_a_link_out_of_its_data_set_is_refused(name, tmp_path):
    root = tmp_path / "data"
    {**WRITERS, **VTAB_WRITERS}[name](root, **MINI)
    listing = DATASETS[name].read(root)
    image = listing.path_of(listing.examples[3])
    secret = tmp_path / "secret.jpg"
    image.rename(secret)
    image.symlink_to(secret)
    with pytest.raises(DataError, match=r"' is a link out of .*, to .*secret\.jpg") as caught:
        DATASETS[name].read(root)
    assert listing.examples[3].name in str(caught.value)
    # Within the data set it is no matter.
    image.unlink()
    (root / FOLDERS[name]).parent.mkdir(exist_ok=True)
    inside = image.with_name("." + image.name)
    secret.rename(inside)
    image.symlink_to(inside)
    assert DATASETS[name].read(root).examples == listing.examples


def test_a_folder_that_is_a_link_out_of_its_data_set_is_refused(tmp_path):
    WRITERS["cub200"](tmp_path / "data", **MINI)
    images = tmp_path / "data/CUB_200_2011/images"
    images.rename(tmp_path / "elsewhere")
    images.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"images\.txt, line 1: 'images/.* is a link out of"):
        DATASETS["cub200"].read(tmp_path / "data")
    # A person may keep a whole data set elsewhere.
    images.unlink()
    (tmp_path / "elsewhere").rename(images)
    (tmp_path / "data").rename(tmp_path / "disk")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/CUB_200_2011").symlink_to(tmp_path / "disk/CUB_200_2011")
    assert DATASETS["cub200"].read(tmp_path / "data").examples


def test_a_name_that_is_not_utf_8_is_refused(tmp_path):
    folder = os.fsencode(tmp_path) + b"/data/caf\xe9"
    os.makedirs(folder)
    with open(folder + b"/a.jpg", "wb"):
        pass
    with pytest.raises(DataError, match=r"'data/caf\\udce9/a\.jpg' is not UTF-8") as caught:
        read_class_folders(tmp_path, "data")
    assert "rename" in str(caught.value)


# Files that say they are huge: refused at once, without the memory.


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *chunks):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    end = [png_chunk(b"IDAT", zlib.compress(b"\0" * 10)), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join([png_chunk(b"IHDR", header), *chunks, *end])


def saved(kind, **options):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, kind, **options)
    return file.getvalue()


def jpeg(width, height):
    data = bytearray(saved("JPEG"))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def bmp(width, height):
    data = bytearray(saved("BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def gif(width, height, *, frame):
    """A GIF whose screen, or whose first frame, is so large."""
    data = bytearray(saved("GIF"))
    place = data.index(b"\x2c") + 5 if frame else 6
    data[place : place + 4] = struct.pack("<HH", width, height)
    return bytes(data)


def turned(data):
    """With an EXIF part of 60 kB: half a million tags that are not there."""
    exif = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\0\x04\xff\xff\xff\xff\0\0\0\x08" * 5000
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


ZEROS = zlib.compress(bytes(200_000_000), 9)
BOMBS = {
    "png": png(60_000, 60_000),
    "png of one row": png(2**31 - 1, 1),
    "png of one column": png(1, 2**31 - 1),
    "png with a text": png(8, 8, png_chunk(b"zTXt", b"a\0\0" + ZEROS)),
    "png with a long text": png(8, 8, png_chunk(b"iTXt", b"a\0\1\0\0\0" + ZEROS)),
    "png with a profile": png(8, 8, png_chunk(b"iCCP", b"a\0\0" + ZEROS)),
    "jpeg": jpeg(65_000, 65_000),
    "bmp": bmp(60_000, 60_000),
    "bmp, upside down": bmp(60_000, -60_000),
    "gif": gif(60_000, 60_000, frame=False),
    "gif with a large frame": gif(60_000, 60_000, frame=True),
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_small_file_that_is_a_huge_image_is_refused_at_once(name, tmp_path):
    (tmp_path / "bomb.jpg").write_bytes(BOMBS[name])
    assert len(BOMBS[name]) < 250_000
    started = time.monotonic()
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"bomb\.jpg cannot be read as an image"):
            open_rgb(tmp_path / "bomb.jpg")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < 2


def test_odd_parts_of_an_image_take_no_time(tmp_path):
    """Its EXIF claims to be of gigabytes, and of an animation only the first picture is read."""
    (tmp_path / "a.jpg").write_bytes(turned(saved("JPEG")))
    started = time.monotonic()
    assert open_rgb(tmp_path / "a.jpg").size == (8, 8)
    frames = [Image.new("RGB", (8, 8), (i % 256, 0, 0)) for i in range(2000)]
    frames[0].save(tmp_path / "b.jpg", "GIF", save_all=True, append_images=frames[1:])
    info = PngImagePlugin.PngInfo()
    info.add_text("a", "b" * 1000, zip=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "c.jpg", "PNG", pnginfo=info)
    assert open_rgb(tmp_path / "b.jpg").getpixel((0, 0)) == (0, 0, 0)
    assert open_rgb(tmp_path / "c.jpg").size == (8, 8)
    assert time.monotonic() - started < 5


def memo_at(place):
    """An empty dictionary that a pickle keeps under a number."""
    return b"\x80\x02}r" + struct.pack("<I", place) + b"."


def folded(times):
    """A batch whose one label is a tuple of two of a tuple of two ... of nothing."""
    body = b")" + b"q\x01h\x01\x86" * times
    return b"\x80\x02}(U\x06labels]" + body + b"aU\x04data" + b"U\x00u."


PICKLES = {
    "a large memo": memo_at(2**31 - 1),
    "long bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.",
    "a long integer": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"x.",
    "a long frame": b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"}.",
    "digits": b"\x80\x02I" + b"9" * 1_000_000 + b"\n.",
    "deep lists": b"\x80\x02" + b"(" * 200_000 + b"l" * 200_000 + b".",
    "folded tuples": folded(60),
    "a shape of tuples": b"cnumpy.core.numeric\n_frombuffer\n(U\x00cnumpy\ndtype\n(U\x02u1tR"
    b"(J\xff\xff\xff\x7f(U\x01xttU\x01Ct" + b"R.",
}


@pytest.mark.parametrize("name", PICKLES)
def test_a_small_pickle_takes_little_memory(name, tmp_path):
    import resource

    (tmp_path / "batch").write_bytes(PICKLES[name])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    try:
        read_batch(tmp_path / "batch")
    except DataError as error:
        assert "batch is not a batch of CIFAR" in str(error)
        assert len(str(error)) < 1000
    assert time.monotonic() - started < 5
    # In kilobytes; what was the most before may hide a little.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_folded_labels_are_named_by_their_type(tmp_path):
    import pickle

    from distillweighted.tasks.datasets.cifar import read_images

    fold = ()
    for _ in range(60):
        fold = (fold, fold)
    batch = {b"labels": [fold], b"data": np.zeros((1, 3072), np.uint8)}
    (tmp_path / "batch").write_bytes(pickle.dumps(batch, protocol=2))
    with pytest.raises(DataError, match="image 0 has the unknown class of type tuple"):
        read_images(tmp_path / "batch", b"labels", 3)


def test_a_matlab_file_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("distillweighted.tasks.datasets.reading.MAX_BYTES", 2**24)
    path = tmp_path / "a.mat"
    packed = zlib.compress(struct.pack("<II", 14, 2**25) + bytes(2**25), 9)
    savemat(path, {})
    path.write_bytes(path.read_bytes()[:128] + struct.pack("<II", 15, len(packed)) + packed)
    assert path.stat().st_size < 50_000
    with pytest.raises(DataError, match=r"a\.mat is not .*unpacks to more than 16777216 bytes"):
        read_matlab(path, ["X"])


def test_a_matlab_file_that_says_it_has_many_entries_is_refused(tmp_path):
    path = tmp_path / "a.mat"
    savemat(path, {"X": np.zeros((3, 5), object)})
    data = path.read_bytes()
    shape = struct.pack("<ii", 3, 5)
    assert data.count(shape) == 1
    path.write_bytes(data.replace(shape, struct.pack("<ii", 2**20, 2**20)))
    with pytest.raises(DataError, match=r"a\.mat is not .*it says that it has 10995116\d+ entries"):
        read_matlab(path, ["X"])


def test_what_never_ends_is_not_read(tmp_path):
    (tmp_path / "zero").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    with open(tmp_path / "large", "wb") as file:
        file.truncate(MAX_BYTES + 1)
    for name in ("zero", "pipe", "large"):
        with pytest.raises(DataError, match=rf"{name} cannot be read: it is no file, or has more"):
            read_bytes(tmp_path / name)


# Lists with anything in them: a list, or an error that names the file.

TEXTS = st.text(max_size=60) | st.lists(
    st.sampled_from([",", '"', "\n", "\r", " ", "a", "1", "\0", "é", "\ufeff", "\u2028", "=", "-"])
).map("".join)


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(TEXTS.map(lambda text: text.encode("utf-8", "replace")) | st.binary(max_size=60))
def test_any_list_is_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(data)
    for read in (read_csv, lambda path: read_fields(path, ("a", "b"))):
        try:
            for where, cells in read(path):
                assert where.startswith(str(path)) and all(isinstance(c, str) for c in cells)
        except DataError as error:
            assert str(path) in str(error)


@pytest.mark.parametrize("name", LISTS)
def test_a_list_with_a_few_other_characters_is_read_or_refused(name, tmp_path):
    {**WRITERS, **VTAB_WRITERS}[name](tmp_path, **MINI)
    file = tmp_path / LISTS[name][0]
    text = file.read_text()
    parts = st.sampled_from(["", ",", '"', "\n", "\0", " ", "../", "/", "1", "-1", "é", "nan", "x"])

    @settings(max_examples=40, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(st.integers(0, len(text)), parts, st.integers(0, 9)), min_size=1))
    def check(changes):
        changed = text
        for place, part, removed in changes:
            changed = changed[:place] + part + changed[place + removed :]
        file.write_text(changed)
        try:
            listing = DATASETS[name].read(tmp_path)
        except DataError as error:
            assert str(tmp_path) in str(error)
        else:
            root = os.path.realpath(tmp_path)
            for example in listing.examples:
                assert os.path.realpath(listing.path_of(example)).startswith(root + os.sep)
                assert 0 <= max(np.atleast_1d(example.label), default=0) < len(listing.classes)

    check()
