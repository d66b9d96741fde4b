"""Rules score_similarity and compute_weights."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import RUN
from safetensors.numpy import load_file

import score_similarity
from distillweighted.seeds import derive_seed
from distillweighted.similarity.jobs import WeightsJob
from distillweighted.similarity.metrics.registry import METRICS
from distillweighted.similarity.probe import draw_probe
from distillweighted.sources.outputs import save_inference
from distillweighted.weights import random_weights

# Not in the order of names, as a table may be.
SCORES = {"resnet_x": 0.3, "alex_x": -0.2, "alex_y": 0.1, "resnet_y": 0.0}
ARCHITECTURES = {name: name.split("_")[0] for name in SCORES}
ORDER = ["alex_x", "alex_y", "resnet_x", "resnet_y"]


def score(world, sources, **changes):
    job = replace(RUN.jobs.scores("lesions_b", "0"), sources=tuple(sources), **changes)
    output = world.root / "scores.csv"
    inference = {source: world.inference(source) for source in sources}
    tables = (world.data[name] for name in ("index", "split", "labeled"))
    score_similarity.main(job, inference, *tables, output)
    return pd.read_csv(output)


def test_scores_are_those_of_the_probe_alone(world):
    table = score(world, ["alexnet_tiny_latin", "resnet50_tiny_textures_a"])
    assert list(table.columns) == ["target", "seed", "source", "representation", "metric", "score"]
    assert len(table) == 2 * 2 * 2
    known = pd.read_csv(world.data["labeled"])
    rows = known["image"].str.removeprefix("train-").astype(int).to_numpy()
    labels = known["label"].to_numpy()
    probe = draw_probe(labels, 15, seed=derive_seed(0, "lesions_b", "probe"))
    assert len(probe) == 15
    for row in table.itertuples():
        outputs = load_file(world.inference(row.source))[row.representation][rows]
        expected = METRICS[row.metric](outputs[probe], labels[probe])
        assert row.score == pytest.approx(expected, abs=1e-12)
    assert (table["target"] == "lesions_b").all()
    assert table["score"].nunique() == 8


def test_every_metric_and_an_ensemble(world):
    metrics = (*METRICS, "parc+leep", "logme+knn")
    table = score(world, RUN.jobs.scores("lesions_b", "0").sources, metrics=metrics)
    assert np.isfinite(table["score"]).all()
    counts = table.groupby("representation")["metric"].nunique()
    # nleep is of features alone; leep, nce and the ensemble of leep are of probabilities.
    assert counts.to_dict() == {"features": len(metrics) - 3, "pseudo_labels": len(metrics) - 1}
    assert (table.groupby(["representation", "metric"]).size() == 3).all()
    assert table.set_index("metric").loc["parc+leep", "score"].between(1 / 3, 1).all()


def test_a_constant_source_is_named(world):
    path = world.inference("convnet_tiny_mosaics_a")
    outputs = load_file(path)
    outputs["features"][:] = 1.5
    save_inference(path, outputs, {})
    with pytest.raises(ValueError, match="constant features") as error:
        score(world, ["alexnet_tiny_latin", "convnet_tiny_mosaics_a"])
    for word in ("convnet_tiny_mosaics_a", "lesions_b", "parc", "features"):
        assert word in str(error.value)
    # Its pseudo-labels are as good as before.
    table = score(world, ["convnet_tiny_mosaics_a"], representations=["pseudo_labels"])
    assert len(table) == 2


RECIPES = {
    "power": "distill_weighted-p12",
    "selected": "finetune_selected_source-alexnet_tiny",
}


def weigh(world, weighting, scores=SCORES, **changes):
    """Weights by source, of a table that holds another metric and representation too."""
    rows = [
        ("lesions_b", 0, source, representation, metric, value * factor)
        for source, value in scores.items()
        for representation, metric, factor in (
            ("features", "parc", 1),
            ("features", "cka", -1),
            ("pseudo_labels", "parc", -2),
        )
    ]
    columns = ["target", "seed", "source", "representation", "metric", "score"]
    table = world.root / "chosen.csv"
    pd.DataFrame(rows, columns=columns).to_csv(table, index=False)
    recipe = RECIPES.get(weighting, "distill_weighted-p12")
    told = {"weighting": weighting, "architectures": ARCHITECTURES, **changes}
    written = pd.read_csv(world.weigh(recipe, table, **told))
    assert list(written.columns) == ["source", "weight"]
    assert written["weight"].sum() == pytest.approx(1)
    return dict(zip(written["source"], written["weight"], strict=True))


def in_order(weights):
    assert list(weights) == ORDER
    return list(weights.values())


def test_eq_5_of_a_subset_gives_the_others_nothing(world):
    scores = {"alex_x": 0.2, "alex_y": 0.1, "resnet_x": 0.9, "resnet_y": 0.4}
    chosen = weigh(world, "power", scores, p=2.0, sources=("alex_x", "resnet_y"))
    assert in_order(chosen) == pytest.approx([0.2, 0, 0, 0.8])  # 0.04 and 0.16 of 0.2
    one = weigh(world, "power", scores, p=12.0, sources=("alex_y",))
    assert in_order(one) == [0, 1, 0, 0]
    # Of one source whose similarity is not above 0, too.
    fallen = weigh(world, "power", p=12.0, sources=("alex_x",), fallback="equal")
    assert in_order(fallen) == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        (0, [0.25, 0.25, 0.25, 0.25]),
        (1, [0, 0.25, 0.75, 0]),
        (2, [0, 0.1, 0.9, 0]),
        (math.inf, [0, 0, 1, 0]),
    ],
)
def test_distill_weighted(world, p, expected):
    weights = in_order(weigh(world, "power", p=p))
    np.testing.assert_allclose(weights, expected, atol=1e-12)


def test_the_nearest_sources_alone_are_kept(world):
    assert in_order(weigh(world, "power", p=1, keep=1)) == [0, 0, 1, 0]
    np.testing.assert_allclose(in_order(weigh(world, "power", p=1, keep=2)), [0, 0.25, 0.75, 0])
    # Of equally similar ones the first by name; random weights and the nearest are as before.
    tied = dict.fromkeys(SCORES, 0.5)
    assert in_order(weigh(world, "power", tied, p=12, keep=2)) == [0.5, 0.5, 0, 0]
    assert in_order(weigh(world, "power", p=math.inf, keep=3)) == [0, 0, 1, 0]
    assert weigh(world, "random", draw=0, keep=1) == weigh(world, "random", draw=0)


def test_p_follows_from_the_scores(world):
    # alex_y 0.1, resnet_x 0.3: standardised logs of -1 and 1, so that odds are exp(2 spread).
    for spread in (0.5, 2):
        odds = math.exp(2 * spread)
        expected = [0, 1 / (1 + odds), odds / (1 + odds), 0]
        np.testing.assert_allclose(in_order(weigh(world, "auto", spread=spread)), expected)
    # The number counts where it is given: of weights w and 1 - w it is 3 / 2^(2/3) at w = 1/3.
    number = {"spread": 0.5, "effective_sources": 3 / 2 ** (2 / 3)}
    np.testing.assert_allclose(in_order(weigh(world, "auto", **number)), [0, 1 / 3, 2 / 3, 0])
    # Of ranks, which are all above 0, and of the nearest that are kept alone.
    ranked = {"transform": "rank", "effective_sources": 2.5}
    weights = np.array(in_order(weigh(world, "auto", **ranked)))
    assert math.exp(-(weights * np.log(weights)).sum()) == pytest.approx(2.5)
    assert in_order(weigh(world, "auto", spread=2, keep=1)) == [0, 0, 1, 0]
    kept = in_order(weigh(world, "auto", transform="rank", spread=1, keep=2))
    np.testing.assert_allclose(kept, [0, 1 / (1 + math.exp(2)), 1 / (1 + math.exp(-2)), 0])


def test_no_p_where_no_score_is_above_0(world):
    with pytest.raises(ValueError, match=r"set similarity.weighting.fallback .*transform"):
        weigh(world, "auto", NO_POSITIVE, spread=2)
    equal = in_order(weigh(world, "auto", NO_POSITIVE, spread=2, fallback="equal"))
    assert equal == [0.25] * 4


def test_equal_weights_of_the_nearest(world):
    np.testing.assert_array_equal(in_order(weigh(world, "equal", keep=2)), [0, 0.5, 0.5, 0])
    # Whatever the sign of a score, as DistillEqual.
    np.testing.assert_allclose(in_order(weigh(world, "equal", keep=3)), [0, *[1 / 3] * 3])
    negative = in_order(weigh(world, "equal", NO_POSITIVE, keep=2))
    np.testing.assert_array_equal(negative, [0, 0.5, 0, 0.5])


def test_another_metric_or_representation_weights_otherwise(world):
    by_cka = weigh(world, "power", p=math.inf, metric="cka")
    assert by_cka["alex_x"] == 1
    by_labels = weigh(world, "power", p=1, representation="pseudo_labels")
    assert by_labels["alex_x"] == 1


def test_distill_inverse(world):
    np.testing.assert_allclose(in_order(weigh(world, "inverse")), [0, 0.75, 0.25, 0])


def test_scores_below_zero_weight_by_rank_or_softmax(world):
    by_rank = in_order(weigh(world, "power", NO_POSITIVE, p=1, transform="rank"))
    # alex_x -0.3, alex_y -0.2, resnet_x -0.4, resnet_y -0.1.
    np.testing.assert_allclose(by_rank, [0.2, 0.3, 0.1, 0.4])
    z = np.array([-1, 1, -3, 3]) / math.sqrt(5)
    for p in (1, 2):
        found = in_order(weigh(world, "power", NO_POSITIVE, p=p, transform="softmax"))
        np.testing.assert_allclose(found, np.exp(p * z) / np.exp(p * z).sum())
    inverse = in_order(weigh(world, "inverse", NO_POSITIVE, transform="rank"))
    np.testing.assert_allclose(inverse, np.array([1 / 2, 1 / 3, 1, 1 / 4]) * 12 / 25)
    kept = in_order(weigh(world, "power", NO_POSITIVE, p=1, keep=2, transform="rank"))
    np.testing.assert_allclose(kept, [0, 3 / 7, 0, 4 / 7])
    # The nearest source, random weights and equal ones are as without.
    for weighting, what in (
        ("power", {"p": math.inf}),
        ("power", {"p": 0}),
        ("random", {"draw": 0}),
    ):
        plain = weigh(world, weighting, **what)
        assert weigh(world, weighting, transform="softmax", **what) == plain
    with pytest.raises(ValueError, match=r"unknown transform 'cube': choose from .*'rank'"):
        weigh(world, "power", p=1, transform="cube")


def test_a_job_without_a_transform_is_told_what_it_was_before_there_were_any():
    job = RUN.jobs.weights("lesions_b", "0", "distill_weighted-p12")
    assert job.transform == "none" and "transform" not in job.as_params()
    assert WeightsJob.of(job.as_params()) == job
    assert not {"spread", "effective_sources"} & job.as_params().keys()
    for changes in ({"transform": "rank"}, {"spread": 2.0}, {"effective_sources": 3.0}):
        changed = replace(job, **changes)
        assert WeightsJob.of(changed.as_params()) == changed


def test_random_weights(world):
    first, second = (weigh(world, "random", draw=i) for i in (0, 1))
    stream = derive_seed(0, "lesions_b", "random weights")
    np.testing.assert_allclose(in_order(first), random_weights(4, seed=stream, draw=0))
    assert min(first.values()) > 0
    assert first != second
    assert first != weigh(world, "random", draw=0, seed=1)
    few = weigh(world, "random", draw=0, random_sources=2)
    assert sum(weight > 0 for weight in few.values()) == 2
    assert len(weigh(world, "random", draw=0, random_sources=9)) == 4


def test_fine_tuning_picks_the_best_of_its_architecture(world):
    chosen = weigh(world, "selected", architecture="alex")
    assert chosen == {"alex_x": 0, "alex_y": 1}
    # A ranking: the sign does not matter.
    negative = {**SCORES, "alex_x": -0.2, "alex_y": -0.3}
    chosen = weigh(world, "selected", negative, architecture="alex")
    assert chosen == {"alex_x": 1, "alex_y": 0}


NO_POSITIVE = {name: -abs(value) - 0.1 for name, value in SCORES.items()}


@pytest.mark.parametrize("p", [12.0, math.inf])
def test_no_positive_score_is_an_error_that_says_where_and_what_to_do(world, p):
    with pytest.raises(ValueError, match="every score is <= 0") as error:
        weigh(world, "power", NO_POSITIVE, p=p)
    for word in ("'lesions_b'", "seed 0", "parc on features", "similarity.weighting.fallback"):
        assert word in str(error.value)
    assert "equal or nearest" in str(error.value)


def test_fallbacks(world):
    equal = in_order(weigh(world, "power", NO_POSITIVE, p=12, fallback="equal"))
    assert equal == [0.25] * 4
    nearest = weigh(world, "power", NO_POSITIVE, p=12, fallback="nearest")
    assert nearest["resnet_y"] == 1  # -0.1 is the largest
    # p = 0 needs none.
    assert in_order(weigh(world, "power", NO_POSITIVE, p=0)) == [0.25] * 4


def test_an_unknown_weighting_is_an_error(world):
    with pytest.raises(ValueError, match=r"unknown weighting 'transfer': choose from .*'power'"):
        weigh(world, "transfer")
