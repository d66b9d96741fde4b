"""Spearman's correlation of distances with whether two images share their class, by one sort."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

WINDOW = 256
"""Rows of at most this length NumPy sorts by a network of comparisons, without branches."""

WHOLE = 1 << 20
"""Up to so many numbers are put in order at once, if they do not lie too close together."""

PART = 1 << 17
"""Numbers that are put in order at a time where there are more, which a core's cache holds."""

BLOCK = 1 << 15
"""Numbers that are read at a time: what is made of them needs no new memory of the system's."""

SAMPLE = 17
"""One number in so many says where a part ends; a prime, since labels may come in turns."""


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
    m, twice_ranks, tied_cubes = 0, 0, 0
    like_next = np.zeros(n, bool)
    for start in range(0, n, BLOCK):
        some = keys[start : start + BLOCK + 1]
        like_next[start : start + len(some) - 1] = some[1:] ^ some[:-1] <= 1
        within = np.flatnonzero(some[:BLOCK] & 1 == 0)
        m += len(within)
        twice_ranks += 2 * (int(within.sum()) + (start + 1) * len(within))
    if like_next.any():
        # Of groups of equal distances: their places, and where each group starts among these.
        like_next[1:] |= like_next[:-1]
        places = np.flatnonzero(like_next)
        starts = np.flatnonzero(np.diff(keys[places] >> 1, prepend=-1))
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
    """Sort whole numbers, int64 [n], in place.

    NumPy's own sort for AVX-512 takes 55 ns a number where a processor stores selected lanes slowly
    (AMD's Zen 4). This takes less than half of that: it cuts the range into parts of as many
    numbers, and puts each part in order by itself.
    """
    if len(values) <= WHOLE and _sorted_into(values, values.copy()):
        return
    if len(values) <= PART:
        values.sort()
        return
    start = 0
    for part in _parts(values):
        out = values[start : start + len(part)]
        if not _sorted_into(out, part):
            out.sort()  # Many of them lie close together.
        start += len(part)


def _parts(values: np.ndarray) -> Iterator[np.ndarray]:
    """The numbers in parts of about `PART`, each above all numbers of the ones before it.

    All of them are read before the first one is given.
    """
    count = -(-len(values) // PART)
    low, scale = _scale(values)
    sample = _places(values[::SAMPLE], low, scale)
    # The part that each of 2^16 places between the smallest and the largest number goes to. More
    # numbers than that in one range would leave too many of them at one place.
    counts = np.bincount(sample, minlength=1 << 16)
    part_of = (np.maximum(np.cumsum(counts) - 1, 0) * count // len(sample)).astype(np.uint16)
    by_part: list[list[np.ndarray]] = [[] for _ in range(count)]
    for start in range(0, len(values), BLOCK):
        some = values[start : start + BLOCK]
        to = part_of[_places(some, low, scale)]
        ends = np.cumsum(np.bincount(to, minlength=count))[:-1]
        pieces = np.split(some[np.argsort(to, kind="stable")], ends)
        for part, piece in zip(by_part, pieces, strict=True):
            part.append(piece)
    by_part.reverse()
    while by_part:
        yield np.concatenate(by_part.pop())


def _sorted_into(out: np.ndarray, values: np.ndarray) -> bool:
    """Put numbers in order: into 2^16 buckets first, and then by windows.

    Where no bucket has more than half a window, the windows that start at its multiples and those
    that start in the middle of these put all in order.

    Args:
        out: Where they go [n].
        values: The numbers [n].

    Returns:
        Whether they are in order; else `out` has them in another one.
    """
    if len(values) < 4 * WINDOW:
        out[:] = np.sort(values)
        return True
    order = np.argsort(_places(values, *_scale(values)), kind="stable")
    np.take(values, order, out=out, mode="clip")  # "raise" would take them into new memory first.
    for start in (0, WINDOW // 2):
        whole = start + (len(out) - start) // WINDOW * WINDOW
        out[start:whole].reshape(-1, WINDOW).sort(axis=1)
        out[-WINDOW:].sort()
    return not (out[1:] < out[:-1]).any()


def _scale(values: np.ndarray) -> tuple[int, float]:
    """The smallest number, and what makes the distance of the largest from it 2^16 - 1."""
    low, high = int(values.min()), int(values.max())
    return low, 65535 / max(high - low, 1)


def _places(values: np.ndarray, low: int, scale: float) -> np.ndarray:
    """Where numbers lie between the smallest, at 0, and the largest, at 2^16 - 1: uint16 [n]."""
    places = np.empty(len(values), np.uint16)
    for start in range(0, len(values), BLOCK):
        some = slice(start, start + BLOCK)
        places[some] = (values[some] - low) * scale
    return places
