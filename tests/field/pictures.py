"""Pictures of packages as a user's image folder: labelled, unlabelled and test images.

A category is what the packages' own folders say. Files stay as they are: with transparency, in
palettes, huge ones too.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STAMPS, CLIPART = "tuxpaint-stamps-default", "openclipart-png"

ROOTS: Mapping[str, str] = {
    STAMPS: "usr/share/tuxpaint/stamps",
    CLIPART: "usr/share/openclipart/png",
}
"""Where the pictures of each package lie in it: photographs and drawings, and drawings alone."""

CATEGORIES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "animals": {STAMPS: ("animals",), CLIPART: ("animals",)},
    "buildings": {STAMPS: ("town/houses", "town/monuments"), CLIPART: ("buildings",)},
    "clothes": {STAMPS: ("clothes",), CLIPART: ("people/clothing",)},
    "food": {STAMPS: ("food",), CLIPART: ("food",)},
    "music": {STAMPS: ("hobbies/music", "symbols/music"), CLIPART: ("recreation/music",)},
    "people": {STAMPS: ("people",), CLIPART: ("people",)},
    "plants": {STAMPS: ("plants",), CLIPART: ("plants",)},
    "road signs": {STAMPS: ("town/roadsigns",), CLIPART: ("transportation/roadsigns",)},
    "tools": {STAMPS: ("household/tools",), CLIPART: ("tools",)},
    "vehicles": {
        STAMPS: ("vehicles",),
        CLIPART: ("transportation/vehicles", "transportation/boating"),
    },
}
"""The folders of each category, below a package's root; a picture is of the first that has it."""

EXCEPTIONS: Mapping[str, tuple[str, ...]] = {
    CLIPART: ("buildings/furniture", "tools/weapons", "people/clothing", "people/smilies")
}
"""Folders that are left out where they lie within a category's."""

LABELED = 10
"""Labelled images a category."""

FEWEST = 35
"""A category with fewer images is left out, as happens where the distribution has one package."""


@dataclass(frozen=True)
class Picture:
    """A picture of a package."""

    category: str
    """What it shows."""

    package: str
    """The package that it is from."""

    place: str
    """Its path below the package's root."""

    file: Path
    """Where it lies."""

    digest: str
    """SHA-256 of its content, which orders the pictures: the same on every machine."""


def find_pictures(packages: Mapping[str, Path]) -> dict[str, list[Picture]]:
    """The pictures of every category that has enough, in a fixed order.

    Links are passed over: they show a picture of one category in another. So are formats that are
    no raster images (SVG).

    Args:
        packages: Folder into which each package was unpacked.
    """
    found = {}
    for category, places in CATEGORIES.items():
        pictures = [
            picture
            for package, folder in packages.items()
            for picture in _pictures_in(
                category, package, folder / ROOTS[package], places.get(package, ())
            )
        ]
        if len(pictures) >= FEWEST:
            found[category] = sorted(pictures, key=lambda one: (one.digest, one.package, one.place))
    return found


def _pictures_in(category: str, package: str, root: Path, places: tuple[str, ...]) -> list[Picture]:
    left_out = [root / one for one in EXCEPTIONS.get(package, ()) if one not in places]
    return [
        Picture(
            category,
            package,
            file.relative_to(root).as_posix(),
            file,
            hashlib.sha256(file.read_bytes()).hexdigest(),
        )
        for place in places
        for file in sorted((root / place).rglob("*.png"))
        if file.is_file()
        and not file.is_symlink()
        and not any(file.is_relative_to(folder) for folder in left_out)
    ]


def write_image_folder(
    folder: Path, pictures: Mapping[str, list[Picture]], *, test_share: float = 0.4
) -> dict[str, dict[str, int]]:
    """Write `labeled/<category>/`, `unlabeled/` and `test/<category>/`.

    The first pictures of a category are labelled, a share of the others is for testing. Unlabelled
    ones lie as in their package, as nobody has sorted them.

    Args:
        folder: Where to; must not be there.
        pictures: The pictures of each category, in order.
        test_share: Share of the pictures that are not labelled.

    Returns:
        How many pictures each part has of each category.
    """
    counts: dict[str, dict[str, int]] = {"labeled": {}, "unlabeled": {}, "test": {}}
    for category, ones in pictures.items():
        tests = round(test_share * (len(ones) - LABELED))
        parts = {
            "labeled": ones[:LABELED],
            "test": ones[LABELED : LABELED + tests],
            "unlabeled": ones[LABELED + tests :],
        }
        for part, members in parts.items():
            counts[part][category] = len(members)
            for one in members:
                place = Path(one.package, one.place)
                if part != "unlabeled":
                    place = Path(category, "-".join(place.parts))
                (folder / part / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(one.file, folder / part / place)
    return counts
