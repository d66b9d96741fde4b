"""What sources teach by their heads, and what is read of a linear probe."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from distillweighted.files.tensors import save_tensors
from distillweighted.losses import label_information
from distillweighted.similarity.linear_probe import fit_probe
from distillweighted.sources.outputs import save_inference
from distillweighted.sources.stand_ins import prototype_pseudo_labels
from distillweighted.training.lessons import (
    Classroom,
    Lessons,
    lesson_of,
    read_lessons,
    read_probe_labels,
)

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(3, 2, (30, 5)).astype(np.float32)
FEATURES[:, 2] = 7
LABELS = RNG.dirichlet(np.ones(4), 30).astype(np.float32)
OUTPUTS = {"features": FEATURES, "pseudo_labels": LABELS}
ROOM = Classroom(30, np.arange(6), np.arange(6) % 3, ["fig", "lime", "plum"], np.arange(6, 30))


@pytest.mark.parametrize("head", ["own", "kmeans", "zero_shot"])
def test_stored_pseudo_labels_are_taught_as_they_are(head):
    targets, scale = lesson_of(head, OUTPUTS, ROOM)
    assert targets is LABELS and scale is None


def test_prototypes_are_of_the_labelled_images():
    targets, scale = lesson_of("prototypes", OUTPUTS, ROOM)
    assert scale is None
    np.testing.assert_array_equal(
        targets, prototype_pseudo_labels(FEATURES, np.arange(6), np.arange(6) % 3, 3)
    )


def test_features_are_standardised_over_the_images_that_are_distilled():
    targets, scale = lesson_of("features", OUTPUTS, replace(ROOM, feature_scale=2.5))
    assert targets.shape == (30, 4) and targets.dtype == np.float32  # without the constant one
    np.testing.assert_allclose(targets[6:].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(targets[6:].std(axis=0), 1, rtol=1e-6)
    kept = FEATURES[:, [0, 1, 3, 4]].astype(float)
    expected = (kept[9] - kept[6:].mean(axis=0)) / kept[6:].std(axis=0)
    np.testing.assert_allclose(targets[9], expected, rtol=1e-5)
    assert scale == pytest.approx(2.5 * label_information(torch.from_numpy(LABELS[6:])))
    warm = lesson_of("features", OUTPUTS, replace(ROOM, temperature=2.0))[1]
    assert warm == pytest.approx(label_information(torch.from_numpy(LABELS[6:]), temperature=2.0))


def entropy_of(probabilities):
    q = probabilities.astype(float)
    return -(q * np.log(np.maximum(q, 1e-300))).sum(axis=1).mean()


def test_a_random_head_has_the_classes_and_the_sharpness_of_the_sources_own():
    targets, scale = lesson_of("random", OUTPUTS, ROOM)
    assert scale is None and targets.shape == LABELS.shape and targets.dtype == np.float32
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-5)
    assert entropy_of(targets) == pytest.approx(entropy_of(LABELS), abs=1e-5)
    again = lesson_of("random", OUTPUTS, ROOM)[0]
    other = lesson_of("random", OUTPUTS, replace(ROOM, seed=1))[0]
    np.testing.assert_array_equal(again, targets)
    assert not np.allclose(other, targets)
    # It is a function of the features, and of nothing else that the source says of an image.
    permuted = lesson_of("random", {**OUTPUTS, "pseudo_labels": LABELS[::-1]}, ROOM)[0]
    np.testing.assert_allclose(permuted, targets, atol=1e-6)


def test_shuffled_pseudo_labels_are_dealt_out_among_the_images_to_distil_on(stored):
    targets, scale = lesson_of("shuffled", OUTPUTS, ROOM)
    assert scale is None
    np.testing.assert_array_equal(targets[:6], LABELS[:6])
    assert (targets[6:] != LABELS[6:]).any(axis=1).sum() > 18  # 1 of 24 stays on average
    order = np.lexsort(LABELS[6:].T)
    np.testing.assert_array_equal(targets[6:][np.lexsort(targets[6:].T)], LABELS[6:][order])
    # All sources say what they say of the same other image; random heads differ by source.
    heads = dict.fromkeys(stored, "shuffled")
    both = read_lessons(heads, stored, ROOM).targets.numpy()
    np.testing.assert_array_equal(both[:, 4:], both[:, 3::-1])
    np.testing.assert_array_equal(both[:, :4], targets)
    both = read_lessons(dict.fromkeys(stored, "random"), stored, ROOM).targets.numpy()
    assert not np.allclose(both[:, :4], both[:, 4:], atol=0.01)


@pytest.fixture
def stored(tmp_path):
    files = {"pear": tmp_path / "pear.safetensors", "quince": tmp_path / "quince.safetensors"}
    save_inference(files["pear"], OUTPUTS, {})
    save_inference(files["quince"], {**OUTPUTS, "pseudo_labels": LABELS[:, ::-1]}, {})
    return files


def test_lessons_lie_side_by_side(stored):
    lessons = read_lessons({"pear": "features", "quince": "own"}, stored, ROOM)
    assert lessons.sizes == (4, 4)
    assert lessons.scales[1] is None and lessons.scales[0] > 0
    np.testing.assert_array_equal(lessons.targets[:, :4], lesson_of("features", OUTPUTS, ROOM)[0])
    np.testing.assert_array_equal(lessons.targets[:, 4:], LABELS[:, ::-1])
    assert read_lessons({"pear": "own", "quince": "kmeans"}, stored, ROOM).scales is None
    # Pseudo-labels that tell nothing: the weight is 0, and features stay features.
    flat = {**OUTPUTS, "pseudo_labels": np.full((30, 4), 0.25, np.float32)}
    save_inference(stored["pear"], flat, {})
    assert read_lessons({"pear": "features"}, stored, ROOM).scales == (0.0,)


@pytest.mark.parametrize(
    ("head", "change", "message"),
    [
        (
            "nose",
            {},
            "by nose: no such head .allowed: own, kmeans, zero_shot, prototypes, linear_probe,",
        ),
        (
            "prototypes",
            {"labels": np.zeros(6, int)},
            "no image of class 'lime', 'plum' is",
        ),
        ("features", {"distilled_rows": np.array([7])}, "features are the same for all images to"),
        ("own", {"num_images": 31}, "pear.safetensors holds 30 rows for 31 images"),
    ],
)
def test_what_cannot_be_taught_is_an_error_that_names_the_source(stored, head, change, message):
    with pytest.raises(ValueError, match=message) as error:
        read_lessons({"pear": head}, stored, replace(ROOM, **change))
    assert "pear" in str(error.value)


def test_lessons_of_views_are_of_all_views_together(tmp_path):
    """Rows 30 to 59 are the second views of the same images."""
    rng = np.random.default_rng(1)
    features = rng.normal(2, 3, (60, 5)).astype(np.float32)
    labels = rng.dirichlet(np.ones(4), 60).astype(np.float32)
    outputs = {"features": features, "pseudo_labels": labels}
    path = tmp_path / "pear.safetensors"
    save_inference(path, outputs, {"views": 2})
    save_inference(tmp_path / "own.safetensors", {"pseudo_labels": labels}, {"views": 2})

    def taught(head, path=path):
        return read_lessons({"pear": head}, {"pear": path}, ROOM, views=2)

    own = taught("own", tmp_path / "own.safetensors")
    np.testing.assert_array_equal(own.targets, labels)
    labeled = np.concatenate([np.arange(6), 30 + np.arange(6)])
    expected = prototype_pseudo_labels(features, labeled, labeled % 30 % 3, 3)
    np.testing.assert_array_equal(taught("prototypes").targets, expected)
    distilled = np.concatenate([np.arange(6, 30), np.arange(36, 60)])
    found = taught("features")
    kept = features[distilled].astype(float)
    standardized = (kept - kept.mean(axis=0)) / kept.std(axis=0)
    np.testing.assert_allclose(found.targets[distilled], standardized, rtol=1e-4, atol=1e-5)
    information = label_information(torch.from_numpy(labels[distilled]))
    assert found.scales == (pytest.approx(information),)


def test_the_labels_of_a_probe_are_read(tmp_path):
    path = tmp_path / "seed0.safetensors"
    save_tensors(path, {"pseudo_labels": LABELS}, {"source": "pear"})
    labels, sources = read_probe_labels(path, 30, 4)
    assert torch.equal(labels, torch.from_numpy(LABELS)) and sources == ("pear",)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"labels": LABELS}, "does not hold the labels of a probe, but .'labels'"),
        ({"pseudo_labels": LABELS[:9]}, "holds 9 rows for 30 images"),
        (
            {"pseudo_labels": LABELS[:, :3]},
            r"labels \[30, 3\], not of 4 classes for 30 images",
        ),
        ({"pseudo_labels": 2 * LABELS}, "is damaged: its labels are not probabilities"),
        ({"pseudo_labels": LABELS - np.float32(math.e)}, "are not probabilities"),
        ({"pseudo_labels": LABELS * np.float32(math.nan)}, "are not probabilities"),
    ],
)
def test_labels_that_are_not_a_probes_are_errors(tmp_path, arrays, message):
    path = tmp_path / "seed0.safetensors"
    save_tensors(path, arrays, {})
    with pytest.raises(ValueError, match=message) as error:
        read_probe_labels(path, 30, 4)
    assert str(path) in str(error.value)


def test_a_linear_probe_says_the_targets_classes():
    targets, scale = lesson_of("linear_probe", OUTPUTS, ROOM)
    assert scale is None and targets.shape == (30, 3) and targets.dtype == np.float32
    probe = fit_probe(FEATURES[:6], np.arange(6) % 3, 3, seed=0)
    np.testing.assert_allclose(targets, probe.probabilities(FEATURES), rtol=1e-6)


def test_lessons_of_the_same_classes_are_mixed_by_weights():
    one, two = torch.tensor([[0.5, 0.5], [1, 0]]), torch.tensor([[0.1, 0.9], [0.3, 0.7]])
    mixed = Lessons(torch.cat([one, two], dim=1), (2, 2), None).mixed([0.75, 0.25])
    torch.testing.assert_close(mixed, torch.tensor([[0.4, 0.6], [0.825, 0.175]]))


@pytest.mark.parametrize(("sizes", "scales"), [((1, 3), None), ((2, 2), (None, 1.0))])
def test_other_lessons_cannot_be_mixed(sizes, scales):
    with pytest.raises(ValueError, match="only pseudo-labels of the same classes"):
        Lessons(torch.zeros(2, 4), sizes, scales).mixed([0.5, 0.5])
