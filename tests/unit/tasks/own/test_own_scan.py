"""What is found in folders and tables as people have them, and what is said of it."""

import csv
import os
import unicodedata

import pandas as pd
import pytest
from quirky import write, write_task

from distillweighted.tasks.own.scan import planned_sizes, scan_own_task
from distillweighted.tasks.own.spec import OwnTaskSpec


@pytest.fixture(autouse=True)
def looked_up_anew():
    scan_own_task.cache_clear()


def scan_folders(folder, *parts, **options):
    folders = {part: str(folder / part) for part in parts or ("labeled", "unlabeled")}
    return scan_own_task(OwnTaskSpec("mine", **folders, **options))


def scan_table(folder, rows, name="list.csv", columns=("path", "label"), **options):
    with open(folder / name, "w", newline="", encoding=options.pop("encoding", "utf-8")) as file:
        table = csv.writer(file, **options)
        table.writerows([columns, *rows])
    return scan_own_task(OwnTaskSpec("mine", table=str(folder / name)))


def the_flaw(scan, key):
    """The only flaw of a scan."""
    assert [flaw.key for flaw in scan.flaws] == [key], scan.flaws
    return scan.flaws[0].text


def test_images_are_named_by_part_and_path_and_classes_sorted(tmp_path):
    write_task(tmp_path, per_class=3, unlabeled=1)
    write(tmp_path / "labeled/a/deep er/IMG [1].JPG", 50)
    write(tmp_path / "unlabeled/x/y/ö.TIFF", 51)
    scan = scan_folders(tmp_path)
    assert scan.flaws == () and scan.classes == ("a", "b") and not scan.given_test
    assert [(image.name, image.label) for image in scan.images] == [
        *((f"labeled/a/{n}.png", "a") for n in range(3)),
        ("labeled/a/deep er/IMG [1].JPG", "a"),
        *((f"labeled/b/{n}.png", "b") for n in range(3)),
        ("unlabeled/0.png", None),
        ("unlabeled/x/y/ö.TIFF", None),
    ]
    # One of four, one of three, and at least two stay.
    assert planned_sizes(scan, 0.2) == {"train_images": 7, "test_images": 2}
    assert planned_sizes(scan, 0.9) == {"train_images": 6, "test_images": 3}


def test_what_systems_leave_is_passed_over_and_other_files_are_counted(tmp_path):
    write_task(tmp_path, per_class=3, unlabeled=1)
    for junk in (".hidden.png", "._0.png", ".git/0.png", "__MACOSX/0.png", "@eaDir/0.png"):
        write(tmp_path / "labeled/a" / junk, 60)
        write(tmp_path / "labeled" / f".{junk}", 60)
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (tmp_path / "labeled/a" / name).write_text("")
        (tmp_path / "labeled" / name).write_text("")
    for name in ("a.heic", "b.HEIC", "notes.txt", "README"):
        (tmp_path / "labeled/b" / name).write_text("")
    scan = scan_folders(tmp_path)
    assert scan.flaws == () and len(scan.images) == 7
    kinds = "2 .heic, 1 .txt, 1 without ending"
    assert len(scan.notes) == 1
    start, _, found = scan.notes[0].partition(": 4 files passed over, which are no images: ")
    assert start == "labeled" and sorted(found.split(", ")) == sorted(kinds.split(", "))


def test_links_are_followed_and_each_folder_is_seen_once(tmp_path):
    write_task(tmp_path, per_class=3, unlabeled=1)
    write(tmp_path / "elsewhere/far.png", 70)
    os.symlink(tmp_path / "elsewhere", tmp_path / "unlabeled/link")
    os.symlink(tmp_path / "unlabeled", tmp_path / "unlabeled/loop")
    os.symlink("nowhere.png", tmp_path / "unlabeled/dangling.png")
    scan = scan_folders(tmp_path)
    names = [image.name for image in scan.of("unlabeled")]
    assert names == ["unlabeled/0.png", "unlabeled/dangling.png", "unlabeled/link/far.png"]
    (note,) = scan.notes
    assert note.endswith("/unlabeled/loop' leads to a folder that was seen already")


def test_labeled_images_without_a_class_are_named(tmp_path):
    write_task(tmp_path)
    write(tmp_path / "labeled/stray.png", 1)
    text = the_flaw(scan_folders(tmp_path), "labeled")
    assert text.startswith("1 image without a class directly in ")
    assert text.endswith(": 'stray.png'; move each into the sub-folder of its class")


def test_empty_class_folders_are_named_with_what_they_have_instead(tmp_path):
    write_task(tmp_path)
    (tmp_path / "labeled/rose").mkdir()
    (tmp_path / "labeled/tulip").mkdir()
    (tmp_path / "labeled/tulip/a.heic").write_text("")
    assert the_flaw(scan_folders(tmp_path), "labeled") == (
        "class folders without an image: 'rose', 'tulip' (it has 1 .heic, which cannot be read); "
        "put images there, or remove the folder"
    )


def test_classes_with_too_few_images_are_named(tmp_path):
    write_task(tmp_path)
    write(tmp_path / "labeled/rose/1.png", 1)
    write(tmp_path / "labeled/tulip/1.png", 2)
    write(tmp_path / "labeled/tulip/2.png", 3)
    assert the_flaw(scan_folders(tmp_path), "labeled") == (
        "2 classes have too few labelled images, 'rose' (1), 'tulip' (2), where each needs 3: one "
        "for testing and 2 for training; add images, give test images, or remove the class"
    )
    # With given test images two are enough.
    for name in "ab":
        write(tmp_path / "test" / name / "1.png", 5)
    scan = scan_folders(tmp_path, "labeled", "test")
    assert the_flaw(scan, "labeled") == (
        "1 class has too few labelled images, 'rose' (1), where each needs 2; add images or remove "
        "the class"
    )


def test_one_class_is_no_task(tmp_path):
    write_task(tmp_path, classes=1)
    text = the_flaw(scan_folders(tmp_path), "labeled")
    assert text == "a task needs two classes with labelled images, and there is only 'a'"


def test_classes_of_the_test_part_alone_are_named_and_untested_ones_noted(tmp_path):
    write_task(tmp_path)
    write(tmp_path / "test/a/1.png", 1)
    scan = scan_folders(tmp_path, "labeled", "test")
    assert scan.flaws == () and scan.notes == ("1 class has no test image: 'b'",)
    assert planned_sizes(scan, 0.2) == {"train_images": 12, "test_images": 1}
    write(tmp_path / "test/rose/1.png", 2)
    scan_own_task.cache_clear()
    assert the_flaw(scan_folders(tmp_path, "labeled", "test"), "test") == (
        "1 class is only in the test part: 'rose'; label images of it for training, or remove it "
        "there"
    )


def test_missing_empty_and_overlapping_folders(tmp_path):
    write_task(tmp_path)
    text = the_flaw(scan_folders(tmp_path, "labeled", "test"), "test")
    assert text == f"'{tmp_path}/test' is no folder"
    (tmp_path / "test").mkdir()
    scan_own_task.cache_clear()
    text = the_flaw(scan_folders(tmp_path, "labeled", "test"), "test")
    assert text == f"'{tmp_path}/test' has no sub-folders; it needs one for each class"
    (tmp_path / "none").mkdir()
    empty = OwnTaskSpec("x", labeled=str(tmp_path / "labeled"), unlabeled=str(tmp_path / "none"))
    assert the_flaw(scan_own_task(empty), "unlabeled").startswith(f"no image in '{tmp_path}/none'")
    both = OwnTaskSpec("x", labeled=str(tmp_path / "labeled"), unlabeled=str(tmp_path))
    text = the_flaw(scan_own_task(both), "unlabeled")
    assert text.endswith(
        "is, or holds, or lies in the folder of `labeled`, so that images would be in both; "
        "take folders apart"
    )


def test_names_that_only_unicode_tells_apart_are_refused(tmp_path):
    write_task(tmp_path)
    for form in ("NFC", "NFD"):
        write(tmp_path / "unlabeled" / unicodedata.normalize(form, "é.png"), 1)
    text = the_flaw(scan_folders(tmp_path), "unlabeled")
    start = "two images of one name, 'unlabeled/é.png', which only Unicode tells apart; rename one"
    assert text.startswith(start) and "e\\u0301.png'" in text and "\\xe9.png'" in text
    for form in ("NFC", "NFD"):
        write(tmp_path / "labeled" / unicodedata.normalize(form, "ö") / "1.png", 1)
    scan_own_task.cache_clear()
    texts = [flaw.text for flaw in scan_folders(tmp_path).flaws if flaw.key == "labeled"]
    assert any(text.startswith("two folders of one name, 'ö'") for text in texts)


def test_names_that_cannot_stand_in_a_table_are_refused_readably(tmp_path):
    write_task(tmp_path)
    write(tmp_path / "unlabeled/two\nlines.png", 1)
    os.rename(
        write(tmp_path / "unlabeled/x.png", 2),
        os.path.join(os.fsencode(tmp_path / "unlabeled"), b"\xff.png"),
    )
    assert the_flaw(scan_folders(tmp_path), "unlabeled") == (
        "names with a line break or a control character, or that are not UTF-8: 'two\\nlines.png', "
        "'\\udcff.png'; rename them"
    )


def test_all_flaws_are_told_at_once(tmp_path):
    write_task(tmp_path)
    write(tmp_path / "labeled/stray.png", 1)
    (tmp_path / "labeled/rose").mkdir()
    scan = scan_folders(tmp_path, "labeled", "unlabeled", "test")
    assert [flaw.key for flaw in scan.flaws] == ["test", "labeled", "labeled"]


def test_the_state_depends_on_the_images_and_on_nothing_beside_them(tmp_path):
    write_task(tmp_path)
    states = [scan_folders(tmp_path).state()]
    (tmp_path / "labeled/.DS_Store").write_text("x")
    (tmp_path / "labeled/a/notes.txt").write_text("x")

    def anew():
        scan_own_task.cache_clear()
        return scan_folders(tmp_path).state()

    assert anew() == states[0]
    os.utime(tmp_path / "labeled/a/0.png", (1, 1))
    states.append(anew())
    os.rename(tmp_path / "labeled/a/0.png", tmp_path / "labeled/b/00.png")
    states.append(anew())
    assert len({*states}) == 3


# Tables.


def rows_of(folder, per_class=3):
    """Rows of a table, with images of them."""
    rows = []
    for label in "ab":
        for n in range(per_class):
            write(folder / "pics" / f"{label}{n}.png", ord(label) * 10 + n)
            rows.append((f"pics/{label}{n}.png", label))
    write(folder / "pics/new.png", 1)
    return [*rows, ("pics/new.png", "")]


@pytest.mark.parametrize("options", [{}, {"delimiter": ";"}, {"encoding": "utf-8-sig"}])
def test_a_table_names_its_images_as_it_writes_them(options, tmp_path):
    rows = rows_of(tmp_path)
    rows[0] = ("./pics/a0.png", " a ")
    scan = scan_table(tmp_path, rows, **options)
    assert scan.flaws == () and scan.classes == ("a", "b")
    assert ("./pics/a0.png", "labeled", "a") in [(i.name, i.part, i.label) for i in scan.images]
    assert [image.name for image in scan.of("unlabeled")] == ["pics/new.png"]


def test_a_parquet_table_has_types(tmp_path):
    rows = rows_of(tmp_path)
    labels = {"a": 7, "b": 8, "": None}
    table = pd.DataFrame(
        {"Path": [path for path, _ in rows], "label": [labels[label] for _, label in rows]}
    )
    table["split"] = ["test"] + [None] * 6
    table.to_parquet(tmp_path / "list.parquet")
    scan = scan_own_task(OwnTaskSpec("mine", table=str(tmp_path / "list.parquet")))
    assert scan.flaws == () and scan.classes == ("7", "8")
    assert [image.name for image in scan.of("test")] == ["pics/a0.png"]
    assert [image.name for image in scan.of("unlabeled")] == ["pics/new.png"]


def test_a_table_from_another_system_may_write_accents_otherwise(tmp_path):
    rows = rows_of(tmp_path)
    composed, apart = (unicodedata.normalize(form, "pics/é.png") for form in ("NFC", "NFD"))
    write(tmp_path / apart, 3)
    scan = scan_table(tmp_path, [*rows, (composed, "a")])
    assert scan.flaws == ()
    assert (composed, str(tmp_path / apart)) in [(image.name, image.path) for image in scan.images]


TABLE_FLAWS = {
    "missing": ([("pics/gone.png", "a")], "images that are not there: line 9: 'pics/gone.png'"),
    "twice": (
        [("pics/../pics/a1.png", "a")],
        "images that are listed twice: line 9: 'pics/../pics/a1.png' (line 3 has it already)",
    ),
    "cells": ([("pics/a0.png",)], "'{}' has 1 cells in line 9, and 2 in its header"),
    "line break": ([("pics/a\n.png", "a")], "a line break or a control character in a path or a l"),
}


@pytest.mark.parametrize("name", TABLE_FLAWS)
def test_what_is_wrong_with_rows_is_told_by_their_lines(name, tmp_path):
    rows, start = TABLE_FLAWS[name]
    text = the_flaw(scan_table(tmp_path, [*rows_of(tmp_path), *rows]), "table")
    assert text.startswith(start.format(tmp_path / "list.csv"))


def test_splits_of_a_table(tmp_path):
    splits = ["train", "TEST", "", "train", "test", "train", "train"]
    rows = [(*row, split) for row, split in zip(rows_of(tmp_path), splits, strict=True)]
    columns = ("path", "label", "split")
    scan = scan_table(tmp_path, rows, columns=columns)
    assert [image.name for image in scan.of("test")] == ["pics/a1.png", "pics/b1.png"]
    assert scan.flaws == () and scan.given_test
    rows[0], rows[6] = (*rows[0][:2], "valid"), (*rows[6][:2], "test")
    scan_own_task.cache_clear()
    texts = {flaw.text for flaw in scan_table(tmp_path, rows, columns=columns).flaws}
    assert texts == {
        "an unknown split (allowed: train, test, or nothing, which means train): line 2: 'valid'",
        "test images without a label: line 8: 'pics/new.png'",
    }


def test_tables_that_cannot_be_read(tmp_path):
    rows_of(tmp_path)
    path = f"'{tmp_path / 'list.csv'}'"
    assert the_flaw(scan_table(tmp_path, [], columns=("path", "class")), "table") == (
        f"{path} has no column 'label' (its columns: 'path', 'class')"
    )
    scan_own_task.cache_clear()
    flaw = the_flaw(scan_table(tmp_path, [("pics/a0.png", "")]), "table")
    assert flaw == f"no row of {path} has a label"
    for content, said in {
        b"path,label\n\xff,a\n": "is neither Parquet nor UTF-8 text (at byte 11); save it as UTF-8",
        b"PAR1rubbish": "is not a Parquet file: ",
        b'path,label\n"a,b\n': "is not a CSV file: line 2: ",
    }.items():
        (tmp_path / "list.csv").write_bytes(content)
        scan_own_task.cache_clear()
        spec = OwnTaskSpec("mine", table=str(tmp_path / "list.csv"))
        assert the_flaw(scan_own_task(spec), "table").startswith(f"{path} {said}")
    spec = OwnTaskSpec("mine", table=str(tmp_path / "none.csv"))
    assert the_flaw(scan_own_task(spec), "table") == f"'{tmp_path / 'none.csv'}' is no file"
