"""Exact tests of paired differences, and the correction for making several of them.

The unit is whatever the differences are of: here the targets of a run. Nothing is assumed of the
differences but that, were there no effect, each would be as likely with the other sign.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Differences up to which every assignment of signs is looked at: 2^20.
EXACT_UP_TO = 20

#: Random assignments of signs for more differences than that.
FLIPS = 200_000

#: Numbers closer than this are equal: accuracies in percent, after sums and means.
RESOLUTION = 1e-9

_CHUNK = 10_000


def sign_flip_p(differences: Sequence[float], *, flips: int = FLIPS, seed: int = 0) -> float:
    """Two-sided p-value of the sign-flip test: is the mean of paired differences 0?

    The share of assignments of signs to the differences with a mean at least as far from 0 as the
    observed one (Fisher, 1935). All 2^n of them are looked at up to n = `EXACT_UP_TO`, so that the
    least p that n differences can have is 2^(1 - n). Beyond, `flips` random ones are, and the
    observed one among them: (1 + as far) / (1 + flips), the same for the same seed.

    Args:
        differences: float [n], one a unit.
        flips: Random assignments for many differences.
        seed: Their seed.

    Returns:
        p in (0, 1]; 1 where all differences are 0, and for a single one.

    Raises:
        ValueError: There is no difference, or one is no finite number.
    """
    values = np.asarray(differences, np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError("a sign-flip test needs at least one difference")
    if not np.isfinite(values).all():
        raise ValueError("a sign-flip test needs finite differences")
    least = abs(values.sum()) - RESOLUTION * max(1.0, np.abs(values).sum())
    if len(values) <= EXACT_UP_TO:
        # The other half, with the first sign turned, has the same distances from 0.
        sums = values[:1]
        for value in values[1:]:
            sums = np.concatenate([sums + value, sums - value])
        return float(np.mean(np.abs(sums) >= least))
    rng, as_far = np.random.default_rng(seed), 0
    for start in range(0, flips, _CHUNK):
        signs = rng.integers(0, 2, (min(_CHUNK, flips - start), len(values))) * 2 - 1
        as_far += int((np.abs(signs @ values) >= least).sum())
    return (1 + as_far) / (1 + flips)


def signed_rank_p(differences: Sequence[float]) -> float:
    """Two-sided p-value of Wilcoxon's (1945) signed-rank test: the sign-flip test of signed ranks.

    Differences of 0 are left out, equal distances from 0 share their mean rank; exact with ties
    too, as `sign_flip_p` is.

    Args:
        differences: float [n], one a unit.

    Returns:
        p in (0, 1]; 1 where all differences are 0.
    """
    from scipy.stats import rankdata  # a slow import, which a plan does without

    values = np.round(np.asarray(differences, np.float64), 9)
    values = values[values != 0]
    if not len(values):
        return 1.0
    return sign_flip_p(rankdata(np.abs(values)) * np.sign(values))


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm's (1979) adjusted p-values, which bound the chance of any false claim among them.

    Args:
        p_values: float [k].

    Returns:
        float64 [k]: in rising order, each is the largest so far of (k - number before it) x p, and
        at most 1.
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    rising = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    adjusted[order] = np.minimum(rising, 1.0)
    return adjusted


def least_holm_p(units: int, comparisons: int) -> float:
    """The smallest Holm-adjusted p that exact tests of `comparisons` x `units` signs can give."""
    least = 2.0 ** (1 - units) if units <= EXACT_UP_TO else 1 / (1 + FLIPS)
    return min(1.0, comparisons * least)


def half_width(values: Sequence[float], *, level: float = 0.95) -> float:
    """Half the width of Student's t-interval of a mean; NaN for a single value.

    Args:
        values: float [n], drawn independently.
        level: Share of such intervals that hold the mean.
    """
    from scipy.stats import t

    n = len(values)
    if n < 2:
        return float("nan")
    return float(np.std(values, ddof=1) / np.sqrt(n) * t.ppf((1 + level) / 2, n - 1))
