"""Spearman's correlation of distances with whether two images share their class, by one sort."""

from __future__ import annotations

import math
import time
from functools import cache

import numpy as np

WINDOW = 256
"""Rows of at most this length NumPy sorts by a network of comparisons, without branches."""

MANY = 1 << 18
"""From how many numbers on it can pay to put them in buckets before they are sorted."""


def class_rank_correlation(keys: np.ndarray) -> float:
    """Spearman's correlation of distances with D_Y, which is 0 in a class and 1 between classes.

    With R the sum of the ranks of the m pairs within classes, tied ranks being their mean, and T
    the sum of t^3 - t over groups of t equal distances, it is

        (m (N + 1) / 2 - R) / sqrt((N^3 - N - T) / 12 * m (N - m) / N).

    Args:
        keys: twice each distance as a whole number, plus its D_Y; int64 [N], sorted in place.

    Returns:
        The correlation; NaN where all distances, or all D_Y, are equal.
    """
    sort_in_place(keys)
    n = len(keys)
    within = np.flatnonzero(keys & 1 == 0)
    m = len(within)
    twice_ranks, tied_cubes = 2 * (int(within.sum()) + m), 0
    distances = keys >> 1
    like_next = distances[1:] == distances[:-1]
    if like_next.any():
        # Of groups of equal distances: their places, and where each group starts among these.
        tied = np.zeros(n, bool)
        tied[1:] = like_next
        tied[:-1] |= like_next
        places = np.flatnonzero(tied)
        starts = np.flatnonzero(np.diff(distances[places], prepend=distances[places[0]] - 1))
        sizes = np.diff(starts, append=len(places))
        in_class = keys[places] & 1 == 0
        ranks = np.add.reduceat(in_class.astype(np.int64), starts)
        twice_ranks += int(ranks @ (2 * places[starts] + sizes + 1))
        twice_ranks -= 2 * int((places[in_class] + 1).sum())
        counted = zip(*np.unique(sizes, return_counts=True), strict=True)
        tied_cubes = sum((int(t) ** 3 - int(t)) * int(groups) for t, groups in counted)
    spread = (n**3 - n - tied_cubes) * m * (n - m)
    if spread == 0:
        return math.nan
    return (m * (n + 1) - twice_ranks) / 2 / math.sqrt(spread / (12 * n))


def sort_in_place(values: np.ndarray) -> None:
    """Sort whole numbers, int64 [n], with what is faster on this processor; the result is one."""
    if len(values) >= MANY and _buckets_pay():
        sort_by_buckets(values)
    else:
        values.sort()


def sort_by_buckets(values: np.ndarray) -> None:
    """Sort whole numbers, int64 [n], in place: into 2^16 buckets first, then window by window.

    NumPy's sort for AVX-512 takes 55 ns a number where that stores selected lanes slowly (AMD's
    Zen 4), and 10 elsewhere. Putting them in buckets, by a radix sort, takes a number 15 ns, and
    a pass of windows 2. Where no bucket has more than half a window, the windows that start at
    multiples of it and those that start in the middle of them put all in order.
    """
    low, high = int(values[0]), int(values[0])
    low, high = int(values.min()), int(values.max())
    if low == high:
        return
    scale = 65535.0 / (high - low)
    buckets = np.empty(len(values), np.uint16)
    for start in range(0, len(values), MANY):
        part = slice(start, start + MANY)
        buckets[part] = (values[part] - low) * scale
    values[:] = values[np.argsort(buckets, kind="stable")]
    for _ in range(6):
        for start in (0, WINDOW // 2):
            whole = start + (len(values) - start) // WINDOW * WINDOW
            values[start:whole].reshape(-1, WINDOW).sort(axis=1)
            values[max(0, len(values) - WINDOW) :].sort()
        if (values[1:] >= values[:-1]).all():
            return
    # Many numbers lie close together.
    values.sort()


@cache
def _buckets_pay() -> bool:
    """Whether this processor sorts in buckets faster: timed once a process."""
    values = np.random.default_rng(0).integers(0, 1 << 41, MANY)
    seconds = []
    for sort in (np.ndarray.sort, sort_by_buckets):
        found = []
        for _ in range(3):
            copy = values.copy()
            start = time.perf_counter()
            sort(copy)
            found.append(time.perf_counter() - start)
        seconds.append(min(found))
    return seconds[1] < seconds[0]
