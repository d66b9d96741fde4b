"""Pictures inside a page: figures and images as text, so that the page is one file."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SIDE = 176
"""Longest side of an image on a sheet, in pixels."""

SMALL = 64
"""Longest side of images that are shown enlarged, with their pixels."""


LONGEST = 28
"""Signs of a name that fit below an image, on two lines."""


@dataclass(frozen=True)
class Shown:
    """An image on a sheet."""

    pixels: np.ndarray
    """uint8 [h, w, 3]."""

    name: str
    """Its name."""

    says: str
    """What the student says: class and confidence."""

    truth: str | None = None
    """What it is, where that is known and another."""


def sheet(images: Iterable[Shown]) -> str:
    """Images side by side, each with what is said of it; HTML."""
    return f'<div class="sheet">{"".join(map(_card, images))}</div>'


def _card(image: Shown) -> str:
    truth = "" if image.truth is None else f'<br>is <b class="truth">{_text(image.truth)}</b>'
    small = ' class="small"' if max(image.pixels.shape[:2]) <= SMALL else ""
    return (
        f'<figure><img{small} src="{thumbnail(image.pixels)}" alt="{_text(image.name)}" '
        f'title="{_text(image.name)}"><figcaption>{_text(image.says)}{truth}'
        f'<span class="name">{_text(shortened(image.name))}</span></figcaption></figure>'
    )


def shortened(name: str, longest: int = LONGEST) -> str:
    """A name without its middle where it is too long; of its end, which tells more, more stays."""
    if len(name) <= longest:
        return name
    start = (longest - 1) // 3
    return f"{name[:start]}…{name[start + 1 - longest :]}"


def thumbnail(pixels: np.ndarray) -> str:
    """An image as a data URI, at most `SIDE` pixels long; a small one as it is."""
    from PIL import Image

    image, file = Image.fromarray(pixels), io.BytesIO()
    if max(image.size) <= SMALL:
        image.save(file, "PNG")
        return _data_uri("png", file.getvalue())
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    image.save(file, "JPEG", quality=82)
    return _data_uri("jpeg", file.getvalue())


def figure(path: Path, description: str, width: int) -> str:
    """A figure's PNG file as HTML, `width` CSS pixels wide; on a phone, large ones scroll."""
    least = min(width, 560)
    return (
        f'<div class="wide"><img class="figure" style="width:{width}px;min-width:{least}px" '
        f'src="{_data_uri("png", path.read_bytes())}" alt="{_text(description)}"></div>'
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, bold: int | None = None) -> str:
    """A table as HTML, the row `bold` in bold; wide ones scroll by themselves."""
    top = "".join(f"<th>{_text(cell)}</th>" for cell in head)
    body = ""
    for i, row in enumerate(rows):
        cells = "".join(f"<td>{_text(cell)}</td>" for cell in row)
        body += f'<tr class="bold">{cells}</tr>' if i == bold else f"<tr>{cells}</tr>"
    inside = f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="wide"><table>{inside}</table></div>'


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _text(text: str) -> str:
    return html.escape(str(text))
