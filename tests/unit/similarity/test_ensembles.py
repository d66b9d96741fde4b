"""What becomes of scores before they weight, and ensembles of metrics."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillweighted.similarity.ensembles import mean_ranks, representations_of
from distillweighted.similarity.scores import score_sources
from distillweighted.similarity.transforms import (
    TRANSFORMS,
    rank_shares,
    softmax_of_standardised,
)
from distillweighted.weights import similarity_weights

LEEP = np.array([-2.0, -0.5, -1.0, -0.5, -3.0])
"""Of five sources, two of them equal."""


def test_ranks_over_the_number_of_sources():
    assert rank_shares(LEEP) == pytest.approx([0.4, 0.9, 0.6, 0.9, 0.2])
    assert rank_shares(np.array([3.0])) == [1]
    columns = np.stack([LEEP, -LEEP], axis=1)
    assert (rank_shares(columns) == np.stack([rank_shares(LEEP), rank_shares(-LEEP)], 1)).all()
    # Eq. 5 of ranks 1 to S: 1/15, 2/15, ...
    weights = similarity_weights(rank_shares(np.arange(5.0) - 9), p=1)
    assert weights == pytest.approx(np.arange(1, 6) / 15)


def test_softmax_of_standardised_scores():
    z = (LEEP - LEEP.mean()) / LEEP.std()
    expected = np.exp(z) / np.exp(z).sum()
    assert softmax_of_standardised(LEEP) == pytest.approx(expected)
    # Its unit does not matter, and p is an inverse temperature.
    assert softmax_of_standardised(0.01 * LEEP + 7) == pytest.approx(expected)
    tempered = np.exp(3 * z) / np.exp(3 * z).sum()
    assert similarity_weights(softmax_of_standardised(LEEP), p=3) == pytest.approx(tempered)
    for equal in (np.full(4, -0.3), np.array([0.3, 0.3 + 1e-16, 0.1 + 0.2]), np.zeros(1)):
        assert (softmax_of_standardised(equal) == 1 / len(equal)).all()


@given(
    st.lists(st.integers(-1000, 1000), min_size=1, max_size=12), st.sampled_from(list(TRANSFORMS))
)
def test_a_transform_keeps_the_order(scores, name):
    scores = np.array(scores) / 8
    found = TRANSFORMS[name](scores)
    assert found.shape == scores.shape
    assert ((scores[:, None] > scores) == (found[:, None] > found)).all()
    if name != "none":
        assert found.min() > 0 and found.max() <= 1


def test_mean_ranks():
    found = mean_ranks([LEEP, np.array([5.0, 4, 3, 2, 1])])
    assert found == pytest.approx((rank_shares(LEEP) + np.array([1, 0.8, 0.6, 0.4, 0.2])) / 2)
    # Whatever the range of a metric.
    assert (mean_ranks([np.exp(LEEP), LEEP]) == rank_shares(LEEP)).all()


def test_an_ensemble_is_of_what_all_its_metrics_take():
    assert representations_of("parc+logme") == ("pseudo_labels", "features")
    assert representations_of("parc+leep") == ("pseudo_labels",)
    assert representations_of("nleep+leep") == ()


def test_scores_of_ensembles():
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 3
    sources = {}
    for name, signal in (("a", 0.5), ("b", 2.0), ("c", 1.0)):
        logits = rng.normal(size=(30, 3)) + signal * np.eye(3)[labels]
        odds = np.exp(logits)
        sources[name] = {
            "features": logits,
            "pseudo_labels": odds / odds.sum(axis=1, keepdims=True),
        }
    told = {"target": "t", "seed": 0}
    metrics = ["parc+leep", "parc", "leep", "logme", "parc+logme"]
    table = score_sources(sources, labels, np.arange(30), metrics=metrics, **told)
    assert table["metric"].tolist()[:7] == [
        "parc", "logme", "parc+logme", "parc+leep", "parc", "leep", "logme"
    ]  # fmt: skip
    found = table.set_index(["representation", "metric", "source"])["score"]
    for representation, ensemble in (
        ("pseudo_labels", "parc+leep"),
        ("pseudo_labels", "parc+logme"),
        ("features", "parc+logme"),
    ):
        of = [found[representation, metric].to_numpy() for metric in ensemble.split("+")]
        assert found[representation, ensemble].tolist() == mean_ranks(of).tolist()
    assert ("features", "parc+leep") not in table.set_index(["representation", "metric"]).index
    with pytest.raises(ValueError, match=r"not computed: \['leep'\]"):
        score_sources(sources, labels, np.arange(30), metrics=["parc", "parc+leep"], **told)
