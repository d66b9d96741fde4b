"""A folder of quirks: one image of every kind, read pixel by pixel."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, TiffImagePlugin

from distillweighted.tasks.own.images import (
    MAX_ASPECT,
    MAX_PIXELS,
    UnreadableError,
    colour_of,
    large_images,
    read_image,
)

WHITE, RED, GREEN, BLUE = (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255)


def read(path, *, background=WHITE, side=256):
    return read_image(str(path), background=background, side=side)


def png(width, height, bits, kind, rows, *chunks):
    """A PNG written by hand, of what Pillow does not write: bits a sample, colour type, rows."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    pixels = b"".join(b"\0" + row for row in rows)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def saved(image, kind, **options):
    """An image as the bytes of a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def row_of(mode, *pixels):
    image = Image.new(mode, (len(pixels), 1))
    image.putdata(pixels)
    return image


def palette(*colours):
    """A palette image of one row that shows its colours in turn."""
    image = row_of("P", *range(len(colours)))
    image.putpalette([level for colour in colours for level in colour])
    return image


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    return data


def white_is_zero():
    """A TIFF of 16 bits whose level 0 is white."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[262] = 0
    image = Image.fromarray(np.array([[0, 65535]], np.uint16))
    data = bytearray(saved(image, "TIFF", tiffinfo=tags))
    # Pillow writes its own photometric interpretation: tag 262, a short, once.
    place = data.index(struct.pack("<HHI", 262, 3, 1))
    data[place + 8 : place + 10] = struct.pack("<H", 0)
    return bytes(data)


def frames(*colours):
    return [Image.new("RGB", (2, 1), colour) for colour in colours]


FIRST, *OTHERS = frames(RED, GREEN, BLUE)

# Each: what the file is called, its bytes, and the one row of pixels that is stored of it.
QUIRKS = {
    "rgb": ("a.PNG", saved(row_of("RGB", RED, (1, 2, 3)), "PNG"), [RED, (1, 2, 3)]),
    "grey": ("a.png", saved(row_of("L", 0, 7, 255), "PNG"), [(0,) * 3, (7,) * 3, WHITE]),
    "1 bit": ("a.png", saved(row_of("1", 0, 255), "PNG"), [(0, 0, 0), WHITE]),
    # Half of blue on white: (255 * 127 + 0 * 128) / 255 = 127.
    "rgba": (
        "a.png",
        saved(row_of("RGBA", (*RED, 0), (*BLUE, 128), (*GREEN, 255)), "PNG"),
        [WHITE, (127, 127, 255), GREEN],
    ),
    "grey and alpha": (
        "a.png",
        saved(row_of("LA", (0, 0), (0, 255), (100, 51)), "PNG"),
        [WHITE, (0, 0, 0), (224, 224, 224)],  # (100 * 51 + 255 * 204) / 255
    ),
    "palette": ("a.png", saved(palette(RED, BLUE), "PNG"), [RED, BLUE]),
    "palette, one transparent": (
        "a.png",
        saved(palette(RED, BLUE), "PNG", transparency=0),
        [WHITE, BLUE],
    ),
    "palette, several transparent": (
        "a.png",
        saved(palette(RED, BLUE, GREEN), "PNG", transparency=b"\x00\x33\xff"),
        [WHITE, (204, 204, 255), GREEN],  # 255 * 204 / 255
    ),
    "a transparent colour": (
        "a.png",
        saved(row_of("RGB", RED, BLUE), "PNG", transparency=RED),
        [WHITE, BLUE],
    ),
    "a transparent grey": (
        "a.png",
        saved(row_of("L", 9, 10), "PNG", transparency=9),
        [WHITE, (10, 10, 10)],
    ),
    "1 bit, black transparent": (
        "a.png",
        png(2, 1, 1, 0, [b"\x40"], (b"tRNS", b"\0\0")),
        [WHITE] * 2,
    ),
    "16 bits": (
        "a.png",
        saved(Image.fromarray(np.array([[0, 257, 32896, 65535, 300, 400]], np.uint16)), "PNG"),
        # 300 / 257 = 1.17, 400 / 257 = 1.56
        [(level,) * 3 for level in (0, 1, 128, 255, 1, 2)],
    ),
    "16 bits, a transparent grey": (
        "a.png",
        png(2, 1, 16, 0, [struct.pack(">HH", 300, 301)], (b"tRNS", struct.pack(">H", 300))),
        [WHITE, (1, 1, 1)],
    ),
    "16 bits, colours": (
        "a.png",
        png(1, 1, 16, 2, [struct.pack(">HHH", 65535, 257 * 7, 0)]),
        [(255, 7, 0)],
    ),
    "16 bits, a transparent colour": (
        "a.png",
        png(
            2,
            1,
            16,
            2,
            [struct.pack(">6H", 65535, 0, 0, 0, 65535, 0)],
            (b"tRNS", struct.pack(">3H", 65535, 0, 0)),
        ),
        [WHITE, GREEN],
    ),
    "16 bits, tiff": (
        "a.tif",
        saved(Image.fromarray(np.array([[514, 65535]], np.uint16)), "TIFF"),
        [(2, 2, 2), WHITE],
    ),
    "16 bits, white is 0": ("a.tiff", white_is_zero(), [WHITE, (0, 0, 0)]),
    "floating point": (
        "a.tif",
        saved(Image.fromarray(np.array([[0, 0.5, 1]], np.float32)), "TIFF"),
        [(0, 0, 0), (128, 128, 128), WHITE],
    ),
    "cmyk, tiff": (
        "a.tif",
        saved(row_of("CMYK", (0, 255, 255, 0), (0, 0, 0, 255), (0, 0, 0, 0)), "TIFF"),
        [RED, (0, 0, 0), WHITE],
    ),
    "gif, one transparent": (
        "a.GIF",
        saved(palette(RED, BLUE), "GIF", transparency=1),
        [RED, WHITE],
    ),
    "animated gif": (
        "a.gif",
        saved(FIRST, "GIF", save_all=True, append_images=OTHERS),
        [RED, RED],
    ),
    "animated webp": (
        "a.webp",
        saved(FIRST, "WEBP", save_all=True, append_images=OTHERS, lossless=True),
        [RED, RED],
    ),
    "animated png": (
        "a.png",
        saved(FIRST, "PNG", save_all=True, append_images=OTHERS),
        [RED, RED],
    ),
    "pages": ("a.tif", saved(FIRST, "TIFF", save_all=True, append_images=OTHERS), [RED, RED]),
    "webp with alpha": (
        "a.WebP",
        saved(row_of("RGBA", (*RED, 0), (*RED, 255)), "WEBP", lossless=True, exact=True),
        [WHITE, RED],
    ),
    "bmp": ("a.bmp", saved(row_of("RGB", RED, BLUE), "BMP"), [RED, BLUE]),
    "another ending": ("a.jpg", saved(row_of("RGB", RED, BLUE), "PNG"), [RED, BLUE]),
    "mirrored by exif": (
        "a.png",
        saved(row_of("RGB", RED, BLUE), "PNG", exif=exif(2)),
        [BLUE, RED],
    ),
    "turned by exif, twice": (
        "a.webp",
        saved(row_of("RGB", RED, BLUE), "WEBP", exif=exif(3), lossless=True),
        [BLUE, RED],
    ),
    "turned by a tiff's own tag": (
        "a.tif",
        saved(row_of("RGB", RED, BLUE), "TIFF", tiffinfo={274: 3}),
        [BLUE, RED],
    ),
}


@pytest.mark.parametrize("name", QUIRKS)
def test_every_kind_of_image_is_read_pixel_by_pixel(name, tmp_path):
    file, data, pixels = QUIRKS[name]
    (tmp_path / file).write_bytes(data)
    np.testing.assert_array_equal(read(tmp_path / file), [pixels])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_all_eight_orientations(orientation, kind, tmp_path):
    # What EXIF means: where the stored first row and first column are shown.
    upright = np.arange(6, dtype=np.uint8).reshape(2, 3)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: np.rot90(upright.T, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    tags = {"exif": exif(orientation)} if kind == "png" else {"tiffinfo": {274: orientation}}
    image = Image.fromarray(np.ascontiguousarray(stored))
    (tmp_path / "a").write_bytes(saved(image, kind.upper(), **tags))
    np.testing.assert_array_equal(read(tmp_path / "a")[..., 0], upright)


def test_a_damaged_exif_block_does_not_break_the_pixels(tmp_path):
    (tmp_path / "a.png").write_bytes(
        saved(row_of("RGB", RED, BLUE), "PNG", exif=b"Exif\0\0rubbish")
    )
    np.testing.assert_array_equal(read(tmp_path / "a.png"), [[RED, BLUE]])


def test_jpegs_in_colours_of_print_and_of_laboratories(tmp_path):
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    (tmp_path / "ink.jpg").write_bytes(saved(ink, "JPEG", quality=100))
    pixels = read(tmp_path / "ink.jpg").astype(int)
    assert abs(pixels - RED).max() <= 2
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    lab = ImageCms.profileToProfile(
        Image.new("RGB", (4, 4), (200, 30, 60)), *profiles, outputMode="LAB"
    )
    (tmp_path / "lab.tif").write_bytes(saved(lab, "TIFF"))
    pixels = read(tmp_path / "lab.tif").astype(int)
    assert abs(pixels - (200, 30, 60)).max() <= 3


@pytest.mark.parametrize(("colour", "rgb"), [("tomato", (255, 99, 71)), ("#0a141e", (10, 20, 30))])
def test_the_background_can_be_any_colour(colour, rgb, tmp_path):
    (tmp_path / "a.png").write_bytes(saved(row_of("RGBA", (*RED, 0), (*RED, 255)), "PNG"))
    np.testing.assert_array_equal(
        read(tmp_path / "a.png", background=colour_of(colour)), [[rgb, RED]]
    )


def test_a_hidden_colour_does_not_bleed_when_an_image_is_made_smaller(tmp_path):
    # Green is hidden by transparency beside opaque red: no pixel of the smaller image has any.
    pixels = np.zeros((200, 200, 4), np.uint8)
    pixels[:, :99] = (*GREEN, 0)
    pixels[:, 99:] = (*RED, 255)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    small = read(tmp_path / "a.png", background=(0, 0, 0), side=32)
    assert small.shape == (32, 32, 3)
    assert small[..., 1].max() == 0 and small[0, 0].tolist() == [0, 0, 0]
    assert small[0, 31].tolist() == [255, 0, 0]


def test_small_images_stay_and_large_ones_get_the_shorter_side(tmp_path):
    for size, shape in {(40, 30): (30, 40), (500, 300): (64, 106), (300, 500): (106, 64)}.items():
        Image.new("RGB", size, BLUE).save(tmp_path / "a.png")
        pixels = read(tmp_path / "a.png", side=64)
        assert pixels.shape == (*shape, 3) and (pixels == BLUE).all()


@pytest.mark.parametrize(
    ("size", "shape", "content"),
    [
        ((1, 5000), (512, 64), (512, 1)),  # 5000 is bounded to 8 * 64
        ((5000, 1), (64, 512), (1, 512)),
        ((20, 170), (170, 22), (170, 20)),  # no longer than it may be, but too thin
        ((100, 2000), (512, 64), (512, 26)),
    ],
)
def test_very_long_images_get_background_and_no_side_of_zero(size, shape, content, tmp_path):
    Image.new("RGB", size, BLUE).save(tmp_path / "a.png")
    pixels = read(tmp_path / "a.png", background=RED, side=64)
    assert pixels.shape == (*shape, 3) and max(shape) <= MAX_ASPECT * min(shape)
    blue = (pixels == BLUE).all(axis=2)
    assert (blue | (pixels == RED).all(axis=2)).all()
    assert (blue.any(axis=1).sum(), blue.any(axis=0).sum()) == content


def test_a_huge_image_is_made_smaller_in_bands_as_others_are_as_a_whole(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (7, 9, 4), np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((450, 350), Image.Resampling.NEAREST))
    Image.fromarray(pixels).save(tmp_path / "a.png")
    whole = read(tmp_path / "a.png", side=35).astype(int)
    monkeypatch.setattr("distillweighted.tasks.own.images.LARGE", 1000)
    bands = read(tmp_path / "a.png", side=35).astype(int)
    assert bands.shape == whole.shape == (35, 45, 3)
    # Averages of whole pixels, then of the rest: the same but at the edges of the squares.
    assert abs(bands - whole).mean() < 4
    middles = np.s_[2::5, 2::5]
    assert abs(bands[middles] - whole[middles]).max() <= 6


def test_pillows_limit_of_pixels_is_lifted_up_to_an_own_one(tmp_path):
    limit = Image.MAX_IMAGE_PIXELS
    Image.new("1", (20000, 10000)).save(tmp_path / "a.png")  # 200 megapixels, 25 MB
    with pytest.raises(UnreadableError, match="decompression bomb"):
        read(tmp_path / "a.png")
    with large_images():
        assert read(tmp_path / "a.png", side=32).shape == (32, 64, 3)
        rows = [b"\0" * 8]
        (tmp_path / "b.png").write_bytes(png(2**20, 2**10 + 1, 8, 0, rows))
        with pytest.raises(UnreadableError, match=f"1048576 x 1025 pixels.*{MAX_PIXELS}"):
            read(tmp_path / "b.png")
    assert limit == Image.MAX_IMAGE_PIXELS


def test_a_large_jpeg_is_decoded_at_a_fraction_of_its_size(tmp_path, monkeypatch):
    Image.new("RGB", (1600, 1600), (10, 200, 90)).save(tmp_path / "a.jpg", quality=95)
    loaded = []
    load = Image.Image.resize

    def resize(self, *arguments, **options):
        loaded.append(self.size)
        return load(self, *arguments, **options)

    monkeypatch.setattr(Image.Image, "resize", resize)
    pixels = read(tmp_path / "a.jpg", side=64).astype(int)
    assert pixels.shape == (64, 64, 3) and abs(pixels - (10, 200, 90)).max() <= 3
    assert loaded == [(200, 200)]


def truncated(image, kind, share=0.6, **options):
    data = saved(image, kind, **options)
    return data[: int(len(data) * share)]


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))

BROKEN = {
    "empty": (b"", "it is empty"),
    "text": (b"not an image", "it is no image that can be read (PNG, JPEG, WEBP, BMP, GIF, TIFF)"),
    "half a jpeg": (truncated(NOISE, "JPEG"), "truncated"),
    "half a png": (truncated(NOISE, "PNG"), "truncated"),
    "half a webp": (truncated(NOISE, "WEBP"), ""),
    "half a bmp": (truncated(NOISE, "BMP"), "truncated"),
    "signed": (
        saved(Image.fromarray(np.array([[1, -1]], np.int32)), "TIFF"),
        "its levels are signed or 32-bit whole numbers",
    ),
    "large floats": (
        saved(Image.fromarray(np.array([[0, 255]], np.float32)), "TIFF"),
        "its floating-point levels are not from 0 to 1",
    ),
    "no numbers": (
        saved(Image.fromarray(np.array([[0, np.nan]], np.float32)), "TIFF"),
        "its floating-point levels are not from 0 to 1",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_read_is_refused_with_the_reason(name, tmp_path):
    data, reason = BROKEN[name]
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(UnreadableError) as caught:
        read(tmp_path / "a.jpg")
    assert reason in str(caught.value) and str(tmp_path) not in str(caught.value)


def test_folders_and_pipes_are_no_images(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe.jpg")  # to open it would wait for ever
    for path in (tmp_path, tmp_path / "pipe.jpg"):
        with pytest.raises(UnreadableError, match="it is no ordinary file"):
            read(path)
    with pytest.raises(UnreadableError, match="there is no such file"):
        read(tmp_path / "none.jpg")
