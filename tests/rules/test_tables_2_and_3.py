"""Rules table2_correlation and table3_relative_accuracy, and what reads their tables."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest

import comparison_with_paper
import fig3_single_source
import fig4_similarity_vs_accuracy
import table2_correlation
import table3_relative_accuracy

ARCHITECTURES = {"alexnet": 0.7, "resnet18": 1.8}
TASKS = ["nabird", "voc2007", "caltech101"]
DATA_FREE = ["macs", "other_targets", "parameters", "source_accuracy"]
TABLE2 = ("correlation", "intervals", "differences", "others", "ceiling")


@pytest.fixture
def world(tmp_path):
    """Two of the paper's targets, six sources, two seeds; their students follow PARC closely."""
    rng = np.random.default_rng(0)
    metas, students, scores = [], [], []
    for (architecture, macs), task in itertools.product(ARCHITECTURES.items(), TASKS):
        name = f"{architecture}_{task}"
        facts = {"source": name, "architecture": architecture, "task": task, "gmacs": macs}
        facts |= {"parameters": int(61e6 - 20e6 * macs), "test_accuracy": rng.uniform(50, 90)}
        metas.append(tmp_path / f"{name}.json")
        metas[-1].write_text(json.dumps(facts))
        for target, seed in itertools.product(("cub200", "eurosat"), (0, 1)):
            score = rng.uniform()
            y = 50 + 10 * score + rng.normal()
            row = (target, f"distill_single-{name}", "distill_single", None, name, seed, "m", y, y)
            students.append(row)
            for metric, value in (("parc", score), ("cka", rng.uniform())):
                scores.append((target, seed, name, "features", metric, value))
    columns = ["target", "recipe", "method", "p", "source", "seed", "student"]
    students += [(t, "in_transfer", "in_transfer", None, None, s, "m", 50, 50)
                 for t in ("cub200", "eurosat") for s in (0, 1)]  # fmt: skip
    table = pd.DataFrame(students, columns=[*columns, "accuracy", "balanced_accuracy"])
    table.to_csv(tmp_path / "accuracy.csv", index=False)
    columns = ["target", "seed", "source", "representation", "metric", "score"]
    pd.DataFrame(scores, columns=columns).to_csv(tmp_path / "similarity.csv", index=False)
    best = table[table["method"] == "distill_single"].drop_duplicates(["target", "seed"])
    best[["target", "seed", "source"]].to_csv(tmp_path / "nearest.csv", index=False)
    return tmp_path, metas


def make_table2(folder, metas):
    outputs = {name: folder / f"table2_{name}.csv" for name in TABLE2}
    table2_correlation.main(
        folder / "accuracy.csv", folder / "similarity.csv", metas, outputs,
        reference=("features", "parc"), bootstrap=50, caption="a run",
    )  # fmt: skip
    return {name: pd.read_csv(path) for name, path in outputs.items()}


def test_table2_with_rankings_without_data(world):
    folder, metas = world
    tables = make_table2(folder, metas)
    table = tables["correlation"].set_index(["representation", "metric"])
    assert list(table.columns) == ["cub200", "eurosat", "mean"]
    metrics = [("features", "cka"), ("features", "parc")]
    assert list(table.index) == [*metrics, *(("data_free", name) for name in DATA_FREE)]
    assert table.loc[("features", "parc"), "mean"] > 0.8
    # The two go in opposite directions here.
    np.testing.assert_allclose(
        table.loc[("data_free", "macs")], -table.loc[("data_free", "parameters")]
    )
    others = tables["others"]
    assert len(others) == 3 * 6
    intervals = tables["intervals"].set_index(["representation", "metric", "target"])
    differences = tables["differences"].set_index(["representation", "metric", "target"])
    assert len(intervals) == 6 * 3 and len(differences) == 5 * 3
    assert ("features", "parc") not in {key[:2] for key in differences.index}
    for (representation, metric), row in table.iterrows():
        for target, value in row.items():
            assert intervals.loc[(representation, metric, target), "estimate"] == value
            if metric != "parc":
                found = differences.loc[(representation, metric, target), "estimate"]
                less = table.loc[("features", "parc"), target]
                assert found == pytest.approx(value - less)
    assert tables["ceiling"]["quantity"].tolist() == [
        *("between_seeds", "ceiling_one_seed", "ceiling_mean")
    ]
    text = (folder / "table2_differences.md").read_text()
    assert text.startswith("Minus parc of the features. a run\n")
    assert (folder / "table2_ceiling.tex").exists()


def test_table3_with_chance_and_regret(world):
    folder, metas = world
    names = ("relative", "other_k", "regret")
    outputs = {name: folder / f"table3_{name}.csv" for name in names}
    table3_relative_accuracy.main(
        folder / "accuracy.csv", folder / "similarity.csv", metas, outputs,
        k=3, other_k=[1, 2], caption="a run",
    )  # fmt: skip
    tables = {name: pd.read_csv(path) for name, path in outputs.items()}
    assert list(tables["relative"]["metric"]) == ["cka", "parc", *DATA_FREE, "random"]
    accuracy = pd.read_csv(folder / "accuracy.csv")
    singles = accuracy[(accuracy["method"] == "distill_single") & (accuracy["target"] == "cub200")]
    chance = [100 * y.mean() / y.nlargest(3).mean() for _, y in singles.groupby("seed")["accuracy"]]
    row = tables["relative"].set_index("metric").loc["random"]
    assert row["cub200"] == pytest.approx(np.mean(chance))
    assert row["cub200"] < tables["relative"].set_index("metric").loc["parc", "cub200"] <= 100
    assert list(tables["other_k"]["k"]) == 7 * [1] + 7 * [2]
    regret = tables["regret"].set_index(["k", "metric"])["mean"].unstack()
    assert list(regret.index) == [1, 3, 5] and (regret >= 0).all(axis=None)
    # More students lose less, whatever ranks them.
    assert (regret.diff().iloc[1:] <= 1e-9).all(axis=None)
    assert regret.loc[1, "parc"] < regret.loc[1, "random"]


def test_sources_of_ones_own_of_which_little_is_known_make_fewer_rows(world):
    folder, metas = world
    for path in metas:
        facts = json.loads(path.read_text())
        facts |= {"task": "", "gmacs": None, "parameters": None, "test_accuracy": None}
        path.write_text(json.dumps(facts))
    tables = make_table2(folder, metas)
    assert list(tables["correlation"]["metric"]) == ["cka", "parc", "other_targets"]
    assert tables["intervals"].notna().all(axis=None)
    for name in ("accuracy", "similarity"):
        table = pd.read_csv(folder / f"{name}.csv")
        table[table["target"] == "cub200"].to_csv(folder / f"{name}.csv", index=False)
    tables = make_table2(folder, metas)
    assert list(tables["correlation"]["metric"]) == ["cka", "parc"]
    assert list(tables["differences"]["target"]) == ["cub200", "mean"]


def test_figures_and_the_comparison_take_the_papers_rows_alone(world):
    folder, metas = world
    make_table2(folder, metas)
    tables = {name: folder / f"{name}.csv" for name in ("accuracy", "similarity", "nearest")}
    tables["table2"] = folder / "table2_correlation.csv"
    picked = {"metric": "parc", "representation": "features"}
    fig3_single_source.main(tables, folder / "fig3", **picked, default_p=12)
    sources = [
        {key: facts[key] for key in ("source", "architecture", "task")}
        for facts in map(json.loads, (path.read_text() for path in metas))
    ]
    fig4_similarity_vs_accuracy.main(tables, folder / "fig4", **picked, sources=sources)
    assert (folder / "fig3.png").stat().st_size and (folder / "fig4.pdf").stat().st_size
    own = {"table2": tables["table2"]}
    comparison_with_paper.main(own, folder / "comparison.csv", folder / "paired.csv")
    comparison = pd.read_csv(folder / "comparison.csv")
    assert set(comparison["representation"]) == {"features"}
    assert sorted(comparison["metric"]) == ["cka", "cka", "parc", "parc"]
