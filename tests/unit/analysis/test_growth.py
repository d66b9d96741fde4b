"""Tables of growth by hand, and what is drawn of them."""

import math

import pandas as pd
import pytest
from scipy.stats import t

from distillweighted.analysis.figures.growth import draw_labels, draw_sources, draw_students
from distillweighted.analysis.growth import growth, growth_columns, relative
from distillweighted.analysis.growth_rows import (
    by_labels,
    by_sources,
    by_students,
    cost_of_sources,
)

NAN = math.nan


def rows_of(*rows):
    return pd.DataFrame(rows, columns=["method", "n", "target", "seed", "accuracy"])


CELLS = [("x", 0), ("x", 1), ("y", 0), ("y", 1)]
START = dict(zip(CELLS, (40, 41, 50, 51), strict=True))
TRANSFER = [("in_transfer", NAN, *cell, START[cell]) for cell in CELLS]
GAINS = {1: (1, 3, 0, 2), 2: (5, 5, 9, 11)}
WEIGHTED = [
    ("distill_weighted", n, *cell, START[cell] + gain)
    for n, gains in GAINS.items()
    for cell, gain in zip(CELLS, gains, strict=True)
]


def half_width_of_two(one, other):
    """Of Student's interval of the mean of two numbers."""
    return t.ppf(0.975, 1) * abs(one - other) / 2


def test_growth_by_hand():
    table = growth(rows_of(*TRANSFER, *WEIGHTED), "n")
    assert list(table.columns) == growth_columns("n")
    assert table["target"].tolist() == ["x", "y", "mean"] * 2
    assert set(table["method"]) == {"distill_weighted"}
    one, two = (table[table["n"] == n].set_index("target") for n in (1, 2))
    assert one["accuracy"].tolist() == [42.5, 51.5, 47.0]
    assert one["difference"].tolist() == [2, 1, 1.5]
    assert two["difference"].tolist() == [5, 10, 7.5]
    assert two["growth"].tolist() == [3, 9, 6]
    assert one.loc["mean", "half_width_difference"] == pytest.approx(half_width_of_two(2, 1))
    assert two.loc["mean", "half_width_difference"] == pytest.approx(half_width_of_two(5, 10))
    assert two.loc["mean", "half_width_growth"] == pytest.approx(half_width_of_two(3, 9))
    assert two.loc["x":"y", "half_width_difference"].isna().all()
    assert table["n_seeds"].tolist() == [2] * 6
    assert two["n_targets"].tolist() == [1, 1, 2]


def test_a_baseline_that_grows_too_is_compared_value_by_value():
    base = [("in_transfer", n, target, seed, value + 10 * n)
            for n in (1, 2) for _, _, target, seed, value in TRANSFER]  # fmt: skip
    table = growth(rows_of(*base, *WEIGHTED), "n").set_index(["method", "n", "target"])
    mean = table.xs("mean", level="target")
    assert mean["difference"].to_dict() == {
        ("in_transfer", 1): 0, ("in_transfer", 2): 0,
        ("distill_weighted", 1): 1.5 - 10, ("distill_weighted", 2): 7.5 - 20,
    }  # fmt: skip
    assert mean.loc[("in_transfer", 2), "growth"] == 10


def test_what_is_missing_is_told():
    with pytest.raises(ValueError, match=r"distill_weighted, n 2\.0 has no result for 'y' seed 1"):
        growth(rows_of(*TRANSFER, *WEIGHTED[:-1]), "n")
    with pytest.raises(ValueError, match="there is no in_transfer to compare with"):
        growth(rows_of(*WEIGHTED), "n")
    some = [("in_transfer", 1, target, seed, value) for _, _, target, seed, value in TRANSFER]
    with pytest.raises(ValueError, match="there is no in_transfer at n 2 to compare with"):
        growth(rows_of(*some, *WEIGHTED), "n")


def test_relative_costs_are_medians_over_pairs():
    seconds = {0: (2, 3), 1: (4, 12), 2: (10, 40)}
    rows = [(n, "x", seed, s) for seed, pair in seconds.items() for n, s in zip((1, 4), pair)]
    table = pd.DataFrame(rows, columns=["n", "target", "seed", "s"])
    assert relative(table, "n", "s").to_dict() == {1: 1.0, 4: 3.0}


SUBSETS = [("x", 0, ["b"]), ("x", 0, ["a", "b"]), ("x", 0, ["a", "b", "c"])]
SCORES = pd.DataFrame(
    [("x", 0, "a", 0.5), ("x", 0, "b", 0.5), ("x", 0, "c", 0.9)],
    columns=["target", "seed", "source", "score"],
)
RECIPES = {"distill_subset-n1": 1, "distill_subset-n2": 2}


def students_of(*recipes, singles=""):
    """One target and seed; accuracies and seconds by place."""
    rows = [(recipe, recipe.split("-")[0], None) for recipe in recipes]
    rows += [(f"distill_single-{s}", "distill_single", s) for s in singles]
    table = pd.DataFrame(rows, columns=["recipe", "method", "source"])
    numbers = [float(i) for i in range(len(rows))]
    return table.assign(target="x", seed=0, accuracy=numbers, train_seconds=numbers)


def told(rows):
    return {(r.method, r.sources): r.accuracy for r in rows.itertuples() if r.sources == r.sources}


def test_students_by_number_of_sources():
    accuracy = students_of(
        "in_transfer", "in_fixmatch", "distill_subset-n1", "distill_subset-n2",
        "distill_weighted-p12", "distill_weighted-p1",
    )  # fmt: skip
    rows = by_sources(
        accuracy, SCORES, SUBSETS, recipes=RECIPES, all_sources="distill_weighted-p12"
    )
    (transfer,) = rows[rows["method"] == "in_transfer"].itertuples()
    assert math.isnan(transfer.sources) and transfer.accuracy == 0
    assert told(rows) == {("distill_weighted", 1): 2, ("distill_weighted", 2): 3,
                          ("distill_weighted", 3): 4}  # fmt: skip


def test_single_source_students_stand_for_one_source_and_for_the_nearest():
    accuracy = students_of(
        "in_transfer", "distill_subset-n2", "distill_weighted-p12", singles="abc"
    )
    rows = by_sources(
        accuracy, SCORES, SUBSETS, recipes=RECIPES, all_sources="distill_weighted-p12"
    )
    single = {"a": 3, "b": 4, "c": 5}
    assert told(rows) == {
        ("distill_weighted", 1): single["b"],
        ("distill_weighted", 2): 1,
        ("distill_weighted", 3): 2,
        ("distill_nearest", 1): single["b"],
        # Of equal ones the first by name.
        ("distill_nearest", 2): single["a"],
        ("distill_nearest", 3): single["c"],
    }
    # Not of all: DistillNearest is left out.
    fewer = by_sources(
        accuracy[accuracy["source"] != "c"], SCORES, SUBSETS, recipes=RECIPES, all_sources=None
    )
    assert told(fewer) == {("distill_weighted", 1): 4, ("distill_weighted", 2): 1}


def test_the_cost_of_sources_is_a_mean_over_subsets():
    gmacs = {"a": 1.0, "b": 2.0, "c": 4.0}
    costs = cost_of_sources(gmacs, [*SUBSETS, ("y", 0, ["c"])])
    assert costs.to_dict() == {1: 3.0, 2: 3.0, 3: 7.0}


def labelled():
    """Two targets, one source and seed: transfer and p = 12 at two fractions."""
    rows = []
    for fraction, values in {0.2: (50, 60, 20, 30), 0.05: (25, 40, 10, 15)}.items():
        for target, transfer, weighted in (("x", *values[:2]), ("y", *values[2:])):
            rows.append((target, "in_transfer", "in_transfer", NAN, fraction, transfer))
            rows.append(
                (target, "distill_weighted-p12", "distill_weighted", 12, fraction, weighted)
            )
            # Of another architecture, and no method of the student's.
            rows.append((target, "in_transfer-big", "in_transfer", NAN, fraction, 99))
    columns = ["target", "recipe", "method", "p", "label_fraction", "accuracy"]
    table = pd.DataFrame(rows, columns=columns)
    big = table["recipe"] == "in_transfer-big"
    table["student"] = big.map({True: "big", False: "small"})
    table = table.assign(seed=0, source=None, balanced_accuracy=table["accuracy"])
    nearest = pd.DataFrame({"target": list("xy") * 2, "seed": 0, "source": "a",
                            "label_fraction": [0.2, 0.2, 0.05, 0.05]})  # fmt: skip
    return table, nearest


def test_growth_with_labels_by_hand():
    table = growth(by_labels(*labelled()), "label_fraction")
    mean = table[table["target"] == "mean"].set_index(["method", "label_fraction"])
    assert mean["accuracy"].to_dict() == {
        ("in_transfer", 0.05): 17.5, ("in_transfer", 0.2): 35,
        ("distill_weighted", 0.05): 27.5, ("distill_weighted", 0.2): 45,
    }  # fmt: skip
    weighted = mean.loc["distill_weighted"]
    assert weighted["difference"].tolist() == [10, 10]
    assert weighted["growth"].tolist() == [0, 17.5]
    assert weighted["half_width_difference"].tolist() == pytest.approx(
        [half_width_of_two(15, 5), 0]
    )


def sized():
    """Two targets, one seed: transfer, p = 12 and p = inf of a small and a large student."""
    rows = []
    for student, end, gmacs, gain in (("small", "", 0.001, 2), ("large", "-large", 0.004, 5)):
        for target, start in (("x", 50), ("y", 20)):
            own = gmacs + 0.0001 * (target == "y")
            for recipe, method, p, more in (
                (f"in_transfer{end}", "in_transfer", NAN, 0),
                (f"distill_weighted-p12{end}", "distill_weighted", 12, gain),
                (f"distill_weighted-pinf{end}", "distill_weighted", math.inf, gain + 1),
            ):
                rows.append((target, recipe, method, p, student, own, start + more, 10 + more))
    columns = ["target", "recipe", "method", "p", "student", "gmacs", "accuracy", "train_seconds"]
    table = pd.DataFrame(rows, columns=columns)
    table = table.assign(seed=0, source=None, parameters=table["gmacs"] * 1e6)
    table["balanced_accuracy"] = table["accuracy"]
    return table, pd.DataFrame({"target": ["x", "y"], "seed": 0, "source": "a"})


def test_growth_with_the_student_by_hand():
    rows = by_students(*sized())
    assert dict(zip(rows["student"], rows["mmacs"])) == pytest.approx(
        {"small": 1.05, "large": 4.05}
    )
    assert dict(zip(rows["student"], rows["parameters"])) == {"small": 1050, "large": 4050}
    assert set(rows["method"]) == {"in_transfer", "distill_nearest", "distill_weighted"}
    assert (
        rows["train_seconds"] == 10 + rows["accuracy"] - rows["target"].map({"x": 50, "y": 20})
    ).all()
    table = growth(rows, "mmacs")
    mean = table[table["target"] == "mean"].set_index("method")["difference"]
    assert mean["distill_weighted"].tolist() == [2, 5]
    assert mean["distill_nearest"].tolist() == [3, 6]
    table["train_seconds"] = 4.0
    left, middle, right = draw_students(table).axes
    assert [len(axes.containers) for axes in (left, middle, right)] == [3, 2, 3]
    assert [text.get_text() for text in left.get_xticklabels()] == ["1.1", "4.1"]


def test_the_figures_show_the_tables():
    table = growth(rows_of(*TRANSFER, *WEIGHTED), "n").rename(columns={"n": "sources"})
    table = table.assign(source_gmacs=table["sources"] * 0.002, relative_time=1.0)
    left, right = draw_sources(table).axes
    lines = {line.get_gid(): line for line in left.lines if line.get_gid()}
    assert lines["x"].get_ydata().tolist() == [2, 5]
    (mean,) = left.containers
    assert mean[0].get_ydata().tolist() == [1.5, 7.5] and mean[0].get_xdata().tolist() == [1, 2]
    ends = mean[2][0].get_segments()
    assert ends[0][:, 1] == pytest.approx(
        [1.5 - half_width_of_two(2, 1), 1.5 + half_width_of_two(2, 1)]
    )
    assert right.lines[0].get_ydata().tolist() == [1, 2]
    figure = draw_labels(growth(by_labels(*labelled()), "label_fraction"))
    left, right = figure.axes
    assert [c[0].get_ydata().tolist() for c in left.containers] == [[17.5, 35], [27.5, 45]]
    assert [c[0].get_ydata().tolist() for c in right.containers] == [[10, 10]]
    assert [label.get_text() for label in left.get_xticklabels()] == ["5", "20"]
    assert left.get_ylabel() == "Mean test accuracy over 2 targets (%)"
