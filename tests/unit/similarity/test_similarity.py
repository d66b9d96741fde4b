"""PARC, RSA, CKA and the probe, against closed forms and naive computations."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from distillweighted.similarity.metrics.cka import cka
from distillweighted.similarity.metrics.parc import parc, rsa
from distillweighted.similarity.metrics.registry import METRICS, Metric
from distillweighted.similarity.probe import draw_probe
from distillweighted.similarity.scores import score_sources


def one_hot(labels):
    return np.eye(labels.max() + 1)[labels]


def clustered(n=60, classes=4, d=16, signal=0.5, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    return signal * rng.normal(size=(classes, d))[labels] + rng.normal(size=(n, d)), labels


def naive_parc(features, labels):
    """The formula, pair by pair, by pandas: D_Y from label equality."""
    n = len(features)
    pairs = [(i, j) for i in range(n) for j in range(i)]
    correlation = pd.DataFrame(features).T.corr().to_numpy()
    d_phi = [1 - correlation[i, j] for i, j in pairs]
    d_y = [float(labels[i] != labels[j]) for i, j in pairs]
    return pd.Series(d_phi).rank().corr(pd.Series(d_y).rank())


def standardised(features):
    return (features - features.mean(axis=0)) / features.std(axis=0)


#: Those that are not asked to reproduce the rounding noise of the public code.
EXACT = [name for name in METRICS if METRICS[name].module in ("parc", "cka")]
EXACT.remove("parc_published")


@pytest.mark.parametrize(("n", "classes"), [(30, 2), (60, 4), (61, 7)])
def test_parc_closed_form(n, classes):
    features, labels = clustered(n, classes)
    rows, cols = np.triu_indices(n, 1)
    distance = (1 - np.corrcoef(features))[rows, cols]
    same = labels[rows] == labels[cols]
    assert len(np.unique(distance)) == len(distance)  # the closed form needs a tie-free sample
    auc = (distance[~same][:, None] > distance[same]).mean()
    q, pairs = same.mean(), len(distance)
    expected = (2 * auc - 1) * np.sqrt(3 * q * (1 - q) * pairs**2 / (pairs**2 - 1))
    assert abs(expected) > 0.1
    assert parc(features, labels) == pytest.approx(expected, abs=1e-12)


def test_the_public_codes_variants_of_parc_match_the_naive_computation():
    features, labels = clustered(60, 3, d=40)
    features[:, 0] += 20  # one large feature, so that standardising matters
    naive = naive_parc(standardised(features), labels)
    assert METRICS["parc_standardized"](features, labels) == pytest.approx(naive, abs=1e-12)
    centred = features - features.mean(axis=0)
    _, _, vt = np.linalg.svd(centred, full_matrices=False)
    signs = [np.sign(row[np.abs(row).argmax()]) for row in vt[:32]]
    projected = standardised(centred @ vt[:32].T * signs)
    naive = naive_parc(projected, labels)
    assert METRICS["parc_pca32"](features, labels) == pytest.approx(naive, abs=1e-12)
    noisy = parc(features, labels, standardize=True, published_rounding=True)
    assert METRICS["parc_published"](features, labels) == noisy
    # They differ from each other, or nothing could be learnt by trying them.
    kinds = ("parc", "parc_standardized", "parc_pca32", "parc_published")
    values = [METRICS[name](features, labels) for name in kinds]
    assert np.abs(np.subtract.outer(values, values))[np.triu_indices(4, 1)].min() > 1e-3


def test_parc_and_rsa_match_the_naive_computation():
    features, labels = clustered(25, 3, d=5)
    features[:, 0] += 20  # one large feature, so that standardising matters
    assert parc(features, labels) == pytest.approx(naive_parc(features, labels), abs=1e-12)
    expected = naive_parc(standardised(features), labels)
    assert rsa(features, labels) == pytest.approx(expected, abs=1e-12)
    assert parc(features, labels, standardize=True) == rsa(features, labels)
    assert rsa(features, labels, standardize=False) == parc(features, labels)
    assert abs(rsa(features, labels) - parc(features, labels)) > 0.01


def test_parc_of_the_labels_themselves_is_one():
    labels = np.arange(90) % 7
    assert parc(one_hot(labels), labels) == pytest.approx(1, abs=1e-12)


def test_multi_hot_parc_matches_the_naive_computation():
    rng = np.random.default_rng(1)
    labels = (rng.random((20, 6)) < 0.4).astype(int)
    labels[:, 0] = 0
    labels[labels.sum(axis=1) == 0, 1] = 1
    features = rng.normal(size=(20, 8)) + labels @ rng.normal(size=(6, 8))
    triangle = np.triu_indices(20, 1)
    d_y = np.round(1 - np.corrcoef(labels), 10)[triangle]
    d_phi = (1 - np.corrcoef(features))[triangle]
    expected = scipy.stats.spearmanr(d_phi, d_y).statistic
    assert len(np.unique(d_y)) > 5
    assert parc(features, labels) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("classes", [2, 7, 10, 37])
@pytest.mark.parametrize("metric", METRICS)
def test_one_hot_labels_equal_integer_labels(metric, classes):
    features, labels = clustered(150, classes)
    if METRICS[metric].representations == ("pseudo_labels",):
        features = scipy.special.softmax(features, axis=1)
    expected = METRICS[metric](features, labels)
    assert METRICS[metric](features, one_hot(labels)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("classes", "low", "high"), [(7, 0.6, 0.8), (37, 0.2, 0.5)])
def test_published_rounding_shrinks_the_score(classes, low, high):
    ratios = []
    for seed in range(3):
        features, labels = clustered(500, classes, d=32, seed=seed)
        triangle = np.triu_indices(500, 1)
        published = scipy.stats.spearmanr(
            (1 - np.corrcoef(standardised(features)))[triangle],
            (1 - np.corrcoef(one_hot(labels)))[triangle],
        ).statistic
        ours = parc(features, labels, standardize=True, published_rounding=True)
        assert ours == pytest.approx(published, rel=0.02)
        ratios.append(ours / parc(features, labels, standardize=True))
    assert low < np.mean(ratios) < high


def test_rounding_keeps_equal_feature_distances_tied():
    """Hard pseudo-labels have two feature distances, which rounding noise must not order."""
    labels = np.arange(140) % 7
    predicted = np.where(np.arange(140) % 3 == 0, (labels + 1) % 7, labels)
    rows, cols = np.triu_indices(140, 1)
    phi = np.corrcoef(predicted[rows] == predicted[cols], labels[rows] == labels[cols])[0, 1]
    assert 0.2 < phi < 0.8
    assert parc(one_hot(predicted), labels) == pytest.approx(phi, abs=1e-12)


def test_pca():
    features, labels = clustered(20, 3, d=6)
    centred = features - features.mean(axis=0)
    _, _, vt = np.linalg.svd(centred, full_matrices=False)
    projected = centred @ vt[:3].T
    signs = [np.sign(row[np.abs(row).argmax()]) for row in vt[:3]]
    expected = naive_parc(projected * signs, labels)
    assert parc(features, labels, pca_dims=3) == pytest.approx(expected, abs=1e-12)
    assert parc(features, labels, pca_dims=99) == parc(features, labels, pca_dims=6)
    # n = 5 centred rows have rank 4: the fifth component is noise, not to be standardised.
    wide, few = clustered(5, 2, d=30)
    assert rsa(wide, few, pca_dims=99) == pytest.approx(rsa(wide + 1e3, few, pca_dims=5), abs=1e-9)


def test_constant_columns_do_not_matter_after_standardising():
    features, labels = clustered(20, 3, d=6)
    constant = np.hstack([features, np.full((20, 1), 0.1)])
    zeros = np.hstack([features, np.zeros((20, 1))])
    assert rsa(constant, labels) == pytest.approx(rsa(zeros, labels), abs=1e-12)


def test_cka_matches_centring_matrices():
    for d in (3, 70):  # narrower and much wider than n
        features, labels = clustered(25, 4, d=d)
        h = np.eye(25) - 1 / 25
        k = h @ features @ features.T @ h
        y = one_hot(labels)
        el = h @ y @ y.T @ h
        expected = np.trace(k @ el) / np.sqrt(np.trace(k @ k) * np.trace(el @ el))
        assert cka(features, labels) == pytest.approx(expected, abs=1e-12)
        assert cka(features + 1e4, labels) == pytest.approx(expected, abs=1e-8)


def hsic_u(k, el):
    """The U-statistic by its definition: a mean over all ordered 4-tuples of distinct samples."""
    n = len(k)
    terms = [
        k[i, j] * (el[i, j] + el[q, r] - 2 * el[i, q])
        for i in range(n)
        for j in range(n)
        for q in range(n)
        for r in range(n)
        if len({i, j, q, r}) == 4
    ]
    return np.mean(terms)


@pytest.mark.parametrize("d", [2, 40])
def test_debiased_cka_matches_the_u_statistic(d):
    rng = np.random.default_rng(3)
    labels = np.array([0, 0, 1, 1, 2, 2, 0])
    features = rng.normal(size=(7, d)) + 5
    k, el = features @ features.T, one_hot(labels) @ one_hot(labels).T
    expected = hsic_u(k, el) / np.sqrt(hsic_u(k, k) * hsic_u(el, el))
    assert cka(features, labels, debiased=True) == pytest.approx(expected, abs=1e-9)
    assert METRICS["cka_debiased"](features, labels) == cka(features, labels, debiased=True)


def test_biased_cka_of_random_features_rises_with_width():
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 80
    scores = []
    for d in (16, 128, 1024):
        features = rng.normal(size=(200, d))
        scores.append(cka(features, labels))
        assert abs(cka(features, labels, debiased=True)) < 0.05
    assert scores[0] + 0.1 < scores[1] < scores[2] - 0.1


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), classes=st.integers(2, 6), metric=st.sampled_from(EXACT))
def test_invariances(seed, classes, metric):
    rng = np.random.default_rng(seed)
    features, labels = clustered(24, classes, d=5, seed=seed)
    score = METRICS[metric]
    expected = score(features, labels)
    assert -1 <= expected <= 1
    renamed = rng.permutation(20)[labels]
    order = rng.permutation(24)
    assert score(features, renamed) == pytest.approx(expected, abs=1e-12)
    assert score(features[order], labels[order]) == pytest.approx(expected, abs=1e-9)
    assert score(1e-3 * features, labels) == pytest.approx(expected, abs=1e-9)
    assert score(1e200 * features, labels) == pytest.approx(expected, abs=1e-9)
    if metric.startswith("cka"):
        rotation = scipy.stats.ortho_group.rvs(5, random_state=seed)
        assert score(7 * features @ rotation + 3, labels) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_input_without_an_answer(metric):
    score = METRICS[metric]
    features, labels = clustered(12, 3)
    bad = features.copy()
    bad[4, 2] = np.nan
    bad[7, 0] = np.inf
    with pytest.raises(ValueError, match=r"NaN or infinity.*2 rows \(4, 7\)"):
        score(bad, labels)
    with pytest.raises(ValueError, match="one class"):
        score(features, np.zeros(12, dtype=int))
    with pytest.raises(ValueError, match="2 samples"):
        score(features[:2], labels[:2])
    with pytest.raises(ValueError, match=r"labels must be .* n = 12, got shape \(11,\)"):
        score(features, labels[:11])
    with pytest.raises(ValueError, match=r"features must be \[n, d\]"):
        score(features[:, 0], labels)
    with pytest.raises(ValueError, match="integers"):
        score(features, labels + 0.5)
    with pytest.raises(ValueError, match="zeros and ones"):
        score(features, one_hot(labels) * 2)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e6])
def test_constant_rows_are_named(value):
    features, labels = clustered(12, 3)
    features[5] = value
    for published_rounding in (False, True):
        with pytest.raises(ValueError, match=r"row 5$"):
            parc(features, labels, published_rounding=published_rounding)
    assert np.isfinite(cka(features, labels))  # CKA has an answer here


def test_further_errors():
    features, labels = clustered(12, 3)
    for pca_dims in (0, -1):
        with pytest.raises(ValueError, match="pca_dims"):
            parc(features, labels, pca_dims=pca_dims)
    with pytest.raises(ValueError, match="no two samples share a class"):
        parc(features, np.arange(12))
    with pytest.raises(ValueError, match="same distance"):
        parc(np.eye(12), labels)
    with pytest.raises(ValueError, match="the same for every sample"):
        cka(np.ones((12, 4)), labels)
    with pytest.raises(ValueError, match="at least 4"):
        cka(features[:3], labels[:3], debiased=True)
    with pytest.raises(ValueError, match="no variance"):
        cka(features, np.arange(12), debiased=True)
    with pytest.raises(ValueError, match=r"no class.*row 1$"):
        parc(features[:3], np.array([[1, 0], [0, 0], [0, 1]]))


def test_probe_takes_turns_over_the_classes():
    labels = np.repeat([3, 5, 8], [50, 4, 30])
    probe = draw_probe(labels, 30, seed=1)
    assert len(np.unique(probe)) == 30
    assert (np.diff(probe) > 0).all()
    counts = [int((labels[probe] == c).sum()) for c in (3, 5, 8)]
    assert counts == [13, 4, 13]  # the small class gives all it has, the others share the rest
    balanced = draw_probe(np.arange(400) % 7, 30, seed=0)
    assert sorted(np.bincount(balanced % 7)) == [4, 4, 4, 4, 4, 5, 5]


def test_probe_with_more_classes_than_it_can_hold():
    labels = np.arange(555 * 6) % 555
    probe = draw_probe(labels, 500, seed=0)
    classes, counts = np.unique(labels[probe], return_counts=True)
    assert len(classes) == 250
    assert (counts == 2).all()
    other, _ = np.unique(labels[draw_probe(labels, 500, seed=1)], return_counts=True)
    assert set(other) != set(classes)
    assert len(draw_probe(labels, 501, seed=0)) == 500
    assert len(draw_probe(np.arange(10), 8, seed=0)) == 4  # 4 classes, which have one image each


def test_probe_is_reproducible_and_seeded():
    labels = np.arange(300) % 10
    first = draw_probe(labels, 40, seed=3)
    np.testing.assert_array_equal(first, draw_probe(labels, 40, seed=3))
    assert not np.array_equal(first, draw_probe(labels, 40, seed=4))
    np.testing.assert_array_equal(draw_probe(labels, 300, seed=0), np.arange(300))
    with pytest.raises(ValueError, match="at least 4"):
        draw_probe(labels, 3, seed=0)
    with pytest.raises(ValueError, match=r"\[n\]"):
        draw_probe(np.eye(5), 4, seed=0)


def test_score_sources_table():
    features, labels = clustered(40, 4)
    probe = draw_probe(labels, 20, seed=0)
    weak = np.random.default_rng(9).normal(size=(40, 3))
    representations = {
        "z_source": {"pseudo_labels": features, "features": weak},
        "a_source": {"pseudo_labels": weak, "features": features},
    }
    table = score_sources(
        representations, labels, probe, metrics=["rsa", "cka"], target="pets", seed=7
    )
    assert list(table.columns) == ["target", "seed", "source", "representation", "metric", "score"]
    assert set(table["target"]) == {"pets"}
    assert set(table["seed"]) == {7}
    assert list(table["source"]) == ["z_source"] * 4 + ["a_source"] * 4
    assert list(table["representation"]) == (["pseudo_labels"] * 2 + ["features"] * 2) * 2
    assert list(table["metric"]) == ["rsa", "cka"] * 4
    expected = [rsa(features[probe], labels[probe]), cka(features[probe], labels[probe])]
    other = [rsa(weak[probe], labels[probe]), cka(weak[probe], labels[probe])]
    assert list(table["score"]) == expected + other + other + expected


def test_score_sources_names_what_failed():
    features, labels = clustered(40, 4)
    features[3] = 1
    bank = {"resnet18_cub200": {"features": features}}
    with pytest.raises(
        ValueError, match=r"no parc score.*'resnet18_cub200' \(features\).*'pets'.*row 3$"
    ):
        score_sources(bank, labels, np.arange(40), metrics=["parc"], target="pets", seed=0)
    with pytest.raises(ValueError, match=r"resnet18_cub200.*40 rows for 39 labels"):
        score_sources(bank, labels[:39], np.arange(9), metrics=["cka"], target="pets", seed=0)
    with pytest.raises(ValueError, match=r"unknown metric \['lep'\]"):
        score_sources(bank, labels, np.arange(40), metrics=["lep"], target="pets", seed=0)


def test_a_metric_is_computed_of_its_own_representations_alone(monkeypatch):
    probabilities = Metric("mine", "parc", "parc", representations=("pseudo_labels",))
    monkeypatch.setitem(METRICS, "mine", probabilities)
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=(12, 5)) for name in ("features", "pseudo_labels")}
    labels = np.arange(12) % 3
    table = score_sources(
        {"a": arrays}, labels, np.arange(12), metrics=["mine", "cka"], target="t", seed=0
    )
    rows = table[["representation", "metric"]].apply(tuple, axis=1).tolist()
    assert rows == [("features", "cka"), ("pseudo_labels", "mine"), ("pseudo_labels", "cka")]
    score = table.loc[1, "score"]
    assert score == parc(arrays["pseudo_labels"], labels)


def test_the_registry_says_how_its_metrics_are_computed():
    assert METRICS["cka_debiased"].computation == "cka.cka [('debiased', True)]"
    assert METRICS["rsa"].path == "distillweighted.similarity.metrics.parc"
    assert METRICS["rsa"].load() is rsa
