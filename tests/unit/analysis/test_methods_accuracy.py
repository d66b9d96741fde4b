"""Tables 1 to 3 against a second computation in plain loops, and their errors."""

import itertools
import math
import random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillweighted.analysis import (
    correlation,
    methods_accuracy,
    relative_accuracy,
    source_bootstrap,
)
from distillweighted.analysis.figures.fig6_effect_of_p import effect_of_p
from distillweighted.analysis.table1 import table1_accuracy
from distillweighted.methods import METHOD_ORDER

NAN = float("nan")
SOURCES = ["a_x", "a_y", "b_x", "b_y", "c_x"]
KINDS = [("pseudo_labels", "cka"), ("features", "cka"), ("features", "parc")]


class Grid:
    """A random run, kept as plain dictionaries: `value[target, seed, recipe]`."""

    def __init__(self, random_seed, targets=("t1", "t2"), seeds=(0, 1, 2), without_singles=()):
        rng = random.Random(random_seed)
        self.targets, self.seeds = list(targets), list(seeds)
        self.value, self.score, self.nearest, rows = {}, {}, {}, []
        recipes = [("in_transfer", "in_transfer", NAN, None, "mob")]
        recipes += [("in_fixmatch", "in_fixmatch", NAN, None, "mob")]
        recipes += [("distill_inverse", "distill_inverse", NAN, None, "mob")]
        recipes += [(f"distill_single-{s}", "distill_single", NAN, s, "mob") for s in SOURCES]
        for p in (0.0, 1.0, 12.0, math.inf):
            recipes.append((f"distill_weighted-p{p:g}", "distill_weighted", p, None, "mob"))
        # Not the paper's.
        recipes.append(("distill_prototypes-p12", "distill_prototypes", 12.0, None, "mob"))
        recipes.append(("probe_labels", "probe_labels", NAN, "a_x", "mob"))
        for i in range(3):
            recipe = f"distill_random_weights-draw{i}"
            recipes.append((recipe, "distill_random_weights", NAN, None, "mob"))
        for a in ("b", "a"):
            recipes.append((f"in_transfer-{a}", "in_transfer", NAN, None, a))
            recipe = f"finetune_selected_source-{a}"
            recipes.append((recipe, "finetune_selected_source", NAN, f"{a}_x", a))
        for target, seed in itertools.product(self.targets, self.seeds):
            for recipe, method, p, source, student in recipes:
                if method == "distill_single" and target in without_singles:
                    continue
                x = round(rng.uniform(10, 90), 1)
                self.value[target, seed, recipe] = x
                rows.append((target, recipe, method, p, source, seed, student, x, x / 2))
            for kind, source in itertools.product(KINDS, SOURCES):
                self.score[(target, seed, source, *kind)] = rng.choice([0.1, 0.2, 0.3, 0.4, 0.5])
            # No ties in the default metric's ranking, and two levels at least in all the others.
            order = rng.sample(range(len(SOURCES)), len(SOURCES))
            for source, position in zip(SOURCES, order, strict=True):
                self.score[(target, seed, source, "features", "parc")] = position / 10
            for kind in KINDS[:2]:
                self.score[(target, seed, SOURCES[0], *kind)] = 0.9
            self.nearest[target, seed] = SOURCES[order.index(max(order))]
        rng.shuffle(rows)
        self.accuracy = pd.DataFrame(rows, columns=list(methods_accuracy.ACCURACY_COLUMNS))
        self.similarity = pd.DataFrame(
            [(*key, score) for key, score in self.score.items()],
            columns=["target", "seed", "source", "representation", "metric", "score"],
        )
        self.nearest_table = pd.DataFrame(
            [(*cell, source) for cell, source in self.nearest.items()],
            columns=["target", "seed", "source"],
        )

    def singles(self, target, seed):
        return [self.value[target, seed, f"distill_single-{s}"] for s in SOURCES]

    def method(self, student, method, target, seed):
        def v(recipe):
            return self.value[target, seed, recipe]

        if method == "distill_random_selection":
            return sum(self.singles(target, seed)) / len(SOURCES)
        if method == "distill_nearest":
            return v(f"distill_single-{self.nearest[target, seed]}")
        if method == "distill_random_weights":
            return sum(v(f"distill_random_weights-draw{i}") for i in range(3)) / 3
        recipes = {
            "distill_equal": "distill_weighted-p0",
            "distill_weighted": "distill_weighted-p12",
            "distill_prototypes": "distill_prototypes-p12",
        }
        return v(recipes.get(method, method) if student == "mob" else f"{method}-{student}")


COMPUTE = pd.DataFrame({"student": ["b", "mob", "a"], "gmacs": [3.0, 0.5, 1.0], "parameters": 1})
TABLE1_ROWS = [("mob", method) for method in (*METHOD_ORDER[:9], "probe_labels")] + [
    (student, method)
    for student in ("a", "b")
    for method in ("in_transfer", "finetune_selected_source")
]


def table1(grid, **options):
    methods = methods_accuracy.method_accuracy(
        grid.accuracy, grid.nearest_table, targets=grid.targets, **options
    )
    return table1_accuracy(methods, COMPUTE)


@settings(max_examples=8)
@given(st.integers(0, 10**6))
def test_table1_against_loops(seed):
    grid = Grid(seed)
    means, errors = table1(grid)
    assert list(means.columns) == ["student", "gflops", "method", *grid.targets, "mean"]
    assert list(zip(means["student"], means["method"], strict=True)) == TABLE1_ROWS
    assert list(means["gflops"]) == [0.5] * 10 + [1.0] * 2 + [3.0] * 2
    for row, (student, method) in enumerate(TABLE1_ROWS):
        by_seed = []
        for s in grid.seeds:
            by_seed.append([grid.method(student, method, t, s) for t in grid.targets])
        columns = [*zip(*by_seed, strict=True), [sum(values) / 2 for values in by_seed]]
        for name, values in zip([*grid.targets, "mean"], columns, strict=True):
            mean = sum(values) / 3
            error = math.sqrt(sum((x - mean) ** 2 for x in values) / 2 / 3)
            assert means.loc[row, name] == pytest.approx(mean)
            assert errors.loc[row, name] == pytest.approx(error, abs=1e-9)


def ranks(values):
    return [sum(w < v for w in values) + (sum(w == v for w in values) + 1) / 2 for v in values]


def pearson(x, y):
    mx, my = sum(x) / len(x), sum(y) / len(y)
    cov = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True))
    return cov / math.sqrt(sum((a - mx) ** 2 for a in x) * sum((b - my) ** 2 for b in y))


def kendall(x, y):
    pairs = list(itertools.combinations(range(len(x)), 2))
    sign = [(np.sign(x[i] - x[j]), np.sign(y[i] - y[j])) for i, j in pairs]
    both = sum(a * b for a, b in sign)
    return both / math.sqrt(sum(a != 0 for a, _ in sign) * sum(b != 0 for _, b in sign))


def relative(grid, k, target, seed, scores):
    """The mean over all orders of the sources in which none is before one that scores higher."""
    values = grid.singles(target, seed)
    sums = [
        sum(values[i] for i in order[:k])
        for order in itertools.permutations(range(len(SOURCES)))
        if all(scores[i] >= scores[j] for i, j in itertools.pairwise(order))
    ]
    return 100 * sum(sums) / len(sums) / sum(sorted(values)[-k:])


@settings(max_examples=8)
@given(st.integers(0, 10**6))
def test_tables_2_and_3_against_loops(seed):
    grid = Grid(seed)
    spearman = correlation.table2_correlation(grid.accuracy, grid.similarity)
    others = correlation.table2_other_coefficients(grid.accuracy, grid.similarity)
    by_name = dict(list(others.groupby("coefficient")))
    assert set(by_name) == {"kendall", "pearson", "weighted_tau"}
    relatives = relative_accuracy.table3_other_k(grid.accuracy, grid.similarity, [1, 3])
    checks = [
        (spearman, lambda x, y, t, s: pearson(ranks(x), ranks(y))),
        (by_name["pearson"], lambda x, y, t, s: pearson(x, y)),
        (by_name["kendall"], lambda x, y, t, s: kendall(x, y)),
        (relatives[relatives["k"] == 1], lambda x, y, t, s: relative(grid, 1, t, s, x)),
        (relatives[relatives["k"] == 3], lambda x, y, t, s: relative(grid, 3, t, s, x)),
    ]
    for table, statistic in checks:
        assert list(zip(table["representation"], table["metric"], strict=True)) == KINDS
        for _, row in table.iterrows():
            kind = (row["representation"], row["metric"])
            means = []
            for t in grid.targets:
                values = []
                for s in grid.seeds:
                    scores = [grid.score[(t, s, source, *kind)] for source in SOURCES]
                    values.append(statistic(scores, grid.singles(t, s), t, s))
                means.append(sum(values) / len(values))
                assert row[t] == pytest.approx(means[-1])
            assert row["mean"] == pytest.approx(sum(means) / len(means))


def test_nearest_is_a_single_where_there_is_one_and_pinf_where_not():
    grid = Grid(1, without_singles=["t2"])
    nearest = methods_accuracy.nearest_students(grid.accuracy, grid.nearest_table)
    assert len(nearest) == len(grid.targets) * len(grid.seeds)  # never both
    for _, row in nearest.iterrows():
        source = grid.nearest[row["target"], row["seed"]]
        recipe = f"distill_single-{source}" if row["target"] == "t1" else "distill_weighted-pinf"
        assert row["recipe"] == recipe
        assert row["accuracy"] == grid.value[row["target"], row["seed"], recipe]
    assert set(methods_accuracy.nearest_students(grid.accuracy, None)["recipe"]) == {
        "distill_weighted-pinf"
    }


@pytest.mark.parametrize("method", ["distill_single", "distill_weighted"])
def test_a_run_without_single_sources_or_without_weights_has_its_other_methods(method):
    grid = Grid(8)
    without = grid.accuracy[grid.accuracy["method"] != method]
    all_methods = methods_accuracy.method_accuracy(grid.accuracy, grid.nearest_table)
    methods = methods_accuracy.method_accuracy(without, grid.nearest_table)
    gone = {
        "distill_single": {"distill_random_selection"},
        "distill_weighted": {"distill_weighted", "distill_equal"},
    }[method]
    assert set(all_methods["method"]) - set(methods["method"]) == gone
    nearest = methods[methods["method"] == "distill_nearest"].set_index(["target", "seed"])
    for (target, seed), source in grid.nearest.items():
        recipe = f"distill_single-{source}"
        recipe = "distill_weighted-pinf" if method == "distill_single" else recipe
        assert nearest.at[(target, seed), "accuracy"] == grid.value[target, seed, recipe]


def test_a_source_architecture_as_student_has_each_baseline_once():
    grid = Grid(2)
    accuracy = grid.accuracy.assign(student=grid.accuracy["student"].replace("mob", "a"))
    methods = methods_accuracy.method_accuracy(accuracy, grid.nearest_table)
    rows = methods[(methods["student"] == "a") & (methods["method"] == "in_transfer")]
    assert sorted(rows["accuracy"]) == sorted(
        grid.value[t, s, "in_transfer"] for t in grid.targets for s in grid.seeds
    )
    effect_of_p(accuracy, grid.nearest_table)


def test_missing_cells_are_named_or_left_empty():
    grid = Grid(4)
    accuracy = grid.accuracy
    gone = (accuracy["method"] == "in_fixmatch") & (accuracy["target"] == "t2")
    grid.accuracy = accuracy[~gone]
    with pytest.raises(ValueError, match=r"in_fixmatch has no result for 't2' seed 0, 't2' seed 1"):
        table1(grid)
    means, errors = table1(grid, partial=True)
    row = means[means["method"] == "in_fixmatch"].iloc[0]
    assert math.isnan(row["t2"]) and math.isnan(row["mean"]) and not math.isnan(row["t1"])
    assert math.isnan(errors.loc[means["method"] == "in_fixmatch", "mean"].item())
    # A method that was run nowhere is absent, not an error.
    grid.accuracy = accuracy[accuracy["method"] != "in_fixmatch"]
    assert "in_fixmatch" not in set(table1(grid)[0]["method"])
    # A mean over other singles in another seed is another quantity.
    one = (accuracy["recipe"] == "distill_single-b_x") & (accuracy["seed"] == 1)
    grid.accuracy = accuracy[~(one & (accuracy["target"] == "t1"))]
    with pytest.raises(ValueError, match=r"source b_x has no result for 't1' seed 1"):
        table1(grid)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: pd.concat([a, a.iloc[:1]]), "is there twice"),
        (lambda a: a.assign(accuracy=NAN), "has no accuracy"),
        (lambda a: a.assign(p=NAN), "has no p"),
        (lambda a: a.assign(source=None), "has no source"),
        (lambda a: a.drop(columns="seed"), r"lacks the columns \['seed'\]"),
        (lambda a: a.replace({"target": {"t1": "mean"}}), "cannot be called"),
        (lambda a: a.replace({"method": {"in_fixmatch": "distill_equal"}}), "two results"),
    ],
)
def test_faulty_students(change, message):
    grid = Grid(5)
    with pytest.raises(ValueError, match=message):
        methods_accuracy.method_accuracy(change(grid.accuracy), grid.nearest_table)


@pytest.mark.parametrize(
    ("table", "column", "cells", "message"),
    [
        ("similarity", "score", {"seed": 1, "metric": "parc"}, "'t2', seed 1, parc of features"),
        ("accuracy", "accuracy", {"seed": 1}, "'t2', seed 1, cka of pseudo_labels"),
    ],
)
def test_equal_scores_or_accuracies_have_no_correlation(table, column, cells, message, caplog):
    grid = Grid(7)
    inputs = {"accuracy": grid.accuracy, "similarity": grid.similarity}
    before = correlation.table2_correlation(**inputs)
    flat = inputs[table].copy()
    chosen = (flat[["target", *cells]] == {"target": "t2", **cells}).all(axis=1)
    flat.loc[chosen, column] = 0.25
    inputs[table] = flat
    after = correlation.table2_correlation(**inputs)
    what = "accuracies" if table == "accuracy" else "scores"
    assert f"target {message}: all {what} are 0.25: no correlation" in caplog.text
    gone = (before["metric"] == "parc") if table == "similarity" else before["t2"].notna()
    assert after["t2"].isna().tolist() == after["mean"].isna().tolist() == gone.tolist()
    pd.testing.assert_frame_equal(after[~gone], before[~gone])
    pd.testing.assert_series_equal(after["t1"], before["t1"])
    intervals = source_bootstrap.table2_intervals(**inputs, n_resamples=50)
    intervals = intervals[intervals["metric"] == "parc"].set_index("target")
    assert intervals.isna()[["low", "estimate", "high"]].all(axis=1).to_dict() == {
        "t1": False, "t2": True, "mean": True,
    }  # fmt: skip
    others = correlation.table2_other_coefficients(**inputs)
    assert others["t2"].isna().tolist() == 3 * gone.tolist()


def test_faulty_scores():
    grid = Grid(6)
    a, s = grid.accuracy, grid.similarity
    parc = (s["target"] == "t2") & (s["metric"] == "parc")
    constant = s.assign(score=s["score"].mask(parc, 0.25))
    relative_accuracy.table3_relative_accuracy(a, constant)  # no order is one too
    with pytest.raises(ValueError, match=r"no finite score .*'t2'.*'b_x'"):
        correlation.table2_correlation(a, s[~(parc & (s["source"] == "b_x"))])
    with pytest.raises(ValueError, match="two scores"):
        correlation.table2_correlation(a, pd.concat([s, s.iloc[:1]]))
    with pytest.raises(ValueError, match="5 sources, at least 6 needed"):
        relative_accuracy.table3_relative_accuracy(a, s, k=6)
    with pytest.raises(ValueError, match="lacks \\['a'\\]"):
        table1_accuracy(methods_accuracy.method_accuracy(a, grid.nearest_table), COMPUTE.iloc[:2])


def test_methods_may_have_different_seeds_but_each_the_same_for_every_target():
    grid = Grid(3)
    accuracy = grid.accuracy
    fewer = accuracy[~((accuracy["method"] == "distill_single") & (accuracy["seed"] == 1))]
    methods = methods_accuracy.method_accuracy(fewer, grid.nearest_table)
    seeds = methods.groupby("method")["seed"].agg(lambda s: sorted(set(s)))
    assert seeds["distill_random_selection"] == [0, 2] and seeds["in_transfer"] == [0, 1, 2]
    # Of one target alone, it would be a mean of unlike cells.
    one = (accuracy["method"] == "in_transfer") & (accuracy["seed"] == 1)
    with pytest.raises(ValueError, match=r"in_transfer has no result for 't1' seed 1"):
        methods_accuracy.method_accuracy(
            accuracy[~(one & (accuracy["target"] == "t1"))], grid.nearest_table
        )


def test_the_oracle_takes_the_source_that_is_best_over_all_seeds():
    grid = Grid(5)
    plain = methods_accuracy.method_accuracy(grid.accuracy, grid.nearest_table)
    assert "oracle_selection" not in set(plain["method"])
    methods = methods_accuracy.method_accuracy(grid.accuracy, grid.nearest_table, oracle=True)
    rows = methods[methods["method"] == "oracle_selection"].set_index(["target", "seed"])
    singles = grid.accuracy[grid.accuracy["method"] == "distill_single"]
    for target in grid.targets:
        of_target = singles[singles["target"] == target]
        means = {
            source: np.mean([grid.value[target, s, f"distill_single-{source}"] for s in grid.seeds])
            for source in set(of_target["source"])
        }
        best = max(means, key=means.__getitem__)
        for seed in grid.seeds:
            expected = grid.value[target, seed, f"distill_single-{best}"]
            assert rows.at[(target, seed), "accuracy"] == expected
