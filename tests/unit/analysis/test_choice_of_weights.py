"""Rules that choose the weights, by hand on two targets of two seeds."""

import json
import math

import pandas as pd
import pytest

import choice_of_weights as script
from distillweighted.analysis.choice_of_weights import (
    COLUMNS,
    choice_of_weights,
    read_validation,
)
from distillweighted.analysis.methods_accuracy import ACCURACY_COLUMNS
from distillweighted.errors import DamagedError

NAN, INF = math.nan, math.inf
CELLS = [("x", 0), ("x", 1), ("y", 0), ("y", 1)]
NEAREST = pd.DataFrame(
    [("x", 0, "a"), ("x", 1, "b"), ("y", 0, "a"), ("y", 1, "a")],
    columns=["target", "seed", "source"],
)
# By target and seed. Means of p = 0: 41 and 60; of 12: 52 and 55; of infinity: 50 and 51.
RECIPES = {
    "distill_weighted-p12": ("distill_weighted", 12.0, None, (50, 54, 56, 54)),
    "distill_weighted-p0": ("distill_weighted", 0.0, None, (40, 42, 60, 60)),
    "distill_single-a": ("distill_single", NAN, "a", (48, 10, 50, 52)),
    "distill_single-b": ("distill_single", NAN, "b", (90, 52, 10, 10)),
    "distill_auto_p": ("distill_auto_p", NAN, None, (51, 53, 58, 58)),
    "distill_top_k-k2": ("distill_top_k", NAN, None, (44, 44, 57, 59)),
    "distill_top_k-k3": ("distill_top_k", NAN, None, (43, 43, 59, 59)),
    "in_transfer": ("in_transfer", NAN, None, (30, 30, 30, 30)),
}


def accuracies(**changes):
    rows = [
        (target, recipe, method, p, source, seed, "small", float(value), float(value))
        for recipe, (method, p, source, values) in {**RECIPES, **changes}.items()
        for (target, seed), value in zip(CELLS, values, strict=True)
    ]
    rows.append(("x", "in_transfer-big", "in_transfer", NAN, None, 0, "big", 99.0, 99.0))
    return pd.DataFrame(rows, columns=list(ACCURACY_COLUMNS))


def validations():
    # In x the first seed is right to take 12, the second is misled to 0; in y seed 0 takes the
    # nearest source's, and seed 1 the smaller p of two equally good ones.
    chosen = {
        "distill_weighted-p0": (60, 70, 50, 80),
        "distill_weighted-p12": (70, 60, 60, 80),
        "distill_single-a": (10, 95, 90, 70),
        "distill_single-b": (95, 10, 95, 95),
        "distill_auto_p": (0, 0, 0, 0),
        "distill_top_k-k2": (0, 0, 0, 0),
        "distill_top_k-k3": (0, 0, 0, 0),
        "in_transfer": (99, 99, 99, 99),
    }
    rows = [
        (target, seed, recipe, float(value), 4 if recipe.startswith("distill") else 2)
        for recipe, values in chosen.items()
        for (target, seed), value in zip(CELLS, values, strict=True)
    ]
    return pd.DataFrame(rows, columns=["target", "seed", "recipe", "accuracy", "candidates"])


def half_width_of_two(one, other):
    """Of Student's 95% interval with one degree of freedom."""
    return 12.7062047 * abs(one - other) / 2


def test_rules_by_hand():
    table = choice_of_weights(accuracies(), NEAREST, [12.0, 0.0, INF])
    assert list(table.columns) == list(COLUMNS)
    assert table["rule"].tolist() == [
        "distill_weighted-p0",
        "distill_weighted-p12",
        "distill_weighted-pinf",
        "distill_auto_p",
        "distill_top_k-k2",
        "distill_top_k-k3",
        "oracle_p",
    ]
    table = table.set_index("rule")
    assert table["accuracy"].tolist() == [50.5, 53.5, 50.5, 55, 51, 51, 56]
    # The best of all is 12 (52 and 55), those of each target are 12 (52) and 0 (60).
    assert table["regret_best_p"].tolist() == [3, 0, 3, -1.5, 2.5, 2.5, -2.5]
    assert table["regret_target_p"].tolist() == [5.5, 2.5, 5.5, 1, 5, 5, 0]
    widths = table["half_width_best_p"]
    assert widths["distill_weighted-p0"] == pytest.approx(half_width_of_two(11, -5))
    assert widths["distill_weighted-p12"] == 0
    assert widths["distill_auto_p"] == pytest.approx(half_width_of_two(0, -3))
    widths = table["half_width_target_p"]
    assert widths["distill_weighted-pinf"] == pytest.approx(half_width_of_two(2, 9))
    assert widths["oracle_p"] == 0
    assert table["students"].tolist() == [1] * 6 + [3]
    assert table["sees_test_labels"].tolist() == ["no"] * 6 + ["yes"]


def test_a_p_by_validation_is_chosen_for_each_target_and_seed():
    table = choice_of_weights(accuracies(), NEAREST, [12.0, 0.0, INF], validations())
    table = table.set_index("rule")
    assert table.index[-2:].tolist() == ["validated_p", "oracle_p"]
    # x: 50 (p = 12) and 42 (p = 0); y: 50 (source a) and 60 (p = 0).
    row = table.loc["validated_p"]
    assert row["accuracy"] == (46 + 55) / 2
    assert row["regret_best_p"] == (52 - 46 + 55 - 55) / 2
    assert row["half_width_best_p"] == pytest.approx(half_width_of_two(6, 0))
    assert row["regret_target_p"] == (52 - 46 + 60 - 55) / 2
    # Four candidates each; the oracle trains them and the student of each p.
    assert table["students"].to_dict() == {
        **dict.fromkeys(table.index, 5),
        "validated_p": 3 * 4 + 1,
        "oracle_p": 3 * 5,
    }
    assert table.loc["validated_p", "sees_test_labels"] == "no"


def test_p_of_infinity_may_be_a_student_of_its_own():
    trained = ("distill_weighted", INF, None, RECIPES["distill_single-a"][3])
    alone = accuracies(**{"distill_weighted-pinf": trained})
    alone = alone[alone["method"] != "distill_single"]
    names = {"distill_single-a": "distill_weighted-pinf"}
    validation = validations().replace({"recipe": names})
    validation = validation[validation["recipe"] != "distill_single-b"]
    table = choice_of_weights(alone, NEAREST, [0.0, INF], validation).set_index("rule")
    assert table.loc["distill_weighted-pinf", "accuracy"] == (29 + 51) / 2
    # Of 12 nothing was asked.
    assert "distill_weighted-p12" not in table.index
    # x: 40 (p = 0), 10 (inf); y: 50 (inf), 60 (p = 0).
    assert table.loc["validated_p", "accuracy"] == (25 + 55) / 2


def test_one_target_has_no_half_width():
    accuracy = accuracies()
    table = choice_of_weights(accuracy[accuracy["target"] == "x"], NEAREST, [0.0, 12.0])
    assert table["half_width_best_p"].isna().all() and table["accuracy"].notna().all()


def test_what_is_missing_is_told():
    accuracy = accuracies()
    with pytest.raises(ValueError, match="needs two exponents or more"):
        choice_of_weights(accuracy, NEAREST, [12.0])
    with pytest.raises(ValueError, match=r"students are there for \['distill_weighted-p0', 'dis"):
        choice_of_weights(accuracy, NEAREST, [0.0, 4.0, 12.0])
    with pytest.raises(ValueError, match="recipe distill_auto_p has no result for 'y' seed 1"):
        gone = (accuracy["recipe"] == "distill_auto_p") & (accuracy["seed"] == 1)
        choice_of_weights(accuracy[~(gone & (accuracy["target"] == "y"))], NEAREST, [0.0, 12.0])
    fewer = validations().iloc[1:]
    with pytest.raises(ValueError, match="distill_weighted-p0 has no result for 'x' seed 0"):
        choice_of_weights(accuracy, NEAREST, [0.0, 12.0], fewer)
    none = fewer[fewer["recipe"] != "distill_weighted-p0"]
    with pytest.raises(ValueError, match="no validation accuracy of distill_weighted-p0"):
        choice_of_weights(accuracy, NEAREST, [0.0, 12.0], none)


def test_the_rule_reads_the_choices_and_writes_the_table(tmp_path):
    accuracies().to_csv(tmp_path / "accuracy.csv", index=False)
    NEAREST.to_csv(tmp_path / "nearest.csv", index=False)
    choices = []
    for (target, seed), rows in validations().groupby(["target", "seed"]):
        recipes = {
            row.recipe: {"accuracy": row.accuracy, "candidates": [{}] * row.candidates}
            for row in rows.itertuples()
        }
        choices.append(tmp_path / f"{target}{seed}.json")
        choices[-1].write_text(json.dumps({"target": target, "seed": seed, "recipes": recipes}))
    tables = (tmp_path / "accuracy.csv", tmp_path / "nearest.csv")
    output, exponents = tmp_path / "table.csv", [0.0, 12.0, INF]
    script.main(*tables, choices, output, exponents=exponents, caption="Run x.")
    expected = choice_of_weights(accuracies(), NEAREST, exponents, validations())
    pd.testing.assert_frame_equal(pd.read_csv(output), expected)
    text = output.with_suffix(".md").read_text()
    assert "Run x." in text and "which no rule may see" in text
    assert "| validated_p | 50.5 | 3.00 |" in text
    # Without a choice there is no such row.
    script.main(*tables, [], output, exponents=exponents, caption="")
    assert "validated_p" not in set(pd.read_csv(output)["rule"])


@pytest.mark.parametrize("recipes", [[], {"a": {"accuracy": 1.0}}, {"a": {"accuracy": "x"}}])
def test_a_damaged_choice_is_named(tmp_path, recipes):
    path = tmp_path / "choice.json"
    path.write_text(json.dumps({"target": "x", "seed": 0, "recipes": recipes}))
    with pytest.raises(DamagedError, match=r"choice\.json.*no validation accuracy"):
        read_validation(path)
