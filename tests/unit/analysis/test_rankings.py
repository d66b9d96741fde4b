"""Rankings without data by hand, and Table 3 and regret against all orders of equal scores."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillweighted.analysis.correlation import table2_correlation
from distillweighted.analysis.rankings import data_free_scores, random_scores
from distillweighted.analysis.relative_accuracy import (
    expected_best,
    expected_mean,
    table3_regret,
    table3_relative_accuracy,
)
from distillweighted.analysis.source_facts import SOURCE_COLUMNS, read_source_facts
from distillweighted.errors import DamagedError

NAN = float("nan")


def students(accuracies):
    """The single-source students of {(target, seed): {source: accuracy}}."""
    rows = [
        (t, f"distill_single-{s}", "distill_single", NAN, s, seed, "mob", y, y / 2)
        for (t, seed), values in accuracies.items()
        for s, y in values.items()
    ]
    rows.append(("t", "in_transfer", "in_transfer", NAN, None, 0, "mob", 99.0, 99.0))
    columns = ["target", "recipe", "method", "p", "source", "seed", "student"]
    return pd.DataFrame(rows, columns=[*columns, "accuracy", "balanced_accuracy"])


ACCURACIES = {
    ("t", 0): {"a": 40, "b": 50, "c": 60},
    ("t", 1): {"a": 46, "b": 50, "c": 60},
    ("u", 0): {"a": 10, "b": 20, "c": 60},
    ("u", 1): {"a": 10, "b": 40, "c": 40},
    ("v", 0): {"a": 70, "b": 80},
    ("v", 1): {"a": 75, "b": 75},
}
FACTS = pd.DataFrame(
    [
        ("a", "small", "dogs", 10, 70.0, 1.0, 100),
        ("b", "small", "cats", 20, 90.0, 1.5, 300),
        ("c", "large", "dogs", 10, 80.0, 2.5, 150),
        ("unused", "odd", "", None, None, None, None),
    ],
    columns=list(SOURCE_COLUMNS),
)


def scores_of(table, metric):
    rows = table[table["metric"] == metric]
    return {(r.target, r.seed, r.source): r.score for r in rows.itertuples()}


def test_data_free_scores_by_hand():
    table = data_free_scores(students(ACCURACIES), FACTS)
    assert list(table.columns) == ["target", "seed", "source", "representation", "metric", "score"]
    assert set(table["representation"]) == {"data_free"}
    cells = [(t, seed, s) for (t, seed), values in ACCURACIES.items() for s in values]
    macs, parameters = {"a": 1.25, "b": 1.25, "c": 2.5}, {"a": 200, "b": 200, "c": 150}
    accuracy = {"a": 70, "b": 90, "c": 80}
    for metric, expected in (("macs", macs), ("parameters", parameters)):
        assert scores_of(table, metric) == {cell: expected[cell[2]] for cell in cells}
    assert scores_of(table, "source_accuracy") == {cell: accuracy[cell[2]] for cell in cells}
    # Means of t: 50, 52; of u: 30, 30; of v: 75, 75. Centred, mean over the seeds:
    t = {"a": (-10 - 6) / 2, "b": (0 - 2) / 2, "c": (10 + 8) / 2}
    u = {"a": (-20 - 20) / 2, "b": (-10 + 10) / 2, "c": (30 + 10) / 2}
    v = {"a": (-5 + 0) / 2, "b": (5 + 0) / 2}
    elsewhere = {("t", "c"): u["c"], ("u", "c"): t["c"]}
    for s in "ab":
        elsewhere |= {("t", s): (u[s] + v[s]) / 2, ("u", s): (t[s] + v[s]) / 2}
        elsewhere["v", s] = (t[s] + u[s]) / 2
    expected = {(t, seed, s): elsewhere[t, s] for t, seed, s in cells}
    assert scores_of(table, "other_targets") == pytest.approx(expected)
    half = data_free_scores(students(ACCURACIES), FACTS, value="balanced_accuracy")
    halves = {cell: value / 2 for cell, value in expected.items()}
    assert scores_of(half, "other_targets") == pytest.approx(halves)


def test_a_target_has_no_say_in_its_own_scores():
    before = data_free_scores(students(ACCURACIES), FACTS)
    changed = {cell: dict(values) for cell, values in ACCURACIES.items()}
    changed["t", 0] = {"a": 99, "b": 1, "c": 3}
    after = data_free_scores(students(changed), FACTS)
    own = before["target"] == "t"
    pd.testing.assert_frame_equal(after[own], before[own])
    others = (before["metric"] == "other_targets") & ~own
    assert (after.loc[others, "score"] != before.loc[others, "score"]).all()


def test_rankings_that_are_not_known_are_left_out_with_a_word(caplog):
    one = {cell: values for cell, values in ACCURACIES.items() if cell[0] == "t"}
    facts = FACTS.assign(test_accuracy=[70.0, NAN, 80.0, NAN], gmacs=1.0)
    table = data_free_scores(students(one), facts)
    assert list(table["metric"].unique()) == ["parameters"]
    assert "no ranking by source_accuracy: not known of b" in caplog.text
    assert "no ranking by macs: all sources have the same" in caplog.text
    assert "no ranking by other_targets: not known of a, b, c" in caplog.text
    nothing = facts.assign(parameters=None, test_accuracy=None)
    table = data_free_scores(students(one), nothing)
    # Beside a similarity's scores it is as if it were not there.
    assert table.empty and table["seed"].dtype == int and table["score"].dtype == float
    # Two targets, of which c serves one only.
    lonely = {**ACCURACIES, ("u", 0): {"a": 1, "b": 2}, ("u", 1): {"a": 1, "b": 2}}
    caplog.clear()
    assert "other_targets" not in set(data_free_scores(students(lonely), FACTS)["metric"])
    assert "no ranking by other_targets: not known of c" in caplog.text
    # One that is not known does not get the mean of its architecture.
    unknown = FACTS.assign(gmacs=[1.0, NAN, 2.5, NAN])
    assert "macs" not in set(data_free_scores(students(ACCURACIES), unknown)["metric"])
    with pytest.raises(ValueError, match=r"lacks \['c'\]"):
        data_free_scores(students(ACCURACIES), FACTS[FACTS["source"] != "c"])


def test_data_free_rows_come_after_the_papers_and_chance_last():
    accuracies = {cell: values for cell, values in ACCURACIES.items() if cell[0] != "v"}
    accuracy = students(accuracies)
    scores = data_free_scores(accuracy, FACTS)
    similarity = scores[scores["metric"] == "macs"].assign(representation="features", metric="zz")
    every = pd.concat([scores, random_scores(accuracy), similarity])
    table = table3_relative_accuracy(accuracy, every, 1)
    assert list(table["metric"]) == [
        *("zz", "macs", "other_targets", "parameters", "source_accuracy", "random")
    ]
    table = table2_correlation(accuracy, pd.concat([similarity, scores])).set_index("metric")
    # u ranks a < b < c, and so does t; 1.25 = 1.25 < 2.5 and 200 = 200 > 150 are half of an order.
    assert table.loc["other_targets", "t"] == pytest.approx(1)
    assert table.loc["macs", "t"] == pytest.approx(math.sqrt(3) / 2)
    assert table.loc["parameters", "t"] == pytest.approx(-math.sqrt(3) / 2)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=6),
    st.data(),
)
def test_equal_scores_against_all_orders(pairs, data):
    k = data.draw(st.integers(1, len(pairs)))
    score, y = (np.array(column, float) for column in zip(*pairs, strict=True))
    orders = [
        list(order)
        for order in itertools.permutations(range(len(pairs)))
        if all(score[i] >= score[j] for i, j in itertools.pairwise(order))
    ]
    best = np.mean([y[order[:k]].max() for order in orders])
    mean = np.mean([y[order[:k]].mean() for order in orders])
    assert expected_best(score, y, k) == pytest.approx(best)
    assert expected_mean(score, y, k) == pytest.approx(mean)


def test_chance_in_closed_form_and_by_enumeration():
    rng = np.random.default_rng(0)
    names = [f"s{i}" for i in range(7)]
    values = {("t", seed): dict(zip(names, rng.normal(50, 9, 7), strict=True)) for seed in (0, 1)}
    accuracy = students(values)
    scores = random_scores(accuracy)
    table = table3_relative_accuracy(accuracy, scores, 3)
    expected = []
    for cell in values.values():
        y = sorted(cell.values(), reverse=True)
        expected.append(100 * np.mean(y) / np.mean(y[:3]))
    assert table["t"].item() == pytest.approx(np.mean(expected))
    regret = table3_regret(accuracy, scores).set_index("k")
    for k in (1, 3, 5):
        lost = [
            max(cell.values()) - np.mean([max(c) for c in itertools.combinations(cell.values(), k)])
            for cell in values.values()
        ]
        assert regret.loc[k, "t"] == pytest.approx(np.mean(lost))
    assert regret.loc[1, "mean"] == regret.loc[1, "t"]


def test_chance_among_many_sources():
    """The numbers of ways are above what a float holds; the ratio is not."""
    y = np.arange(2000.0)
    assert expected_best(np.zeros(2000), y, 1000) == pytest.approx(2001 * 1000 / 1001 - 1)


def test_table3_and_regret_by_hand(caplog):
    names = ["a_x", "a_y", "b_x", "b_y", "c_x"]
    accuracy = students({("t", 0): dict(zip(names, [50.0, 40.0, 30.0, 20.0, 10.0], strict=True))})
    similarity = pd.DataFrame({"target": "t", "seed": 0, "source": names})
    similarity = similarity.assign(representation="features", metric="parc")
    similarity["score"] = [0.1, 0.5, 0.5, 0.5, 0.9]
    # c_x, then two of three that score the same, 30 on average: (10 + 2 * 30) of (50 + 40 + 30).
    table = table3_relative_accuracy(accuracy, similarity)
    assert table["t"].item() == pytest.approx(100 * 70 / 120)
    # The best of two of 40, 30, 20 is 40 in two cases of three, and else 30.
    regret = table3_regret(accuracy, similarity).set_index("k")["t"]
    assert regret.to_dict() == pytest.approx({1: 40, 3: 50 - (40 + 40 + 30) / 3, 5: 0})
    with pytest.raises(ValueError, match="from 1 on, not 0"):
        table3_relative_accuracy(accuracy, similarity, 0)
    fewer = accuracy[accuracy["source"] != "c_x"]
    assert list(table3_regret(fewer, similarity)["k"]) == [1, 3]
    assert "no regret at 5: a target has 4 sources" in caplog.text


def test_sources_facts_are_read_and_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "meta.json"
    facts = {"source": "a", "architecture": "net", "task": "", "parameters": 7, "licence": "MIT"}
    path.write_text(json.dumps(facts))
    table = read_source_facts([path])
    assert list(table.columns) == list(SOURCE_COLUMNS)
    assert table.loc[0, ["source", "task", "parameters"]].tolist() == ["a", "", 7]
    assert table[["gmacs", "test_accuracy"]].isna().all(axis=None)
    path.write_text('{"source": "a"')
    with pytest.raises(DamagedError, match=r"meta\.json"):
        read_source_facts([path])
