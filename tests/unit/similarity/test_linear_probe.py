"""Linear probes and nearest neighbours on features: known answers and properties."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from distillweighted.similarity.linear_probe import (
    FOLDS,
    STRENGTHS,
    cross_validate,
    fit_probe,
    neighbours_correct,
)


def clusters(
    n: int, d: int, classes: int, *, apart: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Features around a centre a class, and the classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = rng.normal(0, apart, (classes, d))
    return (centres[labels] + rng.normal(0, 1, (n, d))).astype(np.float32), labels


def test_a_probe_is_the_logistic_regression_on_standardised_features() -> None:
    features, labels = clusters(90, 6, 3, apart=1.0)
    probe = fit_probe(features, labels, 3, seed=0)
    assert probe.strength in STRENGTHS
    standard = (features - features.mean(0)) / features.std(0)
    exact = LogisticRegression(C=probe.strength, tol=1e-8, max_iter=10_000).fit(standard, labels)
    np.testing.assert_allclose(
        probe.probabilities(features), exact.predict_proba(standard), atol=0.01
    )


def test_more_features_than_images_give_the_same_probe_by_the_space_that_images_span() -> None:
    features, labels = clusters(40, 200, 4, apart=0.3)
    probe = fit_probe(features, labels, 4, seed=0)
    standard = (features - features.mean(0)) / features.std(0)
    exact = LogisticRegression(C=probe.strength, tol=1e-8, max_iter=10_000).fit(standard, labels)
    others = clusters(20, 200, 4, apart=0.3, seed=1)[0]
    seen = (others - features.mean(0)) / features.std(0)
    np.testing.assert_allclose(probe.probabilities(others), exact.predict_proba(seen), atol=0.02)


def test_two_classes_and_a_class_without_labelled_images() -> None:
    features, labels = clusters(30, 4, 2, apart=3.0)
    probabilities = fit_probe(features, labels * 2, 4, seed=0).probabilities(features)
    assert probabilities.shape == (30, 4) and probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (probabilities[:, [1, 3]] == 0).all()
    assert (probabilities.argmax(axis=1) == labels * 2).mean() > 0.9


def test_cross_validation_tells_signal_from_chance() -> None:
    features, labels = clusters(200, 20, 4, apart=3.0)
    assert cross_validate(features, labels, seed=0).correct.mean() > 0.97
    noise = np.random.default_rng(1).normal(size=(200, 20))
    # 25% by chance, with a standard error of 3%.
    assert cross_validate(noise, labels, seed=0).correct.mean() < 0.25 + 4 * 0.031
    again = cross_validate(features, labels, seed=0)
    assert (again.correct == cross_validate(features, labels, seed=0).correct).all()


def test_an_image_that_is_alone_in_its_class_is_counted_as_wrong() -> None:
    features, labels = clusters(41, 5, 4, apart=5.0)
    labels = labels.copy()
    labels[40] = 9
    correct = cross_validate(features, labels, seed=0).correct
    assert not correct[40] and correct[:40].mean() > 0.9


def test_a_constant_feature_and_features_of_any_scale_do_not_matter() -> None:
    features, labels = clusters(60, 5, 3, apart=1.0)
    scaled = np.hstack([features * 1000 + 7, np.full((60, 1), 3.0)])
    plain = fit_probe(features, labels, 3, seed=0)
    other = fit_probe(scaled, labels, 3, seed=0)
    np.testing.assert_allclose(
        plain.probabilities(features), other.probabilities(scaled), atol=1e-3
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_has_no_answer_is_an_error(bad: float) -> None:
    features, labels = clusters(20, 3, 2, apart=1.0)
    with pytest.raises(ValueError, match="two classes or more"):
        fit_probe(features, np.zeros(20, int), 2, seed=0)
    features[3, 1] = bad
    with pytest.raises(ValueError, match="finite"):
        cross_validate(features, labels, seed=0)


def test_nearest_neighbours_by_hand() -> None:
    features = np.array([[5, 5], [5, 4], [-5, -5], [-5, -4]])
    assert neighbours_correct(features, np.array([0, 0, 1, 1])).tolist() == [True] * 4
    assert neighbours_correct(features, np.array([0, 0, 1, 0])).tolist() == [True] * 2 + [False] * 2
    assert FOLDS == 5
