"""The ranking of sources: intervals, shares, the outlook, and what it says in words."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from distillweighted.similarity.jobs import RankingJob, ScoreJob
from distillweighted.similarity.metrics.parc import parc
from distillweighted.sources.outlook import accuracy_interval, outlook_of
from distillweighted.sources.outputs import save_inference
from distillweighted.sources.ranking import COLUMNS, Ranking, half_samples, rank_sources
from distillweighted.tasks.splits import SplitRows
from distillweighted.weights import similarity_weights
from rank_sources import sentences


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


def make_ranking(tmp_path: Path, strengths: dict[str, float], start: str | None) -> Ranking:
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 4
    inference, facts = {}, {}
    for name, strength in strengths.items():
        features = strength * np.eye(4)[labels] + rng.normal(0, 0.3, (80, 4))
        logits = np.exp(features)
        outputs = {
            "features": features.astype(np.float32),
            "pseudo_labels": (logits / logits.sum(axis=1, keepdims=True)).astype(np.float32),
        }
        inference[name] = tmp_path / f"{name}.safetensors"
        save_inference(inference[name], outputs, {"source": name})
        facts[name] = tmp_path / f"{name}.json"
        facts[name].write_text(json.dumps({"gmacs": 2.0, "parameters": None}))
    job = make_job([name for name in strengths if name != start], start)
    rows = SplitRows(np.arange(80), labels, np.arange(0), np.arange(0))
    return rank_sources(job, rows, inference, facts)


def make_job(sources: list[str], start: str | None) -> RankingJob:
    scores = ScoreJob("t", 0, tuple(sources), 500, ("parc", "cka"), ("features", "pseudo_labels"))
    return RankingJob(scores, "parc", "features", start, 20)


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
    assert abs(ranking.shuffled[0]) < 0.1 and ranking.chance == 25
    assert set(ranking.correct) == {"blind", "weak", "strong", "start"}
    said = " ".join(
        sentences(
            make_job(["blind", "strong", "weak"], "start"),
            ranking,
            "strong",
            {name: accuracy_interval(right) for name, right in ranking.correct.items()},
        )
    )
    assert "The source nearest to t is strong (the nearest in 100% of half-samples)." in said
    assert "so distillation is likely to pay" in said and "on 80 labelled images" in said


def test_a_score_is_that_of_the_metric(tmp_path: Path) -> None:
    ranking = make_ranking(tmp_path, {"only": 1.0}, None)
    rng = np.random.default_rng(0)
    features = (np.eye(4)[np.arange(80) % 4] + rng.normal(0, 0.3, (80, 4))).astype(np.float32)
    assert ranking.table["score"][0] == pytest.approx(parc(features, np.arange(80) % 4))


def ranking_of(right: dict[str, list[int]]) -> Ranking:
    correct = {name: np.array(values, bool) for name, values in right.items()}
    return Ranking(None, {}, correct, (0.0, 0.0), 8, 50.0)


def test_the_outlook_is_a_paired_difference() -> None:
    ranking = ranking_of({"a": [1] * 8, "b": [1, 1, 1, 1, 1, 1, 0, 0], "c": [0] * 8})
    found = outlook_of(ranking, "a", "b")
    assert found.difference == 25
    error = 100 * np.std([0] * 6 + [1] * 2, ddof=1) / np.sqrt(8)
    assert found.high - found.low == pytest.approx(2 * 1.959963984540054 * error)
    assert found.verdict == "unclear"
    assert outlook_of(ranking, "a", "c").verdict == "likely"
    assert outlook_of(ranking, "c", "a").verdict == "unlikely"
    # Without a start: against the largest class.
    assert outlook_of(ranking, "a", None).difference == 50


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
