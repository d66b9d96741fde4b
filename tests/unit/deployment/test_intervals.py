"""Intervals and tests by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillweighted.deployment.intervals import (
    bootstrap_interval,
    calibration,
    exact_mcnemar,
    expected_calibration_error,
    wilson_interval,
)


def test_wilsons_interval_by_hand():
    # z = 1.959964; centre (0.8 + z²/20) / (1 + z²/10), Brown, Cai and DasGupta (2001), eq. 4.
    assert wilson_interval(8, 10) == pytest.approx((0.490162, 0.943318), abs=1e-6)
    assert wilson_interval(0, 10) == pytest.approx((0, 0.277533), abs=1e-6)
    assert wilson_interval(10, 10) == pytest.approx((0.722467, 1), abs=1e-6)
    with pytest.raises(ValueError, match="no image was counted"):
        wilson_interval(0, 0)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilsons_interval_holds_the_share_and_mirrors(counts):
    right, n = counts
    low, high = wilson_interval(right, n)
    assert 0 <= low <= right / n <= high <= 1
    assert wilson_interval(n - right, n) == pytest.approx((1 - high, 1 - low))


def test_the_exact_test_by_hand():
    assert exact_mcnemar(5, 1) == 2 * (1 + 6) / 2**6
    assert exact_mcnemar(1, 5) == exact_mcnemar(5, 1)
    assert exact_mcnemar(0, 10) == 2 / 2**10
    assert exact_mcnemar(3, 3) == exact_mcnemar(0, 0) == 1
    assert exact_mcnemar(2000, 1000) == pytest.approx(0, abs=1e-60)  # larger than floats hold


def test_a_bootstrap_of_one_value_has_no_width():
    assert bootstrap_interval(np.full(7, 0.5), draws=50, seed=1) == (0.5, 0.5)


def test_a_bootstrap_of_many_images_is_the_normal_interval():
    values = np.repeat([-1.0, 0.0, 1.0], [100, 700, 200])
    half = 1.959964 * values.std() / np.sqrt(1000)
    low, high = bootstrap_interval(values, draws=40_000, seed=1)
    assert (low, high) == pytest.approx((0.1 - half, 0.1 + half), abs=0.002)
    wide = bootstrap_interval(values, draws=40_000, seed=1, level=0.99)
    assert wide == pytest.approx(
        (0.1 - half * 2.5758 / 1.96, 0.1 + half * 2.5758 / 1.96), abs=0.004
    )


def test_calibration_by_hand():
    confidence = np.array([0.55, 0.58, 0.6, 0.95, 1.0])
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    table = calibration(probabilities, np.array([0, 1, 0, 0, 0]))
    # A border (0.6) belongs to the bin below it, and 1.0 to the last one.
    assert table[:, 0].tolist() == [0, 0, 0, 0, 0, 3, 0, 0, 0, 2]
    assert table[5, 1:] == pytest.approx([(0.55 + 0.58 + 0.6) / 3, 2 / 3])
    assert table[9, 1:] == pytest.approx([0.975, 1])
    assert np.isnan(table[0, 1:]).all()
    error = (3 * abs(1.73 / 3 - 2 / 3) + 2 * 0.025) / 5
    assert expected_calibration_error(table) == pytest.approx(error)
