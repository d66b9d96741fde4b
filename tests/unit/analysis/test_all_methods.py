"""The table of all methods: signs, pairs and costs, counted by hand."""

import pandas as pd
import pytest

from distillweighted.analysis.all_methods import METHOD_COLUMNS, all_methods

COLUMNS = ["target", "recipe", "method", "p", "source", "seed", "student"]
COLUMNS += ["accuracy", "balanced_accuracy", "train_seconds"]
# Accuracy of target a and b, seconds of both.
STUDENTS = {
    ("in_transfer", "in_transfer", None): (50.0, 60.0, 2.0),
    ("distill_weighted-p12", "distill_weighted", 12.0): (54.0, 63.0, 4.0),
    ("distill_weighted-p0", "distill_weighted", 0.0): (55.0, 61.0, 4.0),
    ("distill_decoupled-p12", "distill_decoupled", 12.0): (56.0, 66.0, 5.0),
    ("distill_single-s", "distill_single", None): (53.0, 62.0, 3.0),
    ("distill_single-t", "distill_single", None): (51.0, 64.0, 3.0),
    ("in_transfer-big", "in_transfer", None): (90.0, 90.0, 9.0),
}
NEAREST = pd.DataFrame(
    [(target, seed, "s") for target in "ab" for seed in (1, 2)],
    columns=["target", "seed", "source"],
)


def students():
    rows = []
    for (recipe, method, p), (*accuracies, seconds) in STUDENTS.items():
        source = recipe.split("-")[1] if method == "distill_single" else None
        student = "big" if recipe.endswith("big") else "tiny"
        for target, accuracy in zip("ab", accuracies, strict=True):
            for seed in (1, 2):
                value = accuracy + seed
                cells = (target, recipe, method, p, source, seed, student, value, value, seconds)
                rows.append(cells)
    return pd.DataFrame(rows, columns=COLUMNS)


def table(**changes):
    options = {"reference": "distill_weighted", "default_p": 12.0, **changes}
    return all_methods(students(), NEAREST, **options).set_index("method")


def test_methods_in_the_order_of_table_1_with_their_differences():
    found = table()
    assert tuple(found.reset_index().columns) == METHOD_COLUMNS
    assert list(found.index) == [
        "in_transfer",
        "distill_random_selection",
        "distill_nearest",
        "distill_equal",
        "distill_weighted",
        "distill_decoupled",
    ]
    assert found["accuracy"].to_dict() == {
        "in_transfer": 56.5,
        "distill_random_selection": 59.0,
        "distill_nearest": 59.0,
        "distill_equal": 59.5,
        "distill_weighted": 60.0,
        "distill_decoupled": 62.5,
    }
    assert found.loc["distill_decoupled", "difference"] == 2.5  # above 0: it is better
    assert found.loc["in_transfer", "difference"] == -3.5
    assert found["targets_better"].drop("distill_weighted").tolist() == [0, 0, 0, 1, 2]
    # t of one degree of freedom: 12.706 times half the spread of +2 and +3.
    assert found.loc["distill_decoupled", "half_width_targets"] == pytest.approx(6.353, abs=1e-3)
    assert pd.isna(found.loc["distill_weighted", "difference"])


def test_costs_are_relative_to_the_reference():
    assert table()["relative_time"].to_dict() == {
        "in_transfer": 0.5,
        "distill_random_selection": 0.75,
        "distill_nearest": 0.75,
        "distill_equal": 1.0,
        "distill_weighted": 1.0,
        "distill_decoupled": 1.25,
    }
    other = table(reference="in_transfer")
    assert other.loc["distill_decoupled", ["relative_time", "difference"]].tolist() == [2.5, 6.0]


def test_the_oracle_trains_nothing():
    found = table(oracle=True)
    assert found.loc["oracle_selection", "accuracy"] == 60.0
    assert pd.isna(found.loc["oracle_selection", "relative_time"])


def test_every_row_says_what_it_is_and_where_it_is_from():
    found = table()
    assert found.loc["distill_decoupled", "name"] == "DistillWeighted, decoupled"
    assert found.loc["distill_decoupled", "origin"] == "DKD, Zhao et al. 2022"
    assert found.loc["in_transfer", "origin"] == "the paper"
