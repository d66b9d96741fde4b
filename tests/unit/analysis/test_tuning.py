"""The table of learning rates, and the effect of lambda: by hand."""

import logging

import numpy as np
import pandas as pd
import pytest

from distillweighted.analysis.figures.effect_of_lambda import (
    effect_of_lambda,
    fig_effect_of_lambda,
)
from distillweighted.analysis.tuning import best_rates, named_students, tuning_table

ACCURACY = {
    # Of two tasks and two seeds, by rate.
    0.001: {("a", 1): 50, ("b", 1): 60, ("a", 2): 52, ("b", 2): 62},
    0.002: {("a", 1): 56, ("b", 1): 62, ("a", 2): 54, ("b", 2): 64},
    0.004: {("a", 1): 40, ("b", 1): 40, ("a", 2): 41, ("b", 2): 41},
}


def students_of(accuracy, name="in_fixmatch"):
    """Rows as `tuning_table` takes them."""
    rows = [
        (name, "convnet_tiny", rate, target, seed, value)
        for rate, cells in accuracy.items()
        for (target, seed), value in cells.items()
    ]
    columns = ["name", "student", "learning_rate", "target", "seed", "accuracy"]
    return pd.DataFrame(rows, columns=columns)


def test_means_errors_and_the_best_rate():
    table = tuning_table(students_of(ACCURACY)).set_index("learning_rate")
    # Means over tasks by seed: 55, 57; 59, 59; 40, 41.
    assert table["mean"].tolist() == [56, 59, 40.5]
    assert table["a"].tolist() == [51, 55, 40.5] and table["b"].tolist() == [61, 63, 40.5]
    assert table["standard_error"].tolist() == pytest.approx([1, 0, 0.5])
    # Paired by seed: -4 and -2; -19 and -18.
    assert table["behind"].tolist() == [-3, 0, -18.5]
    assert table["behind_error"].tolist() == pytest.approx([1, np.nan, 0.5], nan_ok=True)
    assert table["best"].tolist() == ["", "yes", ""]
    assert best_rates(table.reset_index()) == {"in_fixmatch": 0.002}


def test_a_best_rate_at_the_end_is_told(caplog):
    with caplog.at_level(logging.WARNING):
        tuning_table(students_of({rate: ACCURACY[rate] for rate in (0.002, 0.004)}))
    assert "in_fixmatch: the best learning rate, 0.002, is at the end of those tried" in caplog.text
    caplog.clear()
    tuning_table(students_of(ACCURACY))
    assert not caplog.records


def test_several_students_of_a_cell_count_by_their_mean():
    twice = pd.concat([students_of(ACCURACY), students_of(ACCURACY).assign(accuracy=0.0)])
    table = tuning_table(twice).set_index("learning_rate")
    assert table["mean"].tolist() == [28, 29.5, 20.25]


def test_a_missing_student_is_told():
    students = students_of(ACCURACY).drop(index=3)
    with pytest.raises(ValueError, match="in_fixmatch has not every target and seed"):
        tuning_table(students)


def test_students_are_named():
    facts = {"recipe": "distill_weighted-pinf-rate0.1", "student": "x", "learning_rate": 0.1}
    facts |= {"target": "a", "seed": 1, "accuracy": 50.0, "more": 1}
    table = named_students([facts], {"distill_weighted-pinf-rate0.1": "distill_single"})
    assert table.to_dict("records") == [
        {
            "name": "distill_single",
            "student": "x",
            "learning_rate": 0.1,
            "target": "a",
            "seed": 1,
            "accuracy": 50.0,
        }
    ]


LAMBDAS = pd.DataFrame(
    [
        ("a", 1, np.nan, 50.0),
        ("a", 2, np.nan, 52.0),
        ("b", 1, np.nan, 70.0),
        ("b", 2, np.nan, 70.0),
        ("a", 1, 0.5, 53.0),
        ("a", 2, 0.5, 54.0),
        ("b", 1, 0.5, 71.0),
        ("b", 2, 0.5, 74.0),
        ("a", 1, 1.0, 50.0),
        ("a", 2, 1.0, 52.0),
        ("b", 1, 1.0, 69.0),
        ("b", 2, 1.0, 69.0),
    ],
    columns=["target", "seed", "lambda", "accuracy"],
)


def test_the_effect_of_lambda_is_paired_by_target_and_seed():
    table = effect_of_lambda(LAMBDAS)
    rows = [(row["lambda"], row.target, row.improvement) for _, row in table.iterrows()]
    assert rows == [
        (0.5, "a", 2.5),
        (0.5, "b", 2.5),
        (0.5, "mean", 2.5),
        (1.0, "a", 0.0),
        (1.0, "b", -1.0),
        (1.0, "mean", -0.5),
    ]
    # Differences by seed: 3, 2; 1, 4; means 2, 3.
    assert table["standard_error"].tolist() == pytest.approx([0.5, 1.5, 0.5, 0, 0, 0])
    axes = fig_effect_of_lambda(table).axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0.5", "1\n(nothing distilled)"]


def test_a_lambda_that_lacks_a_seed_is_told():
    with pytest.raises(ValueError, match=r"lambda 0\.5 has no result for 'b' seed 2"):
        effect_of_lambda(LAMBDAS.drop(index=7))
    with pytest.raises(ValueError, match="no in_transfer student"):
        effect_of_lambda(LAMBDAS[LAMBDAS["lambda"].notna()])
