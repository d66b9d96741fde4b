"""Intervals of Table 2 over tasks and architectures: against loops, and how often they cover."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from distillweighted.analysis.source_bootstrap import (
    draw_sources,
    repeated_spearman,
    table2_differences,
    table2_intervals,
)
from distillweighted.analysis.statistics import centred_interval, percentile_interval

NAN = float("nan")
ARCHITECTURES, TASKS = ["a", "b", "c", "d"], ["t", "u", "v", "w", "x", "y", "z"]


def grid(architectures=ARCHITECTURES, tasks=TASKS):
    pairs = itertools.product(architectures, tasks)
    rows = [(f"{a}_{t}", a, t) for a, t in pairs]
    return pd.DataFrame(rows, columns=["source", "architecture", "task"])


def tables(scores, accuracies, names):
    """Students and scores of {metric: {(target, seed): [s]}} and {(target, seed): [s]}."""
    rows, similarity = [], []
    for (target, seed), values in accuracies.items():
        for name, value in zip(names, values, strict=True):
            recipe = f"distill_single-{name}"
            rows.append((target, recipe, "distill_single", NAN, name, seed, "mob", value, value))
    for metric, cells in scores.items():
        for (target, seed), values in cells.items():
            for name, value in zip(names, values, strict=True):
                similarity.append((target, seed, name, "features", metric, value))
    columns = ["target", "recipe", "method", "p", "source", "seed", "student"]
    accuracy = pd.DataFrame(rows, columns=[*columns, "accuracy", "balanced_accuracy"])
    columns = ["target", "seed", "source", "representation", "metric", "score"]
    return accuracy, pd.DataFrame(similarity, columns=columns)


def test_a_source_counts_as_its_task_times_its_architecture():
    sources = grid()
    counts = draw_sources(sources, 5000, seed=3)
    table = counts.reshape(5000, 4, 7).astype(int)
    # An outer product: every pair of rows is proportional.
    for i, j in itertools.combinations(range(4), 2):
        left = table[:, i, :, None] * table[:, j, None, :]
        assert (left == left.transpose(0, 2, 1)).all()
    assert (counts.sum(axis=1) == 4 * 7).all()  # seven tasks drawn times four architectures
    assert counts.mean(axis=0) == pytest.approx(np.ones(28), abs=0.12)
    # Var(count) = E[T^2] E[A^2] - 1 of two multinomial counts: (2 - 1/7) (2 - 1/4) - 1.
    assert counts.var(axis=0).mean() == pytest.approx((2 - 1 / 7) * (2 - 1 / 4) - 1, rel=0.05)
    # The order of the rows, and so that of a table of sources, does not matter.
    order = np.random.default_rng(0).permutation(28)
    again = draw_sources(sources.iloc[order], 5000, seed=3)
    np.testing.assert_array_equal(again, counts[:, order])


@pytest.mark.parametrize(
    "sources",
    [
        grid(["a"], TASKS),
        grid(ARCHITECTURES, ["t"]),
        grid().assign(task=""),
        grid().assign(architecture=NAN),
        grid(ARCHITECTURES, ["t"]).assign(task=["t", "u", "v", "w"]),  # all alone in both
    ],
    ids=["one architecture", "one task", "no task", "no architecture", "nothing shared"],
)
def test_without_two_ways_of_being_alike_it_is_the_ordinary_bootstrap(sources):
    n = len(sources)
    counts = draw_sources(sources, 20_000, seed=0).astype(int)
    assert (counts.sum(axis=1) == n).all()
    assert counts.var(axis=0).mean() == pytest.approx(1 - 1 / n, rel=0.03)
    # Multinomial: any two are negatively correlated, none more than others.
    covariance = np.cov(counts.T)[np.triu_indices(n, 1)]
    assert covariance == pytest.approx(np.full(len(covariance), -1 / n), abs=0.03)


def test_models_of_ones_own_are_clusters_of_their_own_beside_a_grid():
    own = pd.DataFrame({"source": ["mine", "t"], "architecture": ["a", "a"], "task": ["", NAN]})
    counts = draw_sources(pd.concat([grid(), own]), 20_000, seed=0).astype(int)
    # Drawn once, among the tasks, and not with the other sources of their architecture.
    assert counts[:, 28:].var(axis=0) == pytest.approx(np.full(2, 1 - 1 / 9), rel=0.04)
    assert (counts[:, 28] != counts[:, 29]).any() and (counts[:, 29] != counts[:, 0]).any()
    few = counts[:, :7].sum(axis=1) == 0  # architecture "a" is not in the sample
    assert few.any() and counts[few][:, 28].max() > 0


def test_two_architectures_with_tasks_of_their_own_are_drawn_too():
    sources = pd.DataFrame({"source": list("pqrstu"), "architecture": list("aaabbb")})
    counts = draw_sources(sources.assign(task=list("ghijkl")), 20_000, seed=0)
    one = (counts[:, :3] == 0).all(axis=1) | (counts[:, 3:] == 0).all(axis=1)
    assert one.mean() > 0.5  # half of the draws have one architecture only
    same = draw_sources(sources.assign(task=list("gggjjj")), 20_000, seed=0).astype(int)
    assert set(map(tuple, same)) == {(2, 2, 2, 0, 0, 0), (1,) * 6, (0, 0, 0, 2, 2, 2)}


def test_spearman_of_repeated_pairs_is_that_of_the_pairs_written_out():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 5, 12).astype(float), rng.normal(size=12)
    counts = rng.poisson(1.0, size=(5000, 12))
    counts[7] = 0
    counts[8] = np.eye(12)[3] * 4
    values = repeated_spearman(counts, x, y)
    assert np.isnan(values[[7, 8]]).all()
    for row in [*range(7), *range(9, 40), 4999]:
        often = counts[row]
        expected = stats.spearmanr(np.repeat(x, often), np.repeat(y, often)).statistic
        assert values[row] == pytest.approx(expected, abs=1e-12)
    assert (repeated_spearman(counts[:3], y, 7 * y + 1) == 1).all()


def slow_intervals(scores, accuracies, sources, of, n, seed, centred):
    """Intervals in plain loops: pairs are written out as often as they were drawn."""
    counts = dict(zip(sources["source"], draw_sources(sources, n, seed).T, strict=True))
    names = list(counts)

    def rho(metric, target, often):
        values = []
        for (t, s), y in accuracies.items():
            if t == target:
                pairs = zip(scores[metric][t, s], y, often, strict=True)
                drawn = [(a, b) for a, b, k in pairs for _ in range(k)]
                columns = list(zip(*drawn, strict=True)) or [(0,), (0,)]
                flat = any(len(set(column)) == 1 for column in columns)
                values.append(NAN if flat else stats.spearmanr(*columns).statistic)
        return sum(values) / len(values)

    targets = list(dict.fromkeys(t for t, _ in accuracies))
    found = {}
    ones = [1] * len(names)
    draws = [[of(rho, t, [counts[s][i] for s in names]) for t in targets] for i in range(n)]
    estimates = [of(rho, t, ones) for t in targets]
    columns = {t: [row[place] for row in draws] for place, t in enumerate(targets)}
    columns["mean"] = [sum(row) / len(row) for row in draws]
    for name, values in columns.items():
        known = sorted(v for v in values if v == v)
        estimate = estimates[targets.index(name)] if name in targets else np.mean(estimates)
        low, middle, high = np.percentile(known, [2.5, 50, 97.5])
        ends = [min(low, estimate), max(high, estimate)]
        if centred:
            ends = [max(-1, min(1, end + estimate - middle)) for end in (low, high)]
        found[name] = (ends[0], estimate, ends[1])
    return found


def test_intervals_and_differences_against_loops():
    rng = np.random.default_rng(5)
    sources = grid(["a", "b"], ["t", "u", "v"]).sort_values("source", ignore_index=True)
    cells = [("one", 0), ("one", 1), ("two", 0), ("two", 1)]
    accuracies = {cell: rng.normal(50, 5, 6).round(1) for cell in cells}
    scores = {
        metric: {cell: rng.integers(0, 4, 6) / 4 + accuracies[cell] / 50 for cell in cells}
        for metric in ("cka", "parc")
    }
    accuracy, similarity = tables(scores, accuracies, sources["source"])
    options = {"n_resamples": 60, "seed": 4}
    shuffled = sources.sample(frac=1, random_state=0)
    intervals = table2_intervals(accuracy, similarity, shuffled, **options)
    assert list(intervals["target"]) == 2 * ["one", "two", "mean"]
    for metric, rows in intervals.groupby("metric"):
        expected = slow_intervals(
            scores, accuracies, sources, lambda rho, t, k, m=metric: rho(m, t, k), 60, 4, True
        )
        for row in rows.itertuples():
            assert (row.low, row.estimate, row.high) == pytest.approx(expected[row.target])
    differences = table2_differences(accuracy, similarity, shuffled, **options)
    assert set(differences["metric"]) == {"cka"}
    expected = slow_intervals(
        scores, accuracies, sources,
        lambda rho, t, k: rho("cka", t, k) - rho("parc", t, k), 60, 4, False,
    )  # fmt: skip
    for row in differences.itertuples():
        assert (row.low, row.estimate, row.high) == pytest.approx(expected[row.target])
    with pytest.raises(ValueError, match="no rsa of features"):
        table2_differences(accuracy, similarity, sources, reference=("features", "rsa"))
    with pytest.raises(ValueError, match=r"lacks \['b_v'\]"):
        table2_intervals(accuracy, similarity, sources[sources["source"] != "b_v"])


def test_the_draws_do_not_depend_on_which_targets_and_metrics_there_are():
    rng = np.random.default_rng(1)
    sources = grid()
    accuracies = {(t, 0): rng.normal(50, 5, 28) for t in ("one", "two")}
    scores = {m: {c: y + rng.normal(0, 5, 28) for c, y in accuracies.items()} for m in "pq"}
    accuracy, similarity = tables(scores, accuracies, sources["source"])
    every = table2_intervals(accuracy, similarity, sources).set_index(["metric", "target"])
    alone = similarity[similarity["metric"] == "q"]
    for target in ("one", "two"):
        rows = table2_intervals(accuracy[accuracy["target"] == target], alone, sources)
        assert rows.iloc[0, 3:].tolist() == every.loc[("q", target)].tolist()[1:]
        # The mean of one target is that target.
        assert rows.iloc[1, 3:].tolist() == rows.iloc[0, 3:].tolist()


def test_a_difference_is_known_better_than_either_of_its_sides():
    rng = np.random.default_rng(2)
    sources = grid()
    accuracies = {("t", 0): rng.normal(50, 5, 28)}
    x = accuracies["t", 0] + rng.normal(0, 5, 28)
    scores = {"parc": x, "again": 2 * x, "near": x + rng.normal(0, 1, 28), "against": -x}
    accuracy, similarity = tables(
        {name: {("t", 0): score} for name, score in scores.items()}, accuracies, sources["source"]
    )
    rows = table2_differences(accuracy, similarity, sources).set_index(["metric", "target"])
    assert rows.loc[("again", "t"), ["low", "estimate", "high"]].tolist() == [0, 0, 0]
    near = rows.loc[("near", "t")]
    assert near["low"] < 0 < near["high"]
    both = table2_intervals(accuracy, similarity, sources).set_index(["metric", "target"])
    widths = (both["high"] - both["low"]).loc[:, "t"]
    assert near["high"] - near["low"] < widths[["parc", "near"]].min() / 2
    # Every sample has minus twice the correlation of parc, and so has the whole.
    against = rows.loc[("against", "t")]
    assert against["estimate"] == pytest.approx(-2 * both.loc[("parc", "t"), "estimate"])
    assert against["high"] - against["low"] == pytest.approx(2 * widths["parc"], rel=0.1)


def test_intervals_of_perfect_and_of_constant_scores():
    sources = grid()
    y = np.arange(28.0)
    accuracy, similarity = tables(
        {"parc": {("t", 0): y / 100}, "flat": {("t", 0): 0 * y}}, {("t", 0): y}, sources["source"]
    )
    table = table2_intervals(accuracy, similarity, sources, n_resamples=200).set_index("metric")
    np.testing.assert_allclose(table.loc["parc", ["low", "estimate", "high"]], 1)
    assert table.loc["flat", ["low", "estimate", "high"]].isna().all(axis=None)
    gone = table2_differences(accuracy, similarity, sources, n_resamples=200)
    assert gone[["low", "estimate", "high"]].isna().all(axis=None)
    fewer = accuracy[accuracy["source"] != "a_t"].assign(seed=1)
    with pytest.raises(ValueError, match="'t', seed 1: not the sources of other seeds"):
        table2_intervals(
            pd.concat([accuracy, fewer]), pd.concat([similarity, similarity.assign(seed=1)]), None
        )


def test_the_ends_are_the_percentiles_around_the_estimate():
    draws = np.array([0.0, 0.1, 0.2, 0.3, 0.4, NAN])
    assert centred_interval(draws, 0.5, 0.5) == pytest.approx((0.4, 0.6))
    assert centred_interval(draws, 0.95, 0.5, bound=1) == pytest.approx((0.85, 1))
    assert percentile_interval(draws, 0.2, 0.5) == pytest.approx((0.1, 0.3))
    assert percentile_interval(draws, 0.9, 0.5) == pytest.approx((0.1, 0.9))
    for interval in (centred_interval, percentile_interval):
        assert np.isnan(interval(draws * NAN, 0.5, 0.95)).all()
        assert np.isnan(interval(draws, NAN, 0.95)).all()


def test_intervals_shrink_with_more_sources():
    rng = np.random.default_rng(0)
    widths = []
    for n in (10, 200):
        names = [f"s{i}" for i in range(n)]
        score = rng.normal(size=n)
        accuracy, similarity = tables(
            {"parc": {("t", 0): score}}, {("t", 0): 50 + score + rng.normal(size=n)}, names
        )
        rows = table2_intervals(accuracy, similarity)
        again = table2_intervals(accuracy, similarity.iloc[::-1])
        pd.testing.assert_frame_equal(rows, again)  # seeded, and not by row order
        row = rows.iloc[0]
        assert row["low"] < row["estimate"] < row["high"]
        widths.append(row["high"] - row["low"])
    assert widths[1] < widths[0] / 2
    # Fisher's z: 0.71 (the truth) is known to about 1.96 * 1.06 / sqrt(197) * (1 - 0.71^2).
    assert widths[1] == pytest.approx(2 * 0.074, rel=0.4)


# --- How often the intervals cover -----------------------------------------------------------
# Scores and accuracies of 4 architectures x 7 tasks are sums of normal effects of the task, of the
# architecture and of the pair, whose variances are the shares. Each effect of a score correlates
# with the same effect of the accuracy by r, and so do the sums: over new tasks and architectures
# the two are bivariate normal with correlation r, whose Spearman correlation is 6/pi asin(r/2).

SHARES = [(0, 0, 1), (0.5, 0.1, 0.4), (0.8, 0.1, 0.1)]


def effects(rng, n, shares):
    """Normal [n, 28] in the order of `grid`."""
    task, architecture, rest = np.sqrt(shares)
    parts = task * rng.normal(size=(n, 1, 7)) + architecture * rng.normal(size=(n, 4, 1))
    return (parts + rest * rng.normal(size=(n, 4, 7))).reshape(n, 28)


def correlated(r, x, other):
    return r * x + np.sqrt(1 - r**2) * other


def rho_of(r):
    return 6 / np.pi * np.arcsin(r / 2)


def coverage(shares, r, repetitions, sources, *, n_resamples, seed=0):
    """Of single targets, and of the difference to a metric with half of r: two shares.

    Every repetition is a target of one table, with data of its own.
    """
    rng = np.random.default_rng(seed)
    y = effects(rng, repetitions, shares)
    good = correlated(r, y, effects(rng, repetitions, shares))
    poor = correlated(r / 2, y, effects(rng, repetitions, shares))
    cells = [(f"t{i}", 0) for i in range(repetitions)]
    scores = {"parc": good, "poor": poor}
    inputs = tables(
        {name: dict(zip(cells, x, strict=True)) for name, x in scores.items()},
        dict(zip(cells, 50 + y, strict=True)),
        grid()["source"],
    )
    options = {"n_resamples": n_resamples, "seed": seed}
    rows = table2_intervals(*inputs, sources, **options)
    rows = rows[(rows["metric"] == "parc") & (rows["target"] != "mean")]
    truth = rho_of(r)
    differences = table2_differences(*inputs, sources, **options)
    differences = differences[differences["target"] != "mean"]
    less = rho_of(r / 2) - truth
    return tuple(
        ((table["low"] <= value) & (value <= table["high"])).mean()
        for table, value in ((rows, truth), (differences, less))
    )


def coverage_of_mean(shares, r, repetitions, sources, *, n_resamples, common=0.5, seed=0):
    """Of the mean over eight targets; `common` is the part of the variance that they share."""
    rng = np.random.default_rng(seed)
    cells = [(f"t{i}", 0) for i in range(8)]
    inside = 0
    for number in range(repetitions):
        shared = [np.sqrt(common) * effects(rng, 1, shares) for _ in range(2)]
        y, other = (part + np.sqrt(1 - common) * effects(rng, 8, shares) for part in shared)
        inputs = tables(
            {"parc": dict(zip(cells, correlated(r, y, other), strict=True))},
            dict(zip(cells, 50 + y, strict=True)),
            grid()["source"],
        )
        rows = table2_intervals(*inputs, sources, n_resamples=n_resamples, seed=number)
        row = rows.iloc[-1]
        inside += row["low"] <= rho_of(r) <= row["high"]
    return inside / repetitions


@pytest.mark.parametrize("r", [0, 0.7])
@pytest.mark.parametrize("shares", SHARES)
def test_intervals_cover(shares, r):
    # Binomial: of 50 intervals at 0.95, 43 or fewer cover in 4% of the cases.
    assert min(coverage(shares, r, 50, grid(), n_resamples=200)) >= 0.88


def test_intervals_that_take_sources_for_independent_do_not_cover():
    of_target, of_difference = coverage((0.8, 0.1, 0.1), 0.7, 50, None, n_resamples=200)
    assert of_target < 0.85 and of_difference < 0.9


def test_the_interval_of_the_mean_covers():
    assert coverage_of_mean((0.5, 0.1, 0.4), 0.7, 25, grid(), n_resamples=200) >= 0.88


@pytest.mark.slow
@pytest.mark.parametrize("r", [0, 0.7])
@pytest.mark.parametrize("shares", SHARES)
def test_intervals_cover_in_many_repetitions(shares, r):
    found = coverage(shares, r, 600, grid(), n_resamples=500, seed=1)
    mean, alone = (
        coverage_of_mean(shares, r, 200, grid(), n_resamples=500, common=common)
        for common in (0.5, 0)
    )
    text = f"target {found[0]:.3f}, difference {found[1]:.3f}"
    print(f"{shares} {r}: {text}, mean {mean:.3f}, of targets with nothing in common {alone:.3f}")
    assert min(found) >= 0.93 and min(mean, alone) >= 0.91
