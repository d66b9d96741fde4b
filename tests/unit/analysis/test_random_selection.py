"""The spread over sources of the students of which random selection draws one."""

import statistics

import pandas as pd
import pytest

from distillweighted.analysis.methods_accuracy import ACCURACY_COLUMNS
from distillweighted.analysis.random_selection import source_spread, table1_random_selection

NAN = float("nan")
VALUES = {
    ("t1", 0): [40.0, 44.0, 48.0],
    ("t1", 1): [41.0, 41.0, 44.0],
    ("t2", 0): [60.0, 61.0],
    ("t2", 1): [60.0, 63.0],
}


def accuracy(values=VALUES):
    rows = []
    for (target, seed), singles in values.items():
        rows.append((target, "in_transfer", "in_transfer", NAN, None, seed, "tiny", 90.0, 90.0))
        for number, x in enumerate(singles):
            name = f"distill_single-s{number}"
            rows.append((target, name, "distill_single", NAN, f"s{number}", seed, "tiny", x, x))
    return pd.DataFrame(rows, columns=list(ACCURACY_COLUMNS))


def test_within_seeds_then_over_them():
    table = table1_random_selection(accuracy()).set_index("target")
    assert list(table.index) == ["t1", "t2", "mean"]
    one = (statistics.stdev(VALUES["t1", 0]) + statistics.stdev(VALUES["t1", 1])) / 2
    two = (statistics.stdev(VALUES["t2", 0]) + statistics.stdev(VALUES["t2", 1])) / 2
    assert statistics.stdev(VALUES["t1", 0]) == 4
    assert list(table["sd_over_sources"]) == pytest.approx([one, two, (one + two) / 2])
    assert list(table["mean"]) == pytest.approx([43, 61, 52])
    assert list(table["worst"]) == [40.5, 60, 50.25] and list(table["best"]) == [46, 62, 54]
    assert list(table["n_sources"]) == [3, 2, 2] and list(table["n_seeds"]) == [2, 2, 2]
    assert set(table["student"]) == {"tiny"}
    assert source_spread(accuracy()) == pytest.approx((one + two) / 2)
    assert source_spread(accuracy(), targets=["t2"]) == pytest.approx(two)


def test_one_source_has_no_spread():
    lone = accuracy(VALUES | {("t3", 0): [50.0]})
    with pytest.raises(ValueError, match="'t3': a spread needs at least 2"):
        table1_random_selection(lone)
    assert source_spread(lone) is None
    none = lone[lone["method"] != "distill_single"]
    assert source_spread(none) is None
