"""The ranking of sources: intervals, shares, the outlook, and what it says in words."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest

from distillweighted.similarity.jobs import RankingJob, ScoreJob
from distillweighted.similarity.metrics.parc import parc
from distillweighted.sources.outlook import accuracy_interval, forecast, outlook_of, sentences
from distillweighted.sources.outputs import save_inference
from distillweighted.sources.ranking import COLUMNS, Ranking, half_samples, rank_sources
from distillweighted.tasks.splits import SplitRows
from distillweighted.weights import similarity_weights


def test_halves_take_half_of_every_class_and_two_at_least() -> None:
    labels = np.repeat([0, 1, 2, 3], [10, 7, 3, 2])
    halves = half_samples(labels, 200, seed=0)
    counts = np.array([np.bincount(labels[half], minlength=4) for half in halves])
    assert (counts[:, 0] == 5).all() and set(counts[:, 1]) == {3, 4}
    assert (counts[:, 2:] == 2).all()
    assert all(len(set(half)) == len(half) for half in halves)
    assert counts[:, 1].mean() == pytest.approx(3.5, abs=0.15)
    # Where every image would be in each half, there is none.
    assert half_samples(np.repeat([0, 1], 2), 10, seed=0) == []


def test_the_interval_of_a_mean_covers_it() -> None:
    """The spread over half-samples is the standard error of a mean, here 1 / sqrt(n)."""
    rng = np.random.default_rng(0)
    covered, labels = 0, np.zeros(60, int)
    for trial in range(300):
        values = rng.normal(size=60)
        halves = half_samples(labels, 30, seed=trial)
        error = np.std([values[half].mean() for half in halves], ddof=1)
        covered += abs(values.mean()) < 1.96 * error
    # 95% less what 30 halves leave to chance.
    assert 0.90 < covered / 300 < 0.985


def test_the_interval_of_parc_covers_the_mean_score_of_probes() -> None:
    """Features of 10 classes, 20 images of each: a score is one draw around its mean."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 20)
    centres = rng.normal(0, 0.5, (10, 32))
    scores, errors = [], []
    for trial in range(60):
        features = centres[labels] + rng.normal(size=(200, 32))
        halves = half_samples(labels, 20, seed=trial)
        of_halves = [parc(features[half], labels[half]) for half in halves]
        scores.append(parc(features, labels))
        errors.append(np.std(of_halves, ddof=1))
    assert 0.1 < np.mean(scores) < 0.4
    # The true standard error is known to 9% here; the estimate is on the safe side.
    assert 0.9 < np.mean(errors) / np.std(scores, ddof=1) < 1.6
    covered = np.abs(np.array(scores) - np.mean(scores)) < 1.96 * np.array(errors)
    assert covered.mean() > 0.9


def make_ranking(
    tmp_path: Path,
    strengths: dict[str, float],
    start: str | None,
    *,
    per_class: int = 20,
    teach: tuple[str, ...] = (),
    weights: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    metrics: tuple[str, ...] = ("parc", "cka"),
) -> Ranking:
    """Sources whose features hold the class at these strengths; `teach` are sources though one is
    the start; `weights` are checksums that meta.json has beside its other facts."""
    rng = np.random.default_rng(0)
    labels = np.arange(4 * per_class) % 4
    inference, facts = {}, {}
    for name, strength in strengths.items():
        features = strength * np.eye(4)[labels] + rng.normal(0, 0.3, (len(labels), 4))
        logits = np.exp(features)
        outputs = {
            "features": features.astype(np.float32),
            "pseudo_labels": (logits / logits.sum(axis=1, keepdims=True)).astype(np.float32),
        }
        inference[name] = tmp_path / f"{name}.safetensors"
        save_inference(inference[name], outputs, {"source": name})
        facts[name] = tmp_path / f"{name}.json"
        known = {"gmacs": 2.0, "parameters": None, **weights.get(name, {})}
        facts[name].write_text(json.dumps(known))
    job = make_job([name for name in strengths if name != start or name in teach], start, metrics)
    rows = SplitRows(np.arange(len(labels)), labels, np.arange(0), np.arange(0))
    return rank_sources(job, rows, {name: inference[name] for name in job.models}, facts)


def make_job(
    sources: list[str], start: str | None, metrics: tuple[str, ...] = ("parc", "cka")
) -> RankingJob:
    """The first of the metrics selects."""
    scores = ScoreJob("t", 0, tuple(sources), 500, metrics, ("features", "pseudo_labels"))
    return RankingJob(scores, metrics[0], "features", start, 20)


def test_sources_are_ranked_by_what_their_features_tell(tmp_path: Path) -> None:
    ranking = make_ranking(
        tmp_path, {"blind": 0.0, "weak": 0.2, "strong": 0.8, "start": 0.1}, "start"
    )
    table = ranking.table
    assert table.columns.tolist() == COLUMNS and len(table) == 3 * 2 * 2
    first = table[(table["metric"] == "parc") & (table["representation"] == "features")]
    # The rows of the metric that selects come first.
    assert first.index.tolist() == [0, 1, 2]
    assert first["source"].tolist() == ["strong", "weak", "blind"]
    assert first["rank"].tolist() == [1, 2, 3]
    best = first.iloc[0]
    assert best["low"] < best["score"] < best["high"]
    assert 85 < best["linear_probe"] <= 100 and 80 < best["knn"] <= 100 and best["gmacs"] == 2
    assert math.isnan(best["parameters"])
    assert ranking.nearest_share == {"blind": 0, "strong": 1, "weak": 0}
    assert ranking.constant == ranking.guess == 25
    assert set(ranking.correct) == {"blind", "weak", "strong", "start"}
    said = " ".join(sentences(make_job(["blind", "strong", "weak"], "start"), ranking))
    assert "The source nearest to t is strong (the nearest in 100% of half-samples)." in said
    assert "on 80 labelled images" in said
    assert "ahead in 100% of half-samples), so distillation is likely to pay" in said
    assert "A constant answer reaches 25.0%, a guess 25.0%; with shuffled labels" in said
    assert "most accurate" not in said


def test_every_metric_names_its_nearest_source_and_what_chance_gives(tmp_path: Path) -> None:
    ranking = make_ranking(tmp_path, {"weak": 0.2, "strong": 0.8}, None)
    metrics = ranking.metrics
    assert list(zip(metrics["metric"], metrics["representation"], strict=True)) == [
        ("parc", "features"), ("parc", "pseudo_labels"), ("cka", "features"),
        ("cka", "pseudo_labels"),
    ]  # fmt: skip
    assert set(metrics["source"]) == {"strong"}
    table = ranking.table.set_index(["metric", "representation", "source"])["score"]
    for row in metrics.itertuples():
        assert row.score == table[row.metric, row.representation, "strong"]
        assert row.low < row.score < row.high and 0 < row.shuffled_sd < 0.05
    parcs = metrics["metric"] == "parc"
    assert metrics["shuffled"][parcs].abs().max() < 0.02
    # CKA of unrelated labels is above 0: its denominator is of biased estimates.
    assert metrics["shuffled"][~parcs].min() > 0.02


def test_an_ensemble_ranks_by_the_mean_of_its_metrics_ranks(tmp_path: Path) -> None:
    metrics = ("logme+parc", "parc", "logme", "parc+leep", "leep")
    strengths = {"blind": 0.0, "weak": 0.2, "strong": 0.8}
    ranking = make_ranking(tmp_path, strengths, None, metrics=metrics)
    first = ranking.of_selecting_metric
    assert first["metric"].tolist() == ["logme+parc"] * 3
    assert first["source"].tolist() == ["strong", "weak", "blind"]
    assert first["score"].tolist() == pytest.approx([1, 2 / 3, 1 / 3])
    # In every half the order is the same, and the share that of the whole.
    assert ranking.nearest_share == {"blind": 0, "strong": 1, "weak": 0}
    assert first["low"].iloc[0] == first["high"].iloc[0] == 1
    rows = ranking.metrics.set_index(["metric", "representation"])
    assert ("parc+leep", "features") not in rows.index
    # With shuffled labels it is not the first by all: by PARC it is behind the weak source. LogME
    # still finds the labels' mean in its features, which have no mean of 0.
    assert 1 / 3 <= rows.loc[("logme+parc", "features"), "shuffled"] < 5 / 6 + 1e-9
    assert rows.loc[("parc+leep", "pseudo_labels"), "score"] == 1


def test_a_start_that_is_a_source_too_is_ranked_like_the_others(tmp_path: Path) -> None:
    ranking = make_ranking(tmp_path, {"a": 0.1, "b": 0.8}, "b", teach=("a", "b"))
    assert ranking.nearest == "b" and set(ranking.table["source"]) == {"a", "b"}
    said = " ".join(sentences(make_job(["a", "b"], "b"), ranking))
    assert "The student starts from this very model." in said and "pay" not in said
    assert make_job(["a", "b"], "b").models == ("a", "b")
    assert make_job(["a", "b"], "c").models == ("a", "b", "c")
    assert make_job(["a", "b"], None).models == ("a", "b")


@pytest.mark.parametrize("key", ["sha256", "weights_sha256"])
def test_a_nearest_source_of_the_starts_own_weights_is_no_case_for_distillation(
    tmp_path: Path, key: str
) -> None:
    strengths, job = (
        {"large": 0.8, "other": 0.3, "start": 0.1},
        make_job(["large", "other"], "start"),
    )
    weights = {"large": {key: "e1"}, "other": {key: "77"}, "start": {key: "e1"}}
    ranking = make_ranking(tmp_path, strengths, "start", weights=weights)
    assert ranking.nearest == "large" and ranking.same_as_start == {"large"}
    assert outlook_of(ranking, "large", "start").verdict == "likely"
    found = forecast(job, ranking)
    assert found.verdict == "unclear" and found.low > 0
    said = " ".join(sentences(job, ranking))
    assert "But both have the same weights" in said and "likely" not in said
    assert "so it is unclear whether distillation pays" in said
    # Other weights, and facts without any checksum, are no reason.
    for facts in ({name: {key: name} for name in strengths}, {}):
        ranking = make_ranking(tmp_path, strengths, "start", weights=facts)
        assert ranking.same_as_start == frozenset()
        assert forecast(job, ranking).verdict == "likely"


def test_without_a_start_nothing_is_foretold(tmp_path: Path) -> None:
    ranking = make_ranking(tmp_path, {"a": 0.1, "b": 0.8}, None)
    assert outlook_of(ranking, "b", None).verdict is None
    said = " ".join(sentences(make_job(["a", "b"], None), ranking))
    assert "above a constant answer. The student starts from no model" in said
    assert "likely" not in said


def test_two_images_a_class_have_scores_without_intervals(tmp_path: Path) -> None:
    ranking = make_ranking(tmp_path, {"a": 0.8, "b": 0.1, "s": 0.1}, "s", per_class=2)
    assert ranking.table["low"].isna().all() and ranking.table["score"].notna().all()
    assert math.isnan(ranking.nearest_share["a"])
    assert math.isnan(outlook_of(ranking, "a", "s").ahead)
    said = " ".join(sentences(make_job(["a", "b"], "s"), ranking))
    assert "is a." in said and "half-samples" not in said and "nan" not in said


def test_a_score_that_does_not_exist_names_source_metric_and_representation(
    tmp_path: Path,
) -> None:
    path = tmp_path / "flat.safetensors"
    features = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    features[3] = 1
    save_inference(path, {"features": features, "pseudo_labels": features}, {})
    facts = tmp_path / "flat.json"
    facts.write_text(json.dumps({"gmacs": None, "parameters": None}))
    rows = SplitRows(np.arange(8), np.arange(8) % 2, np.arange(0), np.arange(0))
    with pytest.raises(ValueError, match="constant features") as error:
        rank_sources(make_job(["flat"], None), rows, {"flat": path}, {"flat": facts})
    assert str(error.value).startswith(
        "source 'flat' of target 't': no parc score (features): constant features"
    )


def test_a_score_is_that_of_the_metric(tmp_path: Path) -> None:
    ranking = make_ranking(tmp_path, {"only": 1.0}, None)
    rng = np.random.default_rng(0)
    features = (np.eye(4)[np.arange(80) % 4] + rng.normal(0, 0.3, (80, 4))).astype(np.float32)
    assert ranking.table["score"][0] == pytest.approx(parc(features, np.arange(80) % 4))


def ranking_of(right: dict[str, list[int]], labels: list[int]) -> Ranking:
    correct = {name: np.array(values, bool) for name, values in right.items()}
    selecting = {"metric": "parc", "representation": "features", "score": 0.3}
    table = pd.DataFrame([{"source": name, **selecting} for name in right])
    metrics = table.head(1).assign(shuffled=0.01, shuffled_sd=0.002)
    return Ranking(table, metrics, dict.fromkeys(right, 0.5), correct, np.array(labels))


def test_the_outlook_is_a_paired_difference() -> None:
    labels = [0, 0, 0, 0, 1, 1, 2, 2]
    right = {"a": [1] * 8, "b": [1, 1, 1, 1, 1, 1, 0, 0], "c": [0] * 8}
    ranking = ranking_of(right, labels)
    assert ranking.constant == 50 and ranking.guess == pytest.approx(100 / 3)
    found = outlook_of(ranking, "a", "b")
    assert found.difference == 25
    error = 100 * np.std([0] * 6 + [1] * 2, ddof=1) / np.sqrt(8)
    assert found.high - found.low == pytest.approx(2 * 1.959963984540054 * error)
    # The two images of the third class are in every half.
    assert found.verdict == "unclear" and found.ahead == 1
    assert outlook_of(ranking, "a", "c").verdict == "likely"
    assert outlook_of(ranking, "c", "a").verdict == "unlikely"
    assert outlook_of(ranking, "c", "a").ahead == 0
    assert outlook_of(ranking, "a", "a").ahead == 0.5
    # Without a start: against the largest class.
    assert outlook_of(ranking, "a", None).difference == 50


def test_a_source_with_a_better_probe_than_the_nearest_is_named() -> None:
    ranking = ranking_of({"near": [1, 0] * 8, "best": [1] * 16, "start": [0] * 16}, [0, 1] * 8)
    assert (ranking.nearest, ranking.best_probe) == ("near", "best")
    said = " ".join(sentences(make_job(["best", "near"], "start"), ranking))
    assert "linear probe is that of best, with 100.0% (80.6 to 100.0): +50.0 points" in said
    assert "against the nearest source's." in said
    assert "similarity, 0.300, would be 0.010 ± 0.002." in said


def test_wilsons_interval() -> None:
    # Brown, Cai and DasGupta (2001): for 0 of n it ends at z^2 / (n + z^2).
    share, low, high = accuracy_interval(np.zeros(10, bool))
    assert (share, round(low, 9)) == (0, 0)
    assert high == pytest.approx(100 * 1.959963984540054**2 / (10 + 1.959963984540054**2))


def test_keeping_the_nearest_sources() -> None:
    scores = [0.1, 0.4, 0.2, 0.4]
    np.testing.assert_allclose(similarity_weights(scores, 1, keep=2), [0, 0.5, 0, 0.5])
    np.testing.assert_allclose(similarity_weights(scores, 1, keep=3), [0, 0.4, 0.2, 0.4])
    # Of equal ones the first.
    assert similarity_weights(scores, 12, keep=1).tolist() == [0, 1, 0, 0]
    assert similarity_weights(scores, 0, keep=2).tolist() == [0, 0.5, 0, 0.5]
    assert (similarity_weights(scores, 2, keep=9) == similarity_weights(scores, 2)).all()
    with pytest.raises(ValueError, match="keep must be 1 or more"):
        similarity_weights(scores, 1, keep=0)
