"""Own tasks from files to prepared ones: duplicates, the carved test part, broken images."""

import json
import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from quirky import picture, write, write_task

import split_target
from distillweighted.errors import DataError
from distillweighted.files.tables import read_table
from distillweighted.tasks.jobs import SplitJob
from distillweighted.tasks.own import duplicates
from distillweighted.tasks.own.duplicates import duplicate_groups, fingerprint
from distillweighted.tasks.own.partition import carve_test
from distillweighted.tasks.own.preparation import prepare_own_task
from distillweighted.tasks.own.scan import scan_own_task
from distillweighted.tasks.own.spec import OwnTaskSpec
from distillweighted.tasks.pools import open_pool
from distillweighted.tasks.prepared import read_image_names, read_labels, read_meta
from distillweighted.tasks.splits import read_split


def spec_of(folder, *parts, **options):
    folders = {part: str(folder / part) for part in parts or ("labeled", "unlabeled")}
    return OwnTaskSpec("mine", **folders, **options)


def prepare(folder, *parts, **options):
    """Prepare the task in a folder; returns its meta.json."""
    scan_own_task.cache_clear()
    prepare_own_task(folder / "out", spec_of(folder, *parts, **options), threads=2)
    return read_meta(folder / "out")


def names(folder, pool):
    return read_image_names(folder / "out/images.csv", pool)


# Duplicates.


def groups_of(fingerprints, *, near=True):
    return duplicate_groups(fingerprints, near=near)


def altered(image, how):
    """A copy of an image that people would call the same."""
    width, height = image.size
    if how == "smaller":
        return image.resize((width // 2, height // 2), Image.Resampling.BICUBIC)
    if how == "larger":
        return image.resize((width * 2, height * 2), Image.Resampling.BICUBIC)
    if how == "cropped":
        return image.crop((width // 50, height // 50, width - width // 50, height))
    return image


def test_altered_copies_are_found_and_other_pictures_are_not(tmp_path):
    pictures = [picture(seed, 200) for seed in range(20)]
    for how in ("same", "smaller", "larger", "cropped", "recompressed"):
        images = [*pictures]
        for image in pictures:
            copy = altered(image, how)
            if how == "recompressed":
                image.save(tmp_path / "a.jpg", quality=30)
                copy = Image.open(tmp_path / "a.jpg")
            images.append(copy)
        groups = groups_of([fingerprint(np.asarray(image)) for image in images])
        assert groups == [[n, 20 + n] for n in range(20)], how


def test_few_strokes_on_white_do_not_pass_for_one_picture():
    images = []
    for place in range(8):
        page = np.full((100, 100, 3), 255, np.uint8)
        page[10 * place + 5 : 10 * place + 9, 20:80] = (20, 20, 120)
        images.append(page)
    assert groups_of([fingerprint(image) for image in images]) == []
    # Blank pages are the same page, whatever their size; one with a speck is not.
    speck = np.full((100, 100, 3), 255, np.uint8)
    speck[50:54, 50:54] = 0
    blank = [np.full((side, side, 3), 255, np.uint8) for side in (50, 100)]
    assert groups_of([fingerprint(image) for image in (*blank, speck)]) == [[0, 1]]


def test_where_only_exact_duplicates_count_images_that_look_alike_are_apart():
    images = [np.asarray(picture(seed, 96)) for seed in range(3)]
    smaller = np.asarray(picture(0, 96).resize((64, 64)))
    prints = [fingerprint(image) for image in (*images, smaller, images[2], images[0])]
    assert groups_of(prints) == [[0, 3, 5], [2, 4]]
    assert groups_of(prints, near=False) == [[0, 5], [2, 4]]


def test_duplicates_of_duplicates_are_in_one_group():
    rng = np.random.default_rng(0)
    first, last = (np.asarray(picture(seed, 96), float) for seed in (1, 2))
    shares = np.linspace(0, 1, 12)
    morphs = [np.uint8((1 - share) * first + share * last) for share in shares]
    order = rng.permutation(12)
    prints = [fingerprint(morphs[i]) for i in order]
    assert groups_of([prints[int(np.flatnonzero(order == i)[0])] for i in (0, 11)]) == []
    assert groups_of(prints) == [list(range(12))]


@settings(max_examples=200)
@given(st.data())
def test_pairs_are_merged_to_the_groups_that_they_connect(data):
    n = data.draw(st.integers(2, 12))
    pair = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))
    batches = data.draw(st.lists(st.lists(pair, max_size=8), max_size=4))
    leader, linked = np.arange(n), np.eye(n, dtype=bool)
    for pairs in batches:
        ends = np.array(pairs, np.int64).reshape(-1, 2)
        duplicates._merge(leader, ends[:, 0], ends[:, 1])
        for i, j in pairs:
            linked[i, j] = linked[j, i] = True
        for between in range(n):
            linked |= linked[:, [between]] & linked[[between]]
        assert leader.tolist() == linked.argmax(axis=1).tolist()


def test_pictures_of_one_scene_are_compared_until_they_are_one_group(monkeypatch):
    monkeypatch.setattr(duplicates, "BLOCK", 8)
    monkeypatch.setattr(duplicates, "PAIRS", 16)
    rng, merged, merge = np.random.default_rng(0), [], duplicates._merge

    def counted(leader, left, right):
        merged.append(len(left))
        merge(leader, left, right)

    monkeypatch.setattr(duplicates, "_merge", counted)
    scene = np.asarray(picture(1, 96), float)
    images = [np.clip(scene + rng.normal(0, 4, scene.shape), 0, 255) for _ in range(40)]
    images.append(np.asarray(picture(2, 96)))
    groups = groups_of([fingerprint(image.astype(np.uint8)) for image in images])
    assert groups == [list(range(40))]
    # The first image's pairs, 39, come in parts of 16, of which the last begins the second one's.
    assert merged[:4] == [16, 16, 7, 0] and sum(merged) == 39


# Carving.


@st.composite
def tasks(draw):
    counts = draw(st.lists(st.integers(3, 30), min_size=1, max_size=4))
    labels = np.repeat(np.arange(len(counts)), counts)
    labels = np.concatenate([labels, np.full(draw(st.integers(0, 10)), -1)])
    rows = draw(st.permutations(range(len(labels))))
    groups, place = [], 0
    for size in draw(st.lists(st.integers(2, 5), max_size=4)):
        groups.append(sorted(rows[place : place + size]))
        place += size
    return labels, [group for group in groups if len(group) > 1]


@settings(max_examples=200)
@given(tasks(), st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.integers(0, 5))
def test_carving_keeps_groups_together_and_enough_of_each_class(task, fraction, seed):
    labels, groups = task
    mask = carve_test(labels, groups, fraction=fraction, seed=seed)
    assert (mask == carve_test(labels, groups, fraction=fraction, seed=seed)).all()
    assert not mask[labels < 0].any()
    for group in groups:
        assert len({*mask[group].tolist()}) == 1
        if (labels[group] < 0).any():
            assert not mask[group].any()
    grouped = {row for group in groups for row in group}
    for label in range(labels.max() + 1):
        own = np.flatnonzero(labels == label)
        taken = int(mask[own].sum())
        assert len(own) - taken >= 2
        if grouped.isdisjoint(own.tolist()):
            wanted = min(len(own) - 2, max(1, round(len(own) * fraction)))
            assert taken == wanted
        if any(row not in grouped for row in own.tolist()):
            assert taken >= 1


def test_a_class_of_large_groups_gets_the_smallest_of_them_for_testing():
    labels = np.array([0] * 10 + [1] * 10)
    groups = [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]  # a fifth of ten is two
    mask = carve_test(labels, groups, fraction=0.2, seed=0)
    assert mask[:10].sum() == 3 and mask[10:].sum() == 2
    mask = carve_test(labels[:10], [list(range(10))], fraction=0.2, seed=0)
    assert not mask.any()


# Preparation.


def test_a_prepared_own_task_holds_every_image_once(tmp_path):
    write_task(tmp_path, per_class=10, unlabeled=5)
    meta = prepare(tmp_path)
    train, test = names(tmp_path, "train"), names(tmp_path, "test")
    assert len(train) == 16 + 5 and len(test) == 4
    labels = read_table(tmp_path / "out/labels.csv", ("image", "label"))
    assert [image for image, _ in labels] == [*train[:16], *test]
    assert all(label == str("ab".index(image.split("/")[1])) for image, label in labels)
    assert train[16:] == [f"unlabeled/{n}.png" for n in range(5)]
    for pool, images in (("train", train), ("test", test)):
        stored = open_pool(tmp_path / f"out/{pool}_images.npy", tmp_path / "out/images.csv")
        pixels = np.asarray(Image.open(tmp_path / images[1]))
        np.testing.assert_array_equal(stored.load([1])[0], pixels)
    assert meta["images"] == {"train": 21, "test": 4}
    assert (meta["labeled"], meta["unlabeled"], meta["test"]) == (16, 5, 4)
    assert meta["split"] == "carved: 20% of each class, duplicates on one side"
    assert meta["classes"] == ["a", "b"] and meta["left_out"] == []
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"train_images.npy", "test_images.npy", "images.csv", "labels.csv", "meta.json"}


def test_the_split_labels_what_has_labels_whatever_the_seed(tmp_path):
    write_task(tmp_path, per_class=5, unlabeled=3)
    prepare(tmp_path)
    out, made = tmp_path / "out", []
    for seed in (0, 7):
        split, labeled = tmp_path / f"split{seed}.csv", tmp_path / f"labeled{seed}.csv"
        job = SplitJob("mine", seed, None)
        split_target.main(job, out / "images.csv", out / "labels.csv", split, labeled)
        made.append((split.read_bytes(), labeled.read_bytes()))
        rows = read_split(split, labeled, out / "images.csv")
        train = names(tmp_path, "train")
        assert [train[row] for row in rows.unlabeled] == [f"unlabeled/{n}.png" for n in range(3)]
        assert rows.labels.tolist() == [0] * 4 + [1] * 4
        assert rows.labels.tolist() == read_labels(out / "labels.csv", train[:8]).tolist()
    assert made[0] == made[1]


def test_duplicates_stay_on_one_side_of_a_carved_split_and_are_reported(tmp_path, caplog):
    write_task(tmp_path, per_class=8, unlabeled=3)
    labeled = tmp_path / "labeled"
    for n in range(3):  # of these, copies lie among the unlabelled images
        picture(n).save(tmp_path / "unlabeled" / f"copy{n}.bmp")
    picture(3).resize((96, 96)).save(labeled / "a/near.png")
    picture(104).save(labeled / "a/of_b.png")
    with caplog.at_level(logging.WARNING):
        meta = prepare(tmp_path, test_fraction=0.5)
    groups = [["labeled/a/3.png", "labeled/a/near.png"], ["labeled/a/of_b.png", "labeled/b/4.png"]]
    copies = [[f"labeled/a/{n}.png", f"unlabeled/copy{n}.bmp"] for n in range(3)]
    assert sorted(meta["duplicates"]["groups"]) == sorted([*groups, *copies])
    assert (meta["duplicates"]["exact"], meta["duplicates"]["near"]) == (4, 1)
    assert meta["duplicates"]["different_labels"] == [groups[1]]
    assert (
        "duplicates with different labels: 'labeled/a/of_b.png', 'labeled/b/4.png'" in caplog.text
    )
    train, test = ({*names(tmp_path, pool)} for pool in ("train", "test"))
    for group in groups:
        assert {*group} <= train or {*group} <= test
    assert all({*group} <= train for group in copies)


def with_duplicates(folder):
    """Four images a class and as many test images, of which one is a near duplicate, two exact."""
    write_task(folder, per_class=4, unlabeled=3)
    for label, offset in (("a", 0), ("b", 100)):
        write(folder / "test" / label / "own.png", offset + 50)
    picture(0).save(folder / "test/a/same.bmp")
    picture(101).save(folder / "test/b/same.bmp")
    picture(1).resize((80, 80)).save(folder / "test/a/near.png")


@pytest.mark.parametrize(
    ("kind", "left_out", "near", "seen"),
    [
        ("near", ["labeled/a/0.png", "labeled/a/1.png", "labeled/b/1.png"], 1, 0),
        ("exact", ["labeled/a/0.png", "labeled/b/1.png"], None, 0),
        ("allow", [], None, 2),
    ],
)
def test_what_counts_as_a_duplicate_is_what_the_task_says(
    tmp_path, caplog, kind, left_out, near, seen
):
    with_duplicates(tmp_path)
    with caplog.at_level(logging.WARNING):
        meta = prepare(tmp_path, "labeled", "unlabeled", "test", duplicates=kind)
    assert [name for name, _ in meta["left_out"]] == left_out
    found = meta["duplicates"]
    assert (found["kind"], found["exact"], found["near"]) == (kind, 2, near)
    assert found["test_images_in_training"] == seen
    assert (meta["labeled"], meta["test"]) == (8 - len(left_out), 5)
    said = "mine: 2 test images are identical to training images" in caplog.text
    assert said == (kind == "allow")


def test_allowed_duplicates_are_carved_apart_like_other_images(tmp_path):
    write_task(tmp_path, per_class=8, unlabeled=3)
    for n in range(8):  # every labelled image of a class twice
        picture(n).save(tmp_path / "labeled/a" / f"copy{n}.bmp")
    meta = prepare(tmp_path, test_fraction=0.5, duplicates="allow")
    assert meta["split"] == "carved: 50% of each class" and meta["test"] == 8 + 4
    test = {*names(tmp_path, "test")}
    pairs = [{f"labeled/a/{n}.png", f"labeled/a/copy{n}.bmp"} for n in range(8)]
    apart = sum(len(pair & test) == 1 for pair in pairs)
    assert apart > 0 and meta["duplicates"]["test_images_in_training"] == apart
    assert prepare(tmp_path, test_fraction=0.5)["duplicates"]["test_images_in_training"] == 0


def test_training_images_that_duplicate_given_test_images_are_left_out(tmp_path):
    write_task(tmp_path, per_class=5, unlabeled=3)
    for label, offset in (("a", 0), ("b", 100)):
        write(tmp_path / "test" / label / "own.png", offset + 50)
    picture(0).save(tmp_path / "test/a/seen.bmp")
    picture(9001).resize((80, 80)).save(tmp_path / "test/b/seen.png")
    meta = prepare(tmp_path, "labeled", "unlabeled", "test")
    assert meta["split"] == "given" and meta["test"] == 4
    assert meta["left_out"] == [
        ["labeled/a/0.png", "duplicate of the test image 'test/a/seen.bmp'"],
        ["unlabeled/1.png", "duplicate of the test image 'test/b/seen.png'"],
    ]
    assert (meta["labeled"], meta["unlabeled"]) == (9, 2)
    assert not {"labeled/a/0.png", "unlabeled/1.png"} & {*names(tmp_path, "train")}


def test_a_class_of_one_picture_cannot_be_on_both_sides(tmp_path):
    write_task(tmp_path, per_class=5)
    for n in range(4):
        write(tmp_path / f"labeled/c/{n}.png", 77)
    with pytest.raises(DataError) as caught:
        prepare(tmp_path)
    assert str(caught.value) == (
        "mine: class 'c' cannot be tested: 4 images of it are duplicates of each other or of "
        "unlabelled ones, and stay together in training (0 images left out). Add images, or remove "
        "the class"
    )
    assert not (tmp_path / "out/meta.json").exists()


def test_all_broken_images_are_named_or_left_out(tmp_path):
    write_task(tmp_path, per_class=5, unlabeled=3)
    (tmp_path / "labeled/a/0.png").write_bytes(b"")
    (tmp_path / "unlabeled/2.png").write_text("text")
    with pytest.raises(DataError) as caught:
        prepare(tmp_path)
    assert str(caught.value) == (
        "mine: 2 images cannot be read:\n"
        "  - 'labeled/a/0.png': it is empty\n"
        "  - 'unlabeled/2.png': it is no image that can be read (PNG, JPEG, WEBP, BMP, GIF, TIFF)\n"
        "Mend or remove them, or set `broken: leave_out` in the task's entry of `targets`"
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == []
    meta = prepare(tmp_path, broken="leave_out")
    assert [image for image, _ in meta["left_out"]] == ["labeled/a/0.png", "unlabeled/2.png"]
    assert meta["left_out"][0] == ["labeled/a/0.png", "it is empty"]
    assert (meta["labeled"], meta["unlabeled"], meta["test"]) == (7, 2, 2)
    # Where too few images of a class are left, the class is named.
    for n in range(1, 4):
        (tmp_path / f"labeled/a/{n}.png").write_bytes(b"")
    with pytest.raises(
        DataError, match="class 'a' has 1 labelled training image left, and needs 2"
    ):
        prepare(tmp_path, broken="leave_out")


def test_many_broken_images_are_counted(tmp_path):
    write_task(tmp_path, per_class=15, unlabeled=1)
    for label in "ab":
        for n in range(15):
            (tmp_path / f"labeled/{label}/{n}.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        prepare(tmp_path)
    lines = str(caught.value).split("\n")
    assert len(lines) == 23 and lines[0] == "mine: 30 images cannot be read:"
    assert lines[21] == "  - and 10 more, which the log names"


def test_a_table_task_is_prepared_under_its_own_names(tmp_path):
    rows = ["path,label,split"]
    for n in range(8):
        write(tmp_path / f"pics/{n}.png", n)
        rows.append(f"pics/{n}.png,{'xy'[n % 2]},{'test' if n > 5 else ''}")
    write(tmp_path / "pics/new.png", 99)
    rows.append("pics/new.png,,")
    (tmp_path / "list.csv").write_text("\n".join(rows))
    spec = OwnTaskSpec("mine", table=str(tmp_path / "list.csv"), background="#000000", side=32)
    prepare_own_task(tmp_path / "out", spec, threads=1)
    assert names(tmp_path, "train") == [*(f"pics/{n}.png" for n in range(6)), "pics/new.png"]
    assert names(tmp_path, "test") == ["pics/6.png", "pics/7.png"]
    meta = json.loads((tmp_path / "out/meta.json").read_text())
    assert (meta["background"], meta["longest_shorter_side"]) == ("#000000", 32)
    images = open_pool(tmp_path / "out/test_images.npy", tmp_path / "out/images.csv")
    assert images.load([0])[0].shape == (32, 32, 3)
