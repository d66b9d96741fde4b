"""What is found where an own task lies: images that are not yet decoded, and what is wrong."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple


class Flaw(NamedTuple):
    """What is wrong with what a key of an own task names."""

    key: str
    text: str


class OwnImage(NamedTuple):
    """An image of an own task."""

    name: str
    """What it is called everywhere: part and path below that folder, or as its table says."""

    path: str
    """Its file."""

    part: str
    """labeled, unlabeled or test."""

    label: str | None
    """Its class; None for an unlabelled one."""


@dataclass
class Found:
    """What a scan finds, while it goes on."""

    images: list[OwnImage] = field(default_factory=list)
    """Images, in no order yet."""

    flaws: list[Flaw] = field(default_factory=list)
    """What is wrong."""

    notes: list[str] = field(default_factory=list)
    """What a person may want to know."""


def printable(name: str) -> str:
    """A name as it can stand in a message: on one line, in quotes, not too long."""
    text = name if is_plain(name) else name.encode("unicode_escape", "backslashreplace").decode()
    return f"'{text}'" if len(text) <= 100 else f"'...{text[-97:]}'"


def is_plain(name: str) -> bool:
    """Whether a name is UTF-8 without line breaks and control characters."""
    # Cs are the bytes of a name that is no UTF-8, as Python reads them.
    return not any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in name)


def some(texts: Iterable[str], *, limit: int = 5) -> str:
    """The first few texts, and how many more there are."""
    texts = list(texts)
    more = f" and {len(texts) - limit} more" if len(texts) > limit else ""
    return ", ".join(texts[:limit]) + more


def count(number: int, what: str, several: str | None = None) -> str:
    """A number of things, in words: "1 image", "2 images"."""
    return f"{number} {what if number == 1 else several or what + 's'}"


def same_names(images: Iterable[OwnImage], key: str) -> Iterator[Flaw]:
    """A flaw for images that differ only in how Unicode writes their names."""
    first: dict[str, OwnImage] = {}
    for image in images:
        other = first.setdefault(image.name, image)
        if other is not image:
            text = (
                f"two images of one name, {printable(image.name)}, which only Unicode tells apart"
            )
            yield Flaw(key, f"{text}; rename one of {other.path!a} and {image.path!a}")
