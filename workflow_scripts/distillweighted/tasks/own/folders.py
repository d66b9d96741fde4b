"""Images in folders as people have them: any tree, with what systems leave in it."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from distillweighted.tasks.own.found import (
    Flaw,
    Found,
    OwnImage,
    count,
    is_plain,
    printable,
    same_names,
    some,
)
from distillweighted.tasks.own.spec import PARTS, OwnTaskSpec

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
"""What names of images end in, in small letters."""

JUNK = ("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir")
"""What systems leave in folders, in small letters, beside names that begin with a dot."""


def find_in_folders(spec: OwnTaskSpec) -> Found:
    """The images of a task whose parts are folders."""
    found = Found()
    folders = {part: folder for part in PARTS if (folder := getattr(spec, part)) is not None}
    for part, folder in list(folders.items()):
        if not os.path.isdir(folder):
            found.flaws.append(Flaw(part, f"{printable(folder)} is no folder"))
            del folders[part]
    found.flaws += _overlaps(folders)
    for part, folder in folders.items():
        before = len(found.images)
        if part == "unlabeled":
            _Walk(found, part, folder).take(folder, None)
        else:
            _take_classes(found, part, folder)
        own = found.images[before:]
        found.flaws += same_names(own, part)
        if not own and not any(flaw.key == part for flaw in found.flaws):
            text = f"no image in {printable(folder)} (of {', '.join(ENDINGS)})"
            found.flaws.append(Flaw(part, text))
    return found


def _overlaps(folders: dict[str, str]) -> Iterator[Flaw]:
    real = {part: Path(os.path.realpath(folder)) for part, folder in folders.items()}
    for i, part in enumerate(real):
        for other in list(real)[:i]:
            if real[part].is_relative_to(real[other]) or real[other].is_relative_to(real[part]):
                text = (
                    f"{printable(folders[part])} is, or holds, or lies in the folder of `{other}`"
                )
                yield Flaw(part, f"{text}, so that images would be in both; take folders apart")


def _take_classes(found: Found, part: str, folder: str) -> None:
    """Take the images below each sub-folder, whose name is their class."""
    direct: list[str] = []
    odd: list[str] = []
    classes: dict[str, str] = {}
    for entry in _entries(found, part, folder):
        if not _is_folder(entry):
            if entry.name.lower().endswith(ENDINGS):
                direct.append(entry.name)
            continue
        if not is_plain(entry.name):
            odd.append(entry.name)
            continue
        name = unicodedata.normalize("NFC", entry.name)
        if name in classes:
            text = f"two folders of one name, {printable(name)}, which only Unicode tells apart"
            found.flaws.append(Flaw(part, f"{text}; rename or merge them"))
            continue
        classes[name] = entry.path
    empty: list[str] = []
    walk = _Walk(found, part, folder)
    for name, path in classes.items():
        if not walk.take(path, name):
            empty.append(printable(name) + walk.others_in_words())
    walk.tell()
    if direct:
        text = f"{count(len(direct), 'image')} without a class directly in {printable(folder)}"
        text = f"{text}: {some(map(printable, direct))}"
        found.flaws.append(Flaw(part, f"{text}; move each into the sub-folder of its class"))
    if odd:
        found.flaws.append(_odd_names(part, odd))
    if not classes and not direct:
        text = f"{printable(folder)} has no sub-folders; it needs one for each class"
        found.flaws.append(Flaw(part, text))
    if empty and part == "labeled":
        text = f"class folders without an image: {some(empty)}"
        found.flaws.append(Flaw(part, f"{text}; put images there, or remove the folder"))
    elif empty:
        found.notes.append(f"{part}: class folders without an image: {some(empty)}")


class _Walk:
    """Goes through folders, each of which is seen once, however many links lead there."""

    def __init__(self, found: Found, part: str, top: str):
        self._found, self._part, self._top = found, part, top
        self._others: Counter[str] = Counter()
        self._all_others: Counter[str] = Counter()
        self._odd: list[str] = []

    def take(self, folder: str, label: str | None) -> int:
        """Take all images below a folder; returns how many."""
        self._others.clear()
        before, seen = len(self._found.images), set()
        pending = [folder]
        while pending:
            path = pending.pop()
            try:
                stat = os.stat(path)
            except OSError:
                continue  # `_entries` of its parent saw it; it is gone
            if (stat.st_dev, stat.st_ino) in seen:
                self._found.notes.append(
                    f"{self._part}: {printable(path)} leads to a folder that was seen already"
                )
                continue
            seen.add((stat.st_dev, stat.st_ino))
            for entry in _entries(self._found, self._part, path):
                if _is_folder(entry):
                    pending.append(entry.path)
                elif entry.name.lower().endswith(ENDINGS):
                    self._take_image(entry, label)
                else:
                    ending = os.path.splitext(entry.name)[1].lower()
                    self._others[ending if is_plain(ending) else "others"] += 1
        self._all_others += self._others
        if label is None:
            self.tell()
        return len(self._found.images) - before

    def _take_image(self, entry: os.DirEntry, label: str | None) -> None:
        inside = os.path.relpath(entry.path, self._top)
        if not is_plain(inside):
            self._odd.append(inside)
            return
        inside = unicodedata.normalize("NFC", Path(inside).as_posix())
        self._found.images.append(OwnImage(f"{self._part}/{inside}", entry.path, self._part, label))

    def others_in_words(self) -> str:
        """The files that the last folder has instead of images; "" for none."""
        others = _kinds(self._others)
        return f" (it has {others}, which cannot be read)" if others else ""

    def tell(self) -> None:
        """Note the files that were passed over, and complain of names."""
        if self._odd:
            self._found.flaws.append(_odd_names(self._part, self._odd))
        if self._all_others:
            files = count(sum(self._all_others.values()), "file")
            text = f"{files} passed over, which are no images: {_kinds(self._all_others)}"
            self._found.notes.append(f"{self._part}: {text}")


def _odd_names(part: str, names: list[str]) -> Flaw:
    text = "names with a line break or a control character, or that are not UTF-8"
    return Flaw(part, f"{text}: {some(map(printable, names))}; rename them")


def _kinds(others: Counter[str]) -> str:
    return some(f"{number} {ending or 'without ending'}" for ending, number in others.most_common())


def _entries(found: Found, part: str, folder: str) -> list[os.DirEntry]:
    """What lies in a folder, by name, without what systems leave there."""
    try:
        with os.scandir(folder) as entries:
            kept = [e for e in entries if e.name[:1] != "." and e.name.lower() not in JUNK]
    except OSError as error:
        found.flaws.append(Flaw(part, f"{printable(folder)} cannot be read: {error.strerror}"))
        return []
    return sorted(kept, key=lambda entry: entry.name)


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # of a link to itself
        return False
