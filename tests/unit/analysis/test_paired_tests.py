"""Exact tests against enumeration by hand, SciPy's, and Holm's own example of the arithmetic."""

import itertools
import math
import random

import numpy as np
import pytest
from scipy import stats

from distillweighted.analysis import paired_tests
from distillweighted.analysis.paired_tests import half_width, holm, sign_flip_p, signed_rank_p


def test_sign_flip_by_hand():
    # Sums of +-1 +-2 +-3: 6, 4, 2, 0 and their negatives; the observed one is 4.
    assert sign_flip_p([-1.0, 2.0, 3.0]) == 4 / 8
    assert sign_flip_p([1.0, 2.0, 3.0]) == 2 / 8
    assert sign_flip_p([5.0]) == 1.0
    assert sign_flip_p([0.0, 0.0]) == 1.0
    # A difference of 0 has two signs of the same sum: no more than one unit less.
    assert sign_flip_p([0.0, 1.0, 2.0, 3.0]) == 2 / 8
    # 0.1 + 0.2 - 0.3 is not 0 in floating point; every assignment is as far.
    assert sign_flip_p([0.1, 0.2, -0.3]) == 1.0


def test_sign_flip_against_a_loop_over_all_signs():
    rng = random.Random(3)
    for n in (2, 5, 9):
        values = [round(rng.uniform(-1, 2), 1) for _ in range(n)]
        observed, count = abs(sum(values)), 0
        for signs in itertools.product((-1, 1), repeat=n):
            count += abs(sum(s * v for s, v in zip(signs, values))) >= observed - 1e-9
        assert sign_flip_p(values) == count / 2**n


def test_many_differences_are_flipped_at_random_and_the_observed_signs_count():
    values = [1.0] * 21
    # Only the two constant assignments are as far: 2^-20, which no draw of 1,000 hits.
    assert sign_flip_p(values, flips=1000) == 1 / 1001
    rng = np.random.default_rng(1)
    some = rng.normal(0.3, 1, 21)
    p = sign_flip_p(some)
    assert p == sign_flip_p(some) and p != sign_flip_p(some, seed=1)
    # Beside the normal approximation of the same permutation distribution.
    z = abs(some.sum()) / math.sqrt((some**2).sum())
    assert p == pytest.approx(2 * stats.norm.sf(z), abs=0.01)
    exact = sign_flip_p(some[:20])
    z = abs(some[:20].sum()) / math.sqrt((some[:20] ** 2).sum())
    assert exact == pytest.approx(2 * stats.norm.sf(z), abs=0.01)


@pytest.mark.parametrize("values", [[], [[1.0]], [1.0, math.nan], [math.inf]])
def test_what_no_test_can_be_made_of(values):
    with pytest.raises(ValueError, match="sign-flip test needs"):
        sign_flip_p(values)


def test_signed_rank_is_scipys_where_that_is_exact_and_exact_with_ties():
    rng = np.random.default_rng(0)
    for n in (5, 8, 12):
        values = rng.normal(0.5, 1, n)
        assert signed_rank_p(values) == pytest.approx(stats.wilcoxon(values, method="exact").pvalue)
    # Ranks 1.5, 1.5, 3 of distances 1, 1, 2: sums 6, 3, 3, 0 and negatives; observed 3.
    assert signed_rank_p([1.0, -1.0, 2.0]) == 6 / 8
    assert signed_rank_p([0.0, 1e-12, 1.0, 2.0]) == 2 / 4
    assert signed_rank_p([0.0, 0.0]) == 1.0


def test_holm_by_hand():
    # 0.01 x 4; 0.02 x 3; 0.03 x 2 = 0.06 again; 0.5 x 1.
    np.testing.assert_allclose(holm([0.5, 0.01, 0.03, 0.02]), [0.5, 0.04, 0.06, 0.06])
    # Never smaller than that of a smaller p, and at most 1.
    np.testing.assert_allclose(holm([0.03, 0.02]), [0.04, 0.04])
    np.testing.assert_allclose(holm([0.6, 0.9, 0.7]), [1, 1, 1])


def test_the_least_p_that_targets_allow():
    assert paired_tests.least_holm_p(8, 7) == 7 / 128
    assert paired_tests.least_holm_p(3, 7) == 1.0
    assert paired_tests.least_holm_p(30, 2) == 2 / (1 + paired_tests.FLIPS)


def test_half_widths_are_scipys():
    values = [1.0, 2.0, 4.0]
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert half_width(values) == pytest.approx((high - low) / 2)
    # Student's factor for 3 values is 4.30.
    assert half_width([0.0, 1.0, 2.0]) == pytest.approx(4.30265 / math.sqrt(3), abs=1e-4)
    assert math.isnan(half_width([1.0]))
