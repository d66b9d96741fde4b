"""Eq. 5 and the other weightings of the sources."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from distillweighted.weights import (
    effective_exponent,
    effective_number,
    inverse_weights,
    one_hot_weights,
    random_weights,
    similarity_weights,
    spread_exponent,
)

SCORES = st.lists(st.floats(-1, 1), min_size=1, max_size=12)
POWERS = st.one_of(st.floats(0, 100), st.just(float("inf")))


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        (0, [0.25, 0.25, 0.25, 0.25]),  # equal weights for all models, negative scores too
        (1, [0.25, 0.0, 0.75, 0.0]),
        (2, [0.1, 0.0, 0.9, 0.0]),
        (12, [1 / 531442, 0.0, 531441 / 531442, 0.0]),  # 3^12 = 531441
        (float("inf"), [0.0, 0.0, 1.0, 0.0]),
    ],
)
def test_eq_5(p, expected):
    weights = similarity_weights([0.1, -0.5, 0.3, 0.0], p)
    assert weights.dtype == np.float64
    np.testing.assert_allclose(weights, expected, rtol=1e-12, atol=0)


def test_ties_go_to_the_first_source_at_infinity_and_are_shared_below():
    np.testing.assert_array_equal(similarity_weights([0.1, 0.4, 0.4], np.inf), [0, 1, 0])
    np.testing.assert_array_equal(similarity_weights([0.0, 0.4, 0.4], 12), [0, 0.5, 0.5])


def test_no_positive_score():
    scores = [-0.3, -0.1, 0.0, -0.2]
    for p in (1e-9, 1, 12, np.inf):
        with pytest.raises(ValueError, match="every score is <= 0"):
            similarity_weights(scores, p)
        np.testing.assert_array_equal(similarity_weights(scores, p, fallback="equal"), [0.25] * 4)
        nearest = similarity_weights(scores, p, fallback="nearest")
        np.testing.assert_array_equal(nearest, [0, 0, 1, 0])
    np.testing.assert_array_equal(similarity_weights(scores, 0, fallback="nearest"), [0.25] * 4)
    # A fallback changes nothing where eq. 5 has an answer.
    np.testing.assert_allclose(similarity_weights([1, 3, -1], 1, fallback="equal"), [0.25, 0.75, 0])


def test_no_underflow_nor_overflow():
    weights = similarity_weights([1e-30, 2e-30, -1.0], 16)  # (1e-30)^16 is 0 in float64
    np.testing.assert_allclose(weights, [1 / 65537, 65536 / 65537, 0], rtol=1e-10)
    np.testing.assert_allclose(similarity_weights([1e300, 3e300], 2), [0.1, 0.9], rtol=1e-10)
    np.testing.assert_array_equal(similarity_weights([0.1, 0.2], 1e308), [0, 1])


@pytest.mark.parametrize("p", [-1, -np.inf, np.nan])
def test_bad_power(p):
    with pytest.raises(ValueError, match="p must be"):
        similarity_weights([0.1, 0.2], p)


@pytest.mark.parametrize("scores", [[], [[0.1, 0.2]], [0.1, np.nan], [0.1, np.inf]])
def test_bad_scores(scores):
    for p in (0, 1, np.inf):
        with pytest.raises(ValueError, match="scores must be"):
            similarity_weights(scores, p, fallback="equal")
    with pytest.raises(ValueError, match="scores must be"):
        inverse_weights(scores)


def test_unknown_fallback():
    with pytest.raises(ValueError, match="fallback"):
        similarity_weights([0.1], 1, fallback="largest")


@given(scores=SCORES, p=POWERS)
def test_weights_are_on_the_simplex_and_monotone(scores, p):
    assume(max(scores) > 0)
    weights = similarity_weights(scores, p)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    by_score = weights[np.argsort(scores, kind="stable")]
    if np.isfinite(p):
        assert (np.diff(by_score) >= -1e-15).all()
    assert weights[np.argmax(scores)] == weights.max()


@given(seed=st.integers(0, 10**6))
def test_a_large_power_approaches_the_nearest_source(seed):
    scores = np.random.default_rng(seed).uniform(0.05, 1, size=6)
    top_two = np.sort(scores)[-2:]
    assume(top_two[0] < 0.95 * top_two[1])
    nearest = similarity_weights(scores, np.inf)
    distances = [np.abs(similarity_weights(scores, p) - nearest).sum() for p in (0, 1, 12, 1000)]
    assert (np.diff(distances) < 0).all()
    assert distances[-1] < 1e-6


def by_spread(scores, spread):
    return similarity_weights(scores, spread_exponent(scores, spread))


def by_number(scores, sources):
    return similarity_weights(scores, effective_exponent(scores, sources))


def test_p_by_the_spread_of_the_scores():
    # log e is log 0.4 less 0, 1 and 2 times log 2: a standard deviation of log 2 sqrt(2/3).
    p = spread_exponent([0.1, -0.3, 0.2, 0.4, 0.0], 2)
    assert p == pytest.approx(2 / (np.log(2) * np.sqrt(2 / 3)), rel=1e-12)
    shares = np.exp(2 * np.sqrt(1.5) * np.array([-1, 0, 1]))
    expected = shares / shares.sum()
    found = by_spread([0.1, -0.3, 0.2, 0.4, 0.0], 2)
    np.testing.assert_allclose(found, [expected[0], 0, expected[1], expected[2], 0], rtol=1e-12)


def test_p_by_the_effective_number_of_sources():
    # Of two sources with e2 = e1 / 2 the entropy is known: at p = 1 weights of 2/3 and 1/3.
    two = 3 / 2 ** (2 / 3)
    assert effective_number(np.array([2 / 3, 1 / 3, 0])) == pytest.approx(two, rel=1e-12)
    assert effective_exponent([0.2, 0.1, -1], two) == pytest.approx(1, rel=1e-9)
    assert effective_number(np.full(7, 1 / 7)) == pytest.approx(7, rel=1e-12)
    # What cannot be reached: all positive ones alike, or the largest and its equals alone.
    for sources in (3, 4, 100):
        np.testing.assert_allclose(by_number([0.1, 0.4, 0.2, -1], sources), [1 / 3] * 3 + [0])
    np.testing.assert_allclose(by_number([0.1, 0.4, 0.2, -1], 1), [0, 1, 0, 0], atol=1e-300)
    np.testing.assert_allclose(by_number([0.4, 0.4, 0.1, 0], 1.5), [0.5, 0.5, 0, 0], atol=1e-300)


POSITIVE = st.lists(st.floats(1e-3, 1), min_size=2, max_size=12)


@given(scores=POSITIVE, factor=st.floats(1e-100, 1e100), power=st.floats(0.1, 10))
def test_weights_by_spread_or_number_do_not_depend_on_unit_or_power(scores, factor, power):
    spread = np.log(scores).std()
    assume(spread > 1e-3)  # below, the logs of what is multiplied are not exact enough
    others = [[s * factor for s in scores], [s**power for s in scores]]
    for rule, value in ((by_spread, 2.0), (by_number, 1.5)):
        weights = rule(scores, value)
        for other in others:
            np.testing.assert_allclose(rule(other, value), weights, rtol=1e-6, atol=1e-9)


@given(scores=POSITIVE, share=st.floats(0, 1), below=st.lists(st.floats(-1, 0), max_size=3))
def test_the_effective_number_is_reached(scores, share, below):
    largest = sum(np.log(scores) > np.log(max(scores)) - 1e-12)
    wanted = largest + share * (len(scores) - largest)
    weights = by_number([*scores, *below], wanted)
    assert effective_number(weights) == pytest.approx(wanted, abs=1e-6)
    assert weights[len(scores) :].sum() == 0


@given(scores=POSITIVE, spreads=st.tuples(st.floats(0.1, 5), st.floats(0.1, 5)))
def test_more_spread_leaves_fewer_sources(scores, spreads):
    low, high = (effective_number(by_spread(scores, spread)) for spread in sorted(spreads))
    assert high <= low + 1e-9


@pytest.mark.parametrize("rule", [by_spread, by_number])
def test_equal_scores_have_equal_weights_and_a_single_source_has_all(rule):
    np.testing.assert_array_equal(rule([0.3] * 4, 2), [0.25] * 4)
    np.testing.assert_array_equal(rule([0.3, -0.3, 0.3], 2), [0.5, 0, 0.5])
    # Equal but for rounding.
    np.testing.assert_allclose(rule([0.3, 0.1 * 3, 0.3], 2), [1 / 3] * 3)
    np.testing.assert_array_equal(rule([0.3], 2), [1])
    np.testing.assert_array_equal(rule([-0.3, 1e-9, 0], 2), [0, 1, 0])


@pytest.mark.parametrize(
    ("choose", "message"),
    [(spread_exponent, "spread must be"), (effective_exponent, "effective number of sources")],
)
def test_what_p_cannot_be_chosen_by(choose, message):
    for value in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match=message):
            choose([0.1, 0.2], value)
    with pytest.raises(ValueError, match="no p of eq"):
        choose([-0.1, 0.0], 2)
    with pytest.raises(ValueError, match="scores must be"):
        choose([], 2)


def test_inverse_weights():
    np.testing.assert_allclose(inverse_weights([0.1, 0.2, -0.3, 0.0]), [2 / 3, 1 / 3, 0, 0])
    # 1e-9 counts as 1% of the largest score: 1/0.01 against 1/1 and 1/0.5.
    np.testing.assert_allclose(inverse_weights([1e-9, 1.0, 0.5]), np.array([100, 1, 2]) / 103)
    floored = inverse_weights([0.1, 0.2, 0.4], floor=0.2)
    np.testing.assert_allclose(floored, [0.4, 0.4, 0.2])
    tiny = inverse_weights([1e-320, 1e-3], floor=1e-323)
    assert np.isfinite(tiny).all()
    assert tiny[0] == pytest.approx(1)
    with pytest.raises(ValueError, match="every score is <= 0"):
        inverse_weights([0.0, -1.0])
    for floor in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="floor"):
            inverse_weights([0.1, 0.2], floor=floor)


def test_random_weights_are_reproducible():
    first = random_weights(28, seed=1, draw=2)
    np.testing.assert_array_equal(first, random_weights(28, seed=1, draw=2))
    for seed, draw in ((2, 1), (1, 3), (0, 2)):
        assert not np.allclose(first, random_weights(28, seed=seed, draw=draw))


def test_random_weights_are_uniform_on_the_simplex():
    draws = np.array([random_weights(5, seed=0, draw=i) for i in range(2000)])
    assert (draws >= 0).all()
    np.testing.assert_allclose(draws.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(draws.mean(axis=0), 1 / 5, atol=0.015)
    # Dirichlet(1) of S: variance (S - 1) / (S^2 (S + 1)), here 4 / 150.
    np.testing.assert_allclose(draws.var(axis=0), 4 / 150, rtol=0.15)


def test_random_weights_over_a_subset():
    draws = np.array([random_weights(8, seed=0, draw=i, num_nonzero=5) for i in range(400)])
    assert ((draws > 0).sum(axis=1) == 5).all()
    np.testing.assert_allclose(draws.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose((draws > 0).mean(axis=0), 5 / 8, atol=0.1)


def test_random_weights_errors():
    with pytest.raises(ValueError, match="num_sources"):
        random_weights(0, seed=0, draw=0)
    with pytest.raises(ValueError, match="negative"):
        random_weights(3, seed=0, draw=-1)
    for num_nonzero in (0, 4):
        with pytest.raises(ValueError, match="num_nonzero"):
            random_weights(3, seed=0, draw=0, num_nonzero=num_nonzero)


def test_one_hot_weights():
    names = ["resnet18_cub200", "resnet18_dogs"]
    np.testing.assert_array_equal(one_hot_weights(names, "resnet18_dogs"), [0, 1])
    with pytest.raises(ValueError, match="occurs 0 times"):
        one_hot_weights(names, "resnet18")
    with pytest.raises(ValueError, match="occurs 2 times"):
        one_hot_weights(["a", "a"], "a")
