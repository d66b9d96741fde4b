"""What the readers of data sets share: lists, the files they name, and decoding."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from distillweighted.errors import DataError
from distillweighted.tasks.datasets.reading import (
    MAX_PIXELS,
    ImageList,
    NumberedClasses,
    open_rgb,
    read_csv,
    read_fields,
    read_integer,
    read_text,
)


def write_png_header(path, width, height):
    """A PNG that says it is so large, and has one row of pixels at most."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 10))
        + chunk(b"IEND", b"")
    )


def test_a_png_comes_out_exactly(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = open_rgb(tmp_path / "a.png")
    assert (image.mode, image.size) == ("RGB", (7, 5))
    np.testing.assert_array_equal(np.asarray(image), pixels)


def test_the_suffix_does_not_tell_the_format(tmp_path):
    """Pets has pictures called .jpg that are PNG or GIF."""
    pixels = np.random.default_rng(1).integers(0, 256, (5, 7, 3), np.uint8)
    for kind in ("PNG", "BMP"):
        Image.fromarray(pixels).save(tmp_path / "a.jpg", kind)
        np.testing.assert_array_equal(np.asarray(open_rgb(tmp_path / "a.jpg")), pixels)
    Image.fromarray(np.full((4, 4, 3), 255, np.uint8)).save(tmp_path / "a.jpg", "GIF")
    assert open_rgb(tmp_path / "a.jpg").getpixel((1, 1)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("mode", "colour", "rgb"),
    [
        ("L", 77, (77, 77, 77)),
        ("LA", (77, 0), (77, 77, 77)),
        ("RGBA", (10, 20, 30, 0), (10, 20, 30)),
        ("1", 1, (255, 255, 255)),
        ("P", 0, (0, 0, 0)),
    ],
)
def test_every_mode_comes_out_rgb(mode, colour, rgb, tmp_path):
    Image.new(mode, (3, 2), colour).save(tmp_path / "a.png")
    image = open_rgb(tmp_path / "a.png")
    assert (image.mode, image.getpixel((2, 1))) == ("RGB", rgb)


def test_a_cmyk_jpeg_comes_out_rgb(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    red, green, blue = open_rgb(tmp_path / "a.jpg").getpixel((4, 4))
    assert red > 240 and green < 15 and blue < 15


def test_an_image_is_turned_upright(tmp_path):
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    turned = np.asarray(open_rgb(tmp_path / "a.png"))
    np.testing.assert_array_equal(turned, np.rot90(pixels, -1))
    assert turned.shape == (3, 2, 3) and turned[0, 1, 0] == 255


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@given(kept=st.floats(0, 0.9))
@settings(max_examples=15)
def test_a_truncated_image_is_an_error_that_names_its_file(kind, kept, tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "cut.jpg"
    pixels = np.random.default_rng(2).integers(0, 256, (20, 20, 3), np.uint8)
    Image.fromarray(pixels).save(path, kind)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(DataError, match=r"cut\.jpg cannot be read as an image"):
        open_rgb(path)


def test_files_that_are_no_images_are_errors(tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    # Pillow would call Ghostscript for this one.
    (tmp_path / "script.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    for name in ("text.jpg", "script.jpg", "missing.jpg"):
        with pytest.raises(DataError, match=f"{name} cannot be read as an image"):
            open_rgb(tmp_path / name)


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (MAX_PIXELS // 9_000 + 1, 9_000)])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_refused(width, height, tmp_path):
    write_png_header(tmp_path / "bomb.png", width, height)
    with pytest.raises(DataError, match=r"bomb\.png cannot be read.*decompression bomb"):
        open_rgb(tmp_path / "bomb.png")


def test_sixteen_bits_are_refused_and_not_clipped(tmp_path):
    Image.fromarray(np.full((2, 2), 40_000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(DataError, match=r"deep\.png.*more than 8 bits"):
        open_rgb(tmp_path / "deep.png")


def test_lines_are_fields_with_the_last_one_long(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xef\xbb\xbf1 Great  Tit \r\n\r\n2 Wren")
    assert list(read_fields(path, ("id", "name"))) == [
        (f"{path}, line 1", ["1", "Great  Tit"]),
        (f"{path}, line 3", ["2", "Wren"]),
    ]


def test_a_short_line_is_named(tmp_path):
    (tmp_path / "list.txt").write_text("1 a\n2\n")
    with pytest.raises(DataError, match=r"list\.txt, line 2: expected id, name; found '2'"):
        list(read_fields(tmp_path / "list.txt", ("id", "name")))


def test_text_of_another_encoding_is_named_with_its_line(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"one\ntwo\nthr\xe9e\n")
    with pytest.raises(DataError, match=r"list\.txt, line 3: not UTF-8"):
        read_text(tmp_path / "list.txt")


def test_a_folder_in_the_place_of_a_file_is_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="is missing"):
        read_text(tmp_path)


def test_csv_lines_are_as_long_as_the_header_but_for_a_comma_at_the_end(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('a,b,\n1,"x,y",\n\n2,z\n')
    assert list(read_csv(path)) == [
        (f"{path}, line 1", ["a", "b"]),
        (f"{path}, line 2", ["1", "x,y"]),
        (f"{path}, line 4", ["2", "z"]),
    ]


@pytest.mark.parametrize("line", ["1", "1,2,3", "1,2,,", '"1,2'])
def test_a_csv_line_of_another_length_or_quoting_is_named(line, tmp_path):
    (tmp_path / "t.csv").write_text(f"a,b\n3,4\n{line}\n")
    with pytest.raises(DataError, match=r"t\.csv, line [34]: "):
        list(read_csv(tmp_path / "t.csv"))


@pytest.mark.parametrize("text", ["-1", "1.5", "", "one", "1_0", "٣", "9" * 10])
def test_what_is_not_a_number_is_named(text):
    with pytest.raises(DataError, match=r"list, line 3: the class id '.*' is not a number"):
        read_integer(text, "list, line 3", "class id")


@pytest.mark.parametrize(
    "name", ["../a.jpg", "a/../../b.jpg", "/etc/a.jpg", "a//b.jpg", "./a.jpg", "a\\b.jpg", "", "a/"]
)
def test_a_path_that_may_leave_the_folder_is_refused(name, tmp_path):
    with pytest.raises(DataError, match=r"list, line 1: '.*' is not a path under"):
        ImageList(tmp_path).add(name, 0, None, "list, line 1")


def test_an_image_listed_twice_is_named_with_both_places(tmp_path):
    images = ImageList(tmp_path)
    images.add("a.jpg", 0, "train", "list, line 1")
    with pytest.raises(DataError, match=r"line 7: the image 'a\.jpg' is listed twice.*line 1"):
        images.add("a.jpg", 1, "test", "list, line 7")


def test_a_list_of_nothing_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no image"):
        ImageList(tmp_path).listing(["a"])


def test_a_folder_with_the_name_of_an_image_is_a_missing_image(tmp_path):
    (tmp_path / "a.jpg").mkdir()
    images = ImageList(tmp_path)
    images.add("a.jpg", 0, None, "list, line 1")
    with pytest.raises(DataError, match=r"1 of 1 images are missing, the first is 'a\.jpg'"):
        images.listing(["a"])


def test_numbered_classes_come_in_the_order_of_their_numbers():
    classes = NumberedClasses()
    assert [classes.label(number, name, "") for number, name in ((2, "b"), (1, "a"), (2, "b"))] == [
        1,
        0,
        1,
    ]
    assert classes.names("") == ["a", "b"]


def test_numbered_classes_that_do_not_fit_are_named():
    classes = NumberedClasses()
    classes.label(1, "a", "line 1")
    with pytest.raises(DataError, match="line 2: class 1 is 'b' here and 'a' before"):
        classes.label(1, "b", "line 2")
    with pytest.raises(DataError, match="line 3: class ids count from 1"):
        classes.label(0, "a", "line 3")
    classes.label(3, "c", "line 4")
    with pytest.raises(DataError, match="lists: the class ids are not 1 to 2"):
        classes.names("lists")
    classes.label(2, "c", "line 5")
    with pytest.raises(DataError, match="lists: 'c' has more than one class id"):
        classes.names("lists")
