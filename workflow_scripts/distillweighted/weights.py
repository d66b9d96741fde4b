"""From task similarities to the weights of the sources in the multi-source loss.

Every function returns float64 weights `[S]` that are not negative and sum to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

_EQUAL = 1e-12
"""Logs of scores that differ by less do so by rounding alone."""

_CLOSE = 1e-9
"""Effective numbers of sources whose ratio is nearer to 1 than this are the same."""


def similarity_weights(
    scores: Sequence[float] | np.ndarray,
    p: float,
    *,
    fallback: Literal["equal", "nearest"] | None = None,
    keep: int | None = None,
) -> np.ndarray:
    """Eq. 5: alpha_i = e_i^p / sum_s e_s^p with e = max(0, e).

    Computed in log space, so that no power underflows. `p = 0` is DistillEqual: 1/S for every
    source, those with a score <= 0 included. `p = inf` is DistillNearest: all weight on the largest
    score, the first of equal ones (order the sources by name to break ties by name).

    Args:
        scores: similarities e `[S]` of the sources to one target.
        p: the power, 0 to infinity; the paper's default is 12.
        fallback: what to do if no score is positive and p > 0, where eq. 5 is 0/0: equal weights,
            or all weight on the largest score. By default that is an error.
        keep: weight the `keep` largest scores alone (of equal ones the first); the others get 0.
            By default all.

    Raises:
        ValueError: no scores, a score that is not finite, p negative or NaN, an unknown fallback,
            `keep` below 1, or no positive score where p > 0 and there is no fallback.
    """
    scores = _checked(scores)
    if not p >= 0:
        raise ValueError(f"p must be 0 or larger, got {p}")
    if fallback not in (None, "equal", "nearest"):
        raise ValueError(f"fallback must be None, 'equal' or 'nearest', got {fallback!r}")
    if keep is not None and keep < 1:
        raise ValueError(f"keep must be 1 or more, got {keep}")
    if keep is not None and keep < len(scores):
        kept = np.sort(np.argsort(-scores, kind="stable")[:keep])
        weights = np.zeros(len(scores))
        weights[kept] = similarity_weights(scores[kept], p, fallback=fallback)
        return weights
    equal = np.full(len(scores), 1 / len(scores))
    nearest = np.eye(len(scores))[scores.argmax()]
    if p == 0:
        return equal
    positive = scores > 0
    if not positive.any():
        if fallback is None:
            raise ValueError(
                "every score is <= 0, so eq. 5 gives no weights for p > 0: "
                "drop these sources, or set fallback to 'equal' or 'nearest'"
            )
        return equal if fallback == "equal" else nearest
    if np.isinf(p):
        return nearest
    weights = np.zeros(len(scores))
    log_ratio = np.log(scores[positive]) - np.log(scores.max())
    weights[positive] = np.exp(p * log_ratio)
    return weights / weights.sum()


def spread_exponent(scores: Sequence[float] | np.ndarray, spread: float) -> float:
    """The p of eq. 5 by the spread of the scores: spread / standard deviation of log e.

    Eq. 5 with it is the softmax of `spread` times the standardised log e of the sources with
    e > 0, so that weights depend on neither the unit nor a power of the metric.

    Args:
        scores: similarities e `[S]` of the sources to one target; those <= 0 have no log, and no
            weight for any p > 0: they do not count.
        spread: above 0: how many times as spread as standardised ones (population spread) the
            log weights are.

    Returns:
        p above 0; 1, which is as good as any, where the positive scores are equal or there is one.

    Raises:
        ValueError: no scores, a score that is not finite, no positive one, or a bad spread.
    """
    if not (spread > 0 and np.isfinite(spread)):
        raise ValueError(f"spread must be positive and finite, got {spread}")
    deviation = _log_ratios(scores).std()
    return float(spread / deviation) if deviation > _EQUAL else 1.0


def effective_exponent(scores: Sequence[float] | np.ndarray, sources: float) -> float:
    """The p of eq. 5 by how many sources share the weight: exp(entropy of alpha) = `sources`.

    That effective number falls in p, from the number of positive scores near p = 0 to that of the
    scores equal to the largest for large p. Where `sources` is outside, p comes as near as can be:
    all positive scores weigh the same (but not the others, as they do at p = 0), or the largest
    ones have all weight.

    Args:
        scores: similarities e `[S]` of the sources to one target; those <= 0 do not count.
        sources: the effective number, 1 or more.

    Returns:
        p above 0 and finite; 1, which is as good as any, where the positive scores are equal or
        there is one.

    Raises:
        ValueError: no scores, a score that is not finite, no positive one, or a number below 1.
    """
    from scipy.optimize import brentq  # a slow import, which most jobs do not need

    if not (sources >= 1 and np.isfinite(sources)):
        raise ValueError(f"the effective number of sources must be 1 or more, got {sources}")
    ratios = _log_ratios(scores)
    smaller = ratios < -_EQUAL
    if not smaller.any():
        return 1.0
    # At these ends the number is what it tends to, but for rounding.
    low, high = float(np.finfo(np.float64).tiny), float(750 / -ratios[smaller].max())
    if sources > len(ratios) * (1 - _CLOSE):
        return low
    if sources < (~smaller).sum() * (1 + _CLOSE):
        return high

    def excess(log_p: float) -> float:
        shares = np.exp(np.exp(log_p) * ratios)
        return effective_number(shares / shares.sum()) - sources

    # In log p, since p may be of any size.
    return float(np.exp(brentq(excess, np.log(low), np.log(high), xtol=1e-13, maxiter=500)))


def effective_number(weights: np.ndarray) -> float:
    """exp(entropy) of weights `[S]`: how many sources share them; k for k equal ones."""
    positive = weights[weights > 0]
    return float(np.exp(-(positive * np.log(positive)).sum()))


def inverse_weights(
    scores: Sequence[float] | np.ndarray, *, floor: float | None = None
) -> np.ndarray:
    """Inverse (section 5.3.1): weights proportional to 1/e over the sources with e > 0.

    A source with e <= 0 has no inverse similarity and gets weight 0, as it does in eq. 5. The
    paper does not say what happens to a score just above 0, whose inverse would take all the
    weight: scores below `floor` count as `floor`.

    Args:
        scores: similarities e `[S]` of the sources to one target.
        floor: smallest score to tell apart, in units of the scores. By default 1% of the largest
            score: chance alone moves PARC on 500 images by 0.002 to 0.003, about 1% of a good
            score, so smaller scores differ by noise; and no source counts 100 times another.

    Raises:
        ValueError: no scores, a score that is not finite, no positive score, or a floor that is
            not positive.
    """
    scores = _checked(scores)
    positive = scores > 0
    if not positive.any():
        raise ValueError("every score is <= 0, so inverse weights do not exist")
    if floor is None:
        floor = 0.01 * scores.max()
    elif not (floor > 0 and np.isfinite(floor)):
        raise ValueError(f"floor must be positive and finite, got {floor}")
    floored = np.maximum(scores, floor)
    # Relative to the smallest, so that the inverse of a tiny score does not overflow.
    weights = np.where(positive, floored[positive].min() / floored, 0)
    return weights / weights.sum()


def random_weights(
    num_sources: int, *, seed: int, draw: int, num_nonzero: int | None = None
) -> np.ndarray:
    """DistillRandomWeights (section 5.3.1): uniform on the simplex, a Dirichlet(1, ..., 1) draw.

    The paper samples "uniformly on a 4-simplex" without saying which sources span it.
    `num_nonzero` is one reading: a 4-simplex has 5 corners, so 5 random sources share the weight.

    Args:
        num_sources: S.
        seed: the replicate.
        draw: number of the draw within the replicate; (seed, draw) reproduces the weights.
        num_nonzero: how many sources, chosen at random, get weight; all by default.

    Raises:
        ValueError: no sources, a negative seed or draw, or `num_nonzero` outside 1 to S.
    """
    if num_sources < 1:
        raise ValueError(f"num_sources must be at least 1, got {num_sources}")
    if seed < 0 or draw < 0:
        raise ValueError(f"seed and draw must not be negative, got {seed} and {draw}")
    if num_nonzero is None:
        num_nonzero = num_sources
    if not 1 <= num_nonzero <= num_sources:
        raise ValueError(f"num_nonzero must be 1 to {num_sources}, got {num_nonzero}")
    rng = np.random.default_rng([seed, draw])
    chosen = rng.permutation(num_sources)[:num_nonzero]
    weights = np.zeros(num_sources)
    weights[chosen] = rng.dirichlet(np.ones(num_nonzero))
    return weights


def one_hot_weights(names: Sequence[str], source: str) -> np.ndarray:
    """All weight on one source: single-source distillation as a case of eq. 4.

    Args:
        names: the sources' names `[S]`.
        source: the one to distil.

    Raises:
        ValueError: `source` is not among the names, or is there twice.
    """
    count = list(names).count(source)
    if count != 1:
        raise ValueError(f"source {source!r} occurs {count} times in {list(names)}")
    return np.array([float(name == source) for name in names])


def _log_ratios(scores: Sequence[float] | np.ndarray) -> np.ndarray:
    """log e of the positive scores, less that of the largest."""
    scores = _checked(scores)
    positive = scores[scores > 0]
    if not len(positive):
        raise ValueError("every score is <= 0, so that no p of eq. 5 can be chosen by them")
    return np.log(positive) - np.log(positive.max())


def _checked(scores: Sequence[float] | np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 1 or len(scores) == 0:
        raise ValueError(f"scores must be [S] with at least one source, got shape {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError(f"scores must be finite, got {scores.tolist()}")
    return scores
