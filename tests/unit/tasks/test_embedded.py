"""The embedded benchmark: balance, reproducibility, disjoint pools and disjoint classes."""

import hashlib
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from distillweighted.tasks import embedded
from distillweighted.tasks.embedded import (
    TASKS,
    class_names,
    digits,
    generate,
    lesions,
    species,
)
from distillweighted.tasks.embedded.draws import balanced_labels, named_generator, spread_levels
from distillweighted.tasks.embedded.glyph_atlas import FACES, SCRIPTS, glyph_atlas

ONE_OF_EACH_FAMILY = (
    "georgian",
    "species_d",
    "textures_a",
    "mosaics_d",
    "lesions_d",
    "digits",
    "generalist",
)
LIBRARY = pathlib.Path(embedded.__file__).parents[3]


def digest(images: np.ndarray, labels: np.ndarray) -> str:
    return hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()


def test_the_tasks_are_those_of_the_benchmark():
    counts = {name: task.num_classes for name, task in TASKS.items()}
    assert counts == {
        "latin": 42,
        "cyrillic": 32,
        "syllabics": 39,
        "species_a": 48,
        "textures_a": 24,
        "mosaics_a": 16,
        "lesions_a": 8,
        "greek": 34,
        "armenian": 38,
        "species_b": 40,
        "textures_b": 12,
        "mosaics_b": 8,
        "lesions_b": 6,
        "species_c": 32,
        "textures_c": 16,
        "mosaics_c": 12,
        "lesions_c": 7,
        "digits": 10,
        "georgian": 33,
        "species_d": 36,
        "mosaics_d": 10,
        "lesions_d": 7,
        "generalist": 41 + 40 + 24 + 16 + 8,
    }
    roles = {role: [n for n, t in TASKS.items() if t.role == role] for role in ("both", "source")}
    assert roles["both"] == ["cyrillic"]
    assert len(roles["source"]) == 6
    assert sum(task.role == "target" for task in TASKS.values()) == 11


@pytest.mark.parametrize("name", ONE_OF_EACH_FAMILY)
def test_images_have_the_shape_and_balanced_labels(name):
    num_classes = TASKS[name].num_classes
    num_images = 2 * num_classes + 3
    images, labels = generate(name, num_images=num_images, pool="train", seed=1, image_size=16)
    assert images.shape == (num_images, 16, 16, 3) and images.dtype == np.uint8
    assert labels.shape == (num_images,) and labels.dtype == np.int64
    counts = np.bincount(labels, minlength=num_classes)
    assert len(counts) == num_classes and counts.min() == 2 and counts.sum() == num_images
    assert counts.max() == 3
    assert not np.array_equal(labels, np.sort(labels))
    # A picture, not a flat or saturated square.
    assert images.reshape(num_images, -1).std(axis=1).min() > 3
    assert np.mean((images == 0) | (images == 255)) < 0.35


@pytest.mark.parametrize("name", ONE_OF_EACH_FAMILY)
def test_first_rows_do_not_depend_on_how_many_are_asked_for(name):
    few = generate(name, num_images=130, pool="test", seed=2, image_size=12)
    many = generate(name, num_images=300, pool="test", seed=2, image_size=12)
    np.testing.assert_array_equal(few[0], many[0][:130])
    np.testing.assert_array_equal(few[1], many[1][:130])


def test_a_fresh_process_makes_the_same_bytes():
    program = (
        "import hashlib, sys\n"
        "from distillweighted.tasks.embedded import generate\n"
        "for name in sys.argv[1:]:\n"
        "    x, y = generate(name, num_images=140, pool='train', seed=5, image_size=16)\n"
        "    print(hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY), "PYTHONHASHSEED": "4321"}
    # In the other order too, so that no task may lean on what another one left behind.
    names = ONE_OF_EACH_FAMILY[::-1]
    done = subprocess.run(
        [sys.executable, "-c", program, *names],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    here = [
        digest(*generate(name, num_images=140, pool="train", seed=5, image_size=16))
        for name in names
    ]
    assert done.stdout.split() == here
    assert len(set(here)) == len(names)


def test_the_package_needs_no_torch():
    program = "import sys, distillweighted.tasks.embedded; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(LIBRARY)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", ONE_OF_EACH_FAMILY)
def test_another_seed_or_pool_gives_other_images(name):
    arguments = {"num_images": 130, "image_size": 12}
    base = generate(name, pool="train", seed=3, **arguments)
    for other in (
        generate(name, pool="train", seed=4, **arguments),
        generate(name, pool="test", seed=3, **arguments),
    ):
        assert not np.array_equal(base[1], other[1])
        seen = {image.tobytes() for image in base[0]}
        assert seen.isdisjoint(image.tobytes() for image in other[0])


def test_both_pools_show_the_same_classes(monkeypatch):
    """Each pool, at any size, hands its renderer the classes that the seed alone defines."""
    used = []

    def record(classes, labels, rng, size):
        used.append(classes.outline)
        return np.zeros((len(labels), size, size, 3), dtype=np.uint8)

    monkeypatch.setattr(species, "render", record)
    for seed, pool, num_images in ((8, "train", 36), (8, "test", 300), (9, "train", 36)):
        embedded._define_renderer.cache_clear()
        generate("species_d", num_images=num_images, pool=pool, seed=seed)
    embedded._define_renderer.cache_clear()
    np.testing.assert_array_equal(used[0], used[1])
    np.testing.assert_array_equal(used[0], used[2])
    assert not np.allclose(used[0], used[3])


def test_species_of_a_genus_are_alike():
    outline = species.define_classes(40, named_generator("test")).outline
    genus = np.arange(40) // 4
    distance = np.sqrt(((outline[:, None] - outline[None]) ** 2).sum(axis=(2, 3)))
    same = (genus[:, None] == genus[None]) & ~np.eye(40, dtype=bool)
    assert distance[same].mean() < 0.85 * distance[genus[:, None] != genus[None]].mean()
    assert distance[same].min() > 0.1


@pytest.mark.parametrize("name", ("species_d", "textures_a", "mosaics_d", "lesions_d", "georgian"))
def test_a_class_looks_the_same_in_both_pools(name):
    """The average statistics of a class in one pool are nearest to its own in the other."""
    num_classes = TASKS[name].num_classes
    means = []
    for pool in ("train", "test"):
        images, labels = generate(name, num_images=1200, pool=pool, seed=6, image_size=16)
        grey = images.astype(np.float64).mean(axis=3)
        grey = grey - grey.mean(axis=(1, 2), keepdims=True)
        grey /= grey.std(axis=(1, 2), keepdims=True)
        # Colour and polarity are drawn anew for each image: compare edges (where the ink is)
        # and spectra (what the pattern is).
        edges = np.abs(np.diff(grey, axis=1))[:, :, 1:] + np.abs(np.diff(grey, axis=2))[:, 1:]
        spectrum = np.log(np.abs(np.fft.rfft2(grey)) + 1.0)
        colour = images.mean(axis=(1, 2)) / 64.0
        rows = [part.reshape(len(images), -1) for part in (edges, spectrum, colour)]
        features = np.concatenate(rows, axis=1)
        means.append(np.stack([features[labels == c].mean(axis=0) for c in range(num_classes)]))
    distance = ((means[0][:, None] - means[1][None]) ** 2).sum(axis=2)
    hits = (distance.argmin(axis=1) == np.arange(num_classes)).mean()
    assert hits > 0.6


def test_digit_pools_share_no_scan():
    train, test = digits.choose_scans("train", 0), digits.choose_scans("test", 0)
    assert len(train) == 1100 and len(test) == 697
    assert sorted([*train, *test]) == list(range(1797))
    other_seed = digits.choose_scans("train", 1)
    assert set(other_seed) == set(train) and not np.array_equal(other_seed, train)
    assert set(np.bincount(digits.digit_labels(train[:1000]))) == {100}


def test_digits_give_all_their_scans_and_no_more():
    images, labels = generate("digits", num_images=697, pool="test", seed=0, image_size=12)
    assert len(images) == 697 and np.bincount(labels).min() >= 60
    with pytest.raises(ValueError, match="1100 real images in its train pool, not 1101"):
        generate("digits", num_images=1101, pool="train", seed=0)
    with pytest.raises(ValueError, match="697 real images in its test pool, not 698"):
        generate("digits", num_images=698, pool="test", seed=0)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_character_is_drawn_and_none_twice(script):
    atlas = glyph_atlas(script)
    assert atlas.shape == (len(SCRIPTS[script]), len(FACES[script]), 64, 64)
    assert atlas.min() >= 0.0 and atlas.max() <= 1.0 + 1e-9
    # The longer side of the ink fills the 44-pixel box, but for the blur at its rim.
    inked = atlas > 0.1
    height = inked.any(axis=3).sum(axis=2)
    width = inked.any(axis=2).sum(axis=2)
    longer = np.maximum(height, width)
    assert longer.min() >= 42 and longer.max() <= 49
    # Were a character missing, it would be drawn as the same box as another missing one.
    for face in range(atlas.shape[1]):
        flat = atlas[:, face].reshape(len(atlas), -1)
        flat = flat / np.sqrt((flat**2).sum(axis=1, keepdims=True))
        alike = flat @ flat.T - 2 * np.eye(len(flat))
        assert alike.max() < 0.99, (FACES[script][face], SCRIPTS[script])


def test_no_letter_of_a_target_is_drawn_like_a_letter_of_a_source_or_the_generalist():
    def regular(script):
        flat = glyph_atlas(script)[:, FACES[script].index("DejaVuSans")].reshape(
            len(SCRIPTS[script]), -1
        )
        return flat / np.sqrt((flat**2).sum(axis=1, keepdims=True))

    for target in ("greek", "armenian", "cyrillic"):
        for other in {"latin", "cyrillic", "syllabics", "symbols"} - {target}:
            alike = regular(target) @ regular(other).T
            row, column = np.unravel_index(alike.argmax(), alike.shape)
            assert alike.max() < 0.96, (SCRIPTS[target][row], SCRIPTS[other][column])


def test_no_class_is_in_two_tasks():
    names = [c for task in TASKS for c in class_names(task)]
    assert len(names) == len(set(names))
    for task in TASKS.values():
        assert len(class_names(task.name)) == task.num_classes
    assert class_names("species_a")[7] == "species_a_07"
    assert class_names("greek")[0] == "α"
    assert {"←", "species_w_00", "lesions_w_07"} < set(class_names("generalist"))


@pytest.mark.parametrize(("part", "first"), [("species", 41), ("lesions", 121)])
def test_the_generalist_draws_each_part_with_its_own_classes(part, first):
    num_classes = {"species": 40, "lesions": 8}[part]
    names = class_names("generalist")
    assert names[first] == f"{part}_w_00"
    assert names[first + num_classes - 1] == f"{part}_w_{num_classes - 1:02d}"
    inside = np.array([0, 3, num_classes - 1])
    family = {"species": species, "lesions": lesions}[part]
    classes = family.define_classes(num_classes, named_generator("classes", part, f"{part}_w", 0))
    alone = family.render(classes, inside, named_generator("rows"), 12)
    mixed = embedded._define_renderer(TASKS["generalist"], 0)(
        inside + first, named_generator("rows"), 12
    )
    np.testing.assert_array_equal(mixed, alone)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "klingon"}, "unknown embedded task 'klingon'; there are latin, cyrillic"),
        ({"pool": "validation"}, "unknown pool 'validation' .*train, test"),
        ({"num_images": 35}, "species_d has 36 classes; 35 images are too few"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    good = {"name": "species_d", "num_images": 36, "pool": "train", "seed": 0}
    with pytest.raises(ValueError, match=message):
        generate(**{**good, **arguments})


def test_class_names_of_an_unknown_task():
    with pytest.raises(ValueError, match="unknown embedded task"):
        class_names("klingon")


def test_named_generators_differ_by_every_part_of_the_name():
    first = {
        int(named_generator(*name).integers(2**62))
        for name in (("a", 1), ("a", 2), ("b", 1), ("a1",), ("a", "1"), ("a", 1, 0))
    }
    assert len(first) == 6
    # A frozen value: a change here changes every image of the benchmark.
    assert int(named_generator("a", 1).integers(1000)) == 188


def test_balanced_labels_are_balanced_from_the_start():
    labels = balanced_labels(23, 5, named_generator("labels"))
    assert len(labels) == 23
    for start in range(0, 20, 5):
        assert sorted(labels[start : start + 5]) == [0, 1, 2, 3, 4]


def test_spread_levels_take_each_level_once():
    levels = spread_levels(named_generator("levels"), 8, 3)
    assert levels.shape == (8, 3)
    for column in levels.T:
        assert sorted(np.floor(column * 8)) == list(range(8))
