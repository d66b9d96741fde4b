"""The supplement's tables, by hand."""

import math

import pandas as pd
import pytest

from distillweighted.analysis.supplement import table_label_fractions, table_target_groups

NAN = math.nan
COLUMNS = ["target", "recipe", "method", "p", "source", "seed", "student", "accuracy"]


def students(accuracies):
    """Two targets, one source: in_transfer, one single, p = 12; a fine-tuned source beside them."""
    rows = []
    for (target, seed), (transfer, single, weighted) in accuracies.items():
        rows += [
            (target, "in_transfer", "in_transfer", NAN, None, seed, "small", transfer),
            (target, "distill_single-a", "distill_single", NAN, "a", seed, "small", single),
            (
                target,
                "distill_weighted-p12",
                "distill_weighted",
                12.0,
                None,
                seed,
                "small",
                weighted,
            ),
            (target, "in_transfer-big", "in_transfer", NAN, None, seed, "big", 99.0),
        ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    nearest = pd.DataFrame(
        [(t, s, "a") for t, s in accuracies], columns=["target", "seed", "source"]
    )
    return table.assign(balanced_accuracy=table["accuracy"]), nearest


MANY = {
    ("x", 0): (50, 60, 70),
    ("x", 1): (52, 60, 74),
    ("y", 0): (20, 10, 30),
    ("y", 1): (20, 14, 30),
}
FEW = {cell: tuple(value / 2 for value in values) for cell, values in MANY.items()}


def by_method(table, **where):
    for column, value in where.items():
        table = table[table[column] == value]
    return table.set_index("method")


def test_accuracy_by_label_fraction():
    (many, nearest), (few, _) = students(MANY), students(FEW)
    table = table_label_fractions(
        pd.concat([many.assign(label_fraction=0.2), few.assign(label_fraction=0.05)]),
        pd.concat([nearest.assign(label_fraction=f) for f in (0.2, 0.05)]),
    )
    assert table["label_fraction"].tolist() == [0.05] * 4 + [0.2] * 4
    large = by_method(table, label_fraction=0.2)
    assert list(large.index) == [
        "in_transfer",
        "distill_random_selection",
        "distill_nearest",
        "distill_weighted",
    ]
    # Means over seeds: in_transfer 51 and 20, the single 60 and 12, weighted 72 and 30.
    assert large.loc["distill_weighted", ["x", "y", "mean"]].tolist() == [72, 30, 51]
    assert large.loc["distill_weighted", "improvement"] == 51 - 35.5
    assert large.loc["distill_nearest", "improvement"] == 36 - 35.5
    assert large.loc["in_transfer", "improvement"] == 0
    small = by_method(table, label_fraction=0.05)
    assert small.loc["distill_weighted", "mean"] == 51 / 2


def test_groups_of_targets():
    accuracy, nearest = students(MANY)
    groups = {"first": ["x"], "both": ["y", "x"]}
    table = table_target_groups(accuracy, nearest, groups)
    first, both = by_method(table, group="first"), by_method(table, group="both")
    assert first.loc["distill_weighted", ["mean", "improvement"]].tolist() == [72, 72 - 51]
    assert both.loc["distill_weighted", ["mean", "improvement"]].tolist() == [51, 51 - 35.5]
    assert list(dict.fromkeys(table["group"])) == ["first", "both"]


def test_without_transfer_there_is_no_improvement():
    accuracy, nearest = students(MANY)
    accuracy = accuracy[accuracy["recipe"] != "in_transfer"]
    table = table_target_groups(accuracy, nearest, {"both": ["x", "y"]})
    assert table["improvement"].isna().all() and table["mean"].notna().all()


def test_a_table_without_label_fractions_is_an_error():
    accuracy, nearest = students(MANY)
    with pytest.raises(ValueError, match="lacks the columns"):
        table_label_fractions(accuracy, nearest)
