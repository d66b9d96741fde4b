"""What sources without a classifier teach: pseudo-labels from features."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillweighted.sources.stand_ins import (
    directions_of,
    kmeans_pseudo_labels,
    prototype_pseudo_labels,
    standardize,
    varying_dimensions,
    zero_shot_probabilities,
)

STAND_INS = {
    "kmeans": lambda features: kmeans_pseudo_labels(features, seed=0),
    "prototypes": lambda features: prototype_pseudo_labels(features, [0, 1], [0, 1], 2),
}


def blobs(each=40, dimensions=6, seed=0):
    """Three groups of images far apart, in turn, and which is whose."""
    rng = np.random.default_rng(seed)
    groups = np.arange(3 * each) % 3
    centres = np.eye(dimensions)[:3] * 50
    return centres[groups] + rng.normal(size=(3 * each, dimensions)), groups


def test_directions_have_length_1_and_the_roots_of_the_features_spreads():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(4000, 3)) @ np.diag([16.0, 1.0, 1 / 16]) + 7
    directions = directions_of(features)
    assert directions.shape == (4000, 3)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1)
    # 4 : 1 : 1/4, whatever the order of the dimensions and the length of each vector.
    ratios = np.median(np.abs(directions[:, :2] / directions[:, 1:]), axis=0)
    np.testing.assert_allclose(ratios, 4, rtol=0.1)


def test_components_are_divided_by_the_root_of_their_spread():
    features = np.array([[8.0, 1], [-8, 1], [8, -1], [-8, -1]] * 3)
    one = np.abs(directions_of(features)[0])
    assert max(one) / min(one) == pytest.approx(math.sqrt(8))


@pytest.mark.parametrize(
    ("images", "dimensions", "kept"), [(400, 300, 64), (400, 20, 20), (100, 300, 25), (3, 9, 1)]
)
def test_components_are_fewer_where_there_are_few_images_or_dimensions(images, dimensions, kept):
    features = np.random.default_rng(0).normal(size=(images, dimensions))
    assert directions_of(features).shape == (images, kept)


def test_components_that_do_not_vary_are_left_out():
    two = np.random.default_rng(0).normal(size=(100, 2))
    assert directions_of(np.concatenate([two, two @ [[1.0, 2], [3, 4]]], 1)).shape[1] == 2


def test_kmeans_finds_the_groups():
    features, groups = blobs()
    labels = kmeans_pseudo_labels(features, seed=1, clusters=3)
    assert labels.shape == (120, 3) and labels.dtype == np.float32
    np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)
    of_group = [set(labels.argmax(axis=1)[groups == group]) for group in range(3)]
    assert sorted(map(len, of_group)) == [1, 1, 1] and len(set.union(*of_group)) == 3


def test_kmeans_by_hand():
    # One dimension: the directions are -1 and 1, and so are the two centres.
    features = np.array([[1.0], [1], [1], [1], [5], [5], [5], [5]])
    labels = kmeans_pseudo_labels(features, seed=0)
    near = 1 / (1 + math.exp(-20))  # softmax of (1, -1) / 0.1
    np.testing.assert_allclose(np.sort(labels, axis=1), [[1 - near, near]] * 8, rtol=1e-5)
    first, second = labels.argmax(axis=1)[[0, 4]]
    assert labels.argmax(axis=1).tolist() == [first] * 4 + [second] * 4 and first != second


@pytest.mark.parametrize(
    ("images", "clusters", "wanted"), [(600, 128, 128), (200, 128, 50), (200, 10, 10), (9, 128, 2)]
)
def test_kmeans_has_fewer_clusters_where_there_are_few_images(images, clusters, wanted):
    features = np.random.default_rng(0).normal(size=(images, 70))
    assert kmeans_pseudo_labels(features, seed=0, clusters=clusters).shape == (images, wanted)


def test_kmeans_has_no_more_clusters_than_there_are_different_images():
    features = np.repeat(np.random.default_rng(0).normal(size=(5, 8)), 30, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kmeans_pseudo_labels(features, seed=0).shape == (150, 5)


def test_kmeans_is_reproduced_by_its_seed_and_changed_by_another():
    features = np.random.default_rng(0).normal(size=(200, 10)).astype(np.float32)
    first = kmeans_pseudo_labels(features, seed=2**62 + 1)
    assert np.array_equal(first, kmeans_pseudo_labels(features, seed=2**62 + 1))
    assert not np.array_equal(first, kmeans_pseudo_labels(features, seed=2**62 + 2))


def test_prototypes_by_hand():
    features = np.array([[1.0], [1], [5], [5]])
    labels = prototype_pseudo_labels(features, [2, 0], [0, 1], 2)
    near = 1 / (1 + math.exp(-20))
    np.testing.assert_allclose(labels[:, 0], [1 - near, 1 - near, near, near], rtol=1e-5)


def test_prototypes_name_the_group_of_images_without_labels():
    features, groups = blobs()
    labels = prototype_pseudo_labels(features, np.arange(30), groups[:30], 3)
    assert labels.shape == (120, 3) and labels.dtype == np.float32
    assert labels.argmax(axis=1).tolist() == groups.tolist()


@given(st.permutations(range(12)))
@settings(max_examples=20)
def test_prototypes_do_not_depend_on_the_order_of_the_labelled_images(order):
    features, groups = blobs(each=8)
    rows = np.array(order)
    np.testing.assert_allclose(
        prototype_pseudo_labels(features, rows, groups[rows], 3),
        prototype_pseudo_labels(features, np.arange(12), groups[:12], 3),
        rtol=1e-5,
    )


@pytest.mark.parametrize(
    ("rows", "labels", "classes", "message"),
    [
        ([0, 1], [0, 2], 4, "of every class; none of class 1, 3$"),
        ([], [], 2, "of every class; none of class 0, 1$"),
        ([0, 1], [0], 2, r"\(2,\) labelled rows do not match \(1,\) labels"),
        ([0, 120], [0, 1], 2, "rows must be 0 to 119"),
        ([0, -1], [0, 1], 2, "rows must be 0 to 119"),
        ([0, 1], [0, 2], 2, "labels must be 0 to 1$"),
        ([0], [0], 1, "2 classes or more, got 1"),
    ],
)
def test_prototypes_need_labelled_images_of_every_class(rows, labels, classes, message):
    with pytest.raises(ValueError, match=message):
        prototype_pseudo_labels(blobs()[0], rows, labels, classes)


@pytest.mark.parametrize("name", STAND_INS)
@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.ones((50, 3)), "the features are the same for all images"),
        (np.full((50, 3), 1e6) + 0.01 * np.eye(50, 3), "the same for all images"),
        (np.ones((1, 3)), "the features are the same for all images"),
        (np.ones(50), r"features must be \[n, d\] and not empty, got shape \(50,\)"),
        (np.ones((50, 0)), r"not empty, got shape \(50, 0\)"),
        (np.where(np.eye(50, 3) == 1, np.nan, 0), "features must be finite; row 0 is not"),
    ],
)
def test_features_that_say_nothing_are_errors(name, features, message):
    with pytest.raises(ValueError, match=message):
        STAND_INS[name](features)


@pytest.mark.parametrize("name", STAND_INS)
@given(data=st.data())
@settings(max_examples=25)
def test_pseudo_labels_do_not_depend_on_units_or_order_of_dimensions(name, data):
    """A source's features have any scale and place: what they teach is the same."""
    features = np.random.default_rng(0).normal(size=(60, 5))
    scale = data.draw(st.floats(1e-3, 1e3))
    offset = data.draw(st.floats(-10, 10))
    order = data.draw(st.permutations(range(5)))
    changed = STAND_INS[name](scale * (features[:, order] + offset))
    np.testing.assert_allclose(changed, STAND_INS[name](features), atol=1e-5)


def test_kmeans_needs_two_clusters():
    with pytest.raises(ValueError, match="2 clusters or more, got 1"):
        kmeans_pseudo_labels(blobs()[0], seed=0, clusters=1)


def test_zero_shot_by_hand():
    text = np.array([[3.0, 4], [4, 3]])
    features = np.array([[6.0, 8], [1, 1]])
    # Cosines 1 and 24/25, times 100: a difference of 4.
    near = 1 / (1 + math.exp(-4))
    expected = [[near, 1 - near], [0.5, 0.5]]
    np.testing.assert_allclose(zero_shot_probabilities(features, text), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("features", "text", "message"),
    [
        (np.ones((2, 3)), np.ones((2, 4)), r"\[2, 4\] do not match features of 3 dimensions"),
        (np.ones((2, 3)), np.ones((1, 3)), "of 2 classes or more"),
        (np.eye(3)[:2] - np.eye(3)[:1], np.ones((2, 3)), "row 0 of the features is 0"),
        (np.ones((2, 3)), np.array([[1.0, 0, 0], [0, 0, 0]]), "row 1 of the text embeddings is 0"),
        (np.ones((2, 3)), np.full((2, 3), np.inf), "text embeddings must be finite; row 0"),
    ],
)
def test_zero_shot_needs_embeddings_of_one_model(features, text, message):
    with pytest.raises(ValueError, match=message):
        zero_shot_probabilities(features, text)


def test_standardised_features_leave_constant_dimensions_out():
    features = np.array([[1.0, 7, 0], [3, 7, 1e-30], [5, 7, 0]], np.float32)
    assert varying_dimensions(features).tolist() == [True, False, True]
    values, kept = standardize(features)
    assert kept.tolist() == [True, False, True]
    half = math.sqrt(1.5)
    third = math.sqrt(0.5)
    expected = [[-half, -third], [0, 2 * third], [half, -third]]
    np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-9)
