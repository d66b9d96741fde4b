"""Image files as people have them, read into what is stored: upright RGB without transparency.

What pixels of a kind become:

- Transparent ones (RGBA, LA, palettes and colours that are declared transparent) show the
  background; the colour that is hidden behind full transparency is never seen. This is done before
  any resizing, so that the hidden colour does not bleed over edges either.
- Grey levels of 16 bits are divided by 257 and rounded (of 12 bits, by 4095/255); colours of 16
  bits keep their upper 8, which Pillow reads. Floating-point levels are those from 0 to 1. What has
  no agreed white is refused: other floating-point levels, signed and 32-bit whole numbers.
- CMYK and LAB become RGB as Pillow does it, colour profiles in the file aside.
- Of several frames or pages the first one counts.
- A side more than `MAX_ASPECT` times as long as the other one is bounded by adding background
  along the other one.

Pillow decodes an image as a whole. A JPEG is decoded at a fraction of its size where that is
enough; others take 1 to 4 bytes a pixel (4 GB for the largest, RGBA), and large ones are decoded
one at a time.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
"""What files may be, whatever their names end in; some would run other programs."""

MAX_PIXELS = 2**30
"""Pixels that an image may have."""

LARGE = 2**24
"""Pixels from which images are decoded one at a time, and made smaller in bands."""

MAX_ASPECT = 8
"""How many times as long as the other one a side of a stored image may be."""

Colour = tuple[int, int, int]


class UnreadableError(ValueError):
    """An image that cannot be read; the message says why, and not of which file."""


_one_large = threading.Lock()


@contextlib.contextmanager
def large_images() -> Iterator[None]:
    """Lift Pillow's limit of pixels, which is far below `MAX_PIXELS`, for the whole process."""
    from PIL import Image

    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def read_image(path: str, *, background: Colour, side: int) -> np.ndarray:
    """The image of a file as it is stored, uint8 [h, w, 3].

    Args:
        path: The file.
        background: The colour behind transparent pixels, and beside very long images.
        side: Longest shorter side, in pixels; smaller images stay as they are.

    Raises:
        UnreadableError: Where it cannot be read, or has more than `MAX_PIXELS` (outside
            `large_images`, Pillow's own limit).
    """
    from PIL import UnidentifiedImageError

    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableError("it is no ordinary file")
        if status.st_size == 0:
            raise UnreadableError("it is empty")
        return _read(path, background, side)
    except UnreadableError:
        raise
    except FileNotFoundError:
        raise UnreadableError("there is no such file") from None
    except UnidentifiedImageError:
        formats = ", ".join(FORMATS)
        raise UnreadableError(f"it is no image that can be read ({formats})") from None
    except Exception as error:
        # Pillow's decoders raise whatever a damaged file leads them to.
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise UnreadableError((reason or type(error).__name__)[:200]) from None


def colour_of(name: str) -> Colour:
    """The colour of a name of CSS, or of #rrggbb."""
    from PIL import ImageColor

    return ImageColor.getrgb(name)[:3]


def _read(path: str, background: Colour, side: int) -> np.ndarray:
    from PIL import Image

    # Of a path, Pillow would map an uncompressed TIFF into memory, and turn it by its tag wrongly.
    with open(path, "rb") as file, Image.open(file, formats=FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise UnreadableError(
                f"{image.width} x {image.height} pixels are more than {MAX_PIXELS}"
            )
        target = _size(*image.size, side)
        if image.format in ("JPEG", "MPO"):  # cameras make MPO of JPEG
            # Not smaller than twice what is wanted, so that the pixels of the rest are averages.
            image.draft(None, (2 * target[0], 2 * target[1]))
        large = image.width * image.height > LARGE
        with _one_large if large else contextlib.nullcontext():
            pixels = _Pixels.of(image, background)
            image.load()
            if image.format == "TIFF":  # Pillow turns it upright as it is loaded
                target = _size(*image.size, side)
            rgb = pixels.smaller(image, *target)
        upright = _upright(rgb.resize(target, Image.Resampling.BILINEAR), _orientation(image))
    return _bounded(np.asarray(upright, np.uint8), background)


def _size(width: int, height: int, side: int) -> tuple[int, int]:
    """Width and height that an image is resized to."""
    shorter, longer = min(width, height), max(width, height)
    if shorter > side:
        # Rounded down, as torchvision's Resize does.
        width, height, longer = (length * side // shorter for length in (width, height, longer))
    if longer > MAX_ASPECT * side:
        width, height = (
            max(1, round(length * MAX_ASPECT * side / longer)) for length in (width, height)
        )
    return width, height


def _bounded(pixels: np.ndarray, background: Colour) -> np.ndarray:
    """An image with background along its long sides, so that they are no longer too long."""
    height, width = pixels.shape[:2]
    shape = (max(height, -(-width // MAX_ASPECT)), max(width, -(-height // MAX_ASPECT)), 3)
    if shape == pixels.shape:
        return pixels
    padded = np.empty(shape, np.uint8)
    padded[:] = background
    top, left = (shape[0] - height) // 2, (shape[1] - width) // 2
    padded[top : top + height, left : left + width] = pixels
    return padded


@dataclass(frozen=True)
class _Pixels:
    """How the pixels of an image, or of a part of it, become RGB."""

    background: Colour
    levels: int
    """The level of white, of grey levels of more than 8 bits."""
    inverted: bool
    """Whether level 0 is white."""
    transparency: Any
    """The colour or colours of a palette that are declared transparent, as Pillow has them."""

    @classmethod
    def of(cls, image: Image, background: Colour) -> _Pixels:
        """How those of an image do that is open and not yet loaded."""
        tags = getattr(image, "tag_v2", {})  # of a TIFF
        bits = tags.get(258, (16,))[0]
        transparency = image.info.get("transparency")
        if isinstance(transparency, tuple) and "16" in str(image.tile[0].args):
            # Of pixels of 16 bits, Pillow reads the upper 8.
            transparency = tuple(level >> 8 for level in transparency)
        wide = image.mode.startswith("I;16")
        inverted = wide and tags.get(262) == 0
        return cls(background, 2 ** min(bits, 16) - 1, inverted, transparency)

    def smaller(self, image: Image, width: int, height: int) -> Image:
        """An image as RGB, averaged down to twice this size or less if it is large."""
        from PIL import Image

        factor = (max(1, image.width // (2 * width)), max(1, image.height // (2 * height)))
        if image.width * image.height <= LARGE or factor == (1, 1):
            return self.rgb(image)
        size = tuple(-(-length // by) for length, by in zip(image.size, factor, strict=True))
        result = Image.new("RGB", size)
        rows = factor[1] * max(1, 2**22 // (image.width * factor[1]))
        for top in range(0, image.height, rows):
            band = image.crop((0, top, image.width, min(top + rows, image.height)))
            result.paste(self.rgb(band).reduce(factor), (0, top // factor[1]))
        return result

    def rgb(self, image: Image) -> Image:
        """An image of any mode as RGB over the background."""
        from PIL import Image

        alpha = None
        if image.mode == "I":
            raise UnreadableError(
                "its levels are signed or 32-bit whole numbers, of which none is white; save it "
                "with 8 or 16 bits"
            )
        if image.mode == "F":
            levels = np.asarray(image)
            if not (levels.min() >= 0 and levels.max() <= 1):  # NaN is neither
                raise UnreadableError(
                    "its floating-point levels are not from 0 to 1; save it with 8 or 16 bits"
                )
            image = Image.fromarray(np.rint(levels * 255).astype(np.uint8))
        elif image.mode.startswith("I;16"):
            levels = np.asarray(image).astype(np.uint32)
            if self.transparency is not None:
                alpha = Image.fromarray(np.where(levels == self.transparency, 0, 255).astype("u1"))
            levels = (levels * 255 + self.levels // 2) // self.levels
            levels = 255 - levels if self.inverted else levels
            image = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
        elif self.transparency is not None:
            image.info["transparency"] = self.transparency
        if alpha is None and image.has_transparency_data:
            image = image.convert("LA") if image.mode == "La" else image
            image = image.convert("RGBA")
            alpha = image.getchannel("A")
        image = image.convert("RGB")
        if alpha is None:
            return image
        over = Image.new("RGB", image.size, self.background)
        over.paste(image, mask=alpha)
        return over


def _orientation(image: Image) -> int:
    """How an image has to be turned, 1 to 8 as EXIF says it; 1 is upright."""
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # pixels are whole whatever is wrong with what a camera says of them
        return 1


def _upright(image: Image, orientation: int) -> Image:
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image
