"""From scores of any range to similarities above 0, which eq. 5 needs.

Eq. 5 takes powers of similarities, so that they must be above 0 and 0 must mean something. LEEP is
never above 0 and LogME has no zero. What these tell is the order of the sources, and how far apart
they are in units of each other.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

EQUAL = 1e-12
"""Scores whose spread is less than this share of the largest differ by rounding alone."""


def rank_shares(scores: np.ndarray) -> np.ndarray:
    """e = rank / S of scores `[S]`: the largest has 1, the smallest 1/S, equal ones their mean.

    Of scores `[S, k]`, each column by itself.
    """
    from scipy.stats import rankdata  # a slow import, which most jobs do not need

    return rankdata(scores, axis=0) / len(scores)


def softmax_of_standardised(scores: np.ndarray) -> np.ndarray:
    """e = softmax(z) of scores `[S]`, z standardised over the S sources (population spread).

    Of the scores themselves it would depend on their unit: those of LogME differ by hundredths of a
    nat, and all sources would weigh the same. Standardised it is the same for a s + b, a > 0. Eq. 5
    makes of it softmax(p z): p is an inverse temperature. Equal scores are equally similar.
    """
    spread = scores.std()
    if spread <= EQUAL * np.abs(scores).max():
        return np.full(len(scores), 1 / len(scores))
    values = np.exp((scores - scores.max()) / spread)
    return values / values.sum()


TRANSFORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": np.asarray,
    "rank": rank_shares,
    "softmax": softmax_of_standardised,
}
"""What may become of scores `[S]` before eq. 5 takes their powers; all keep their order."""
