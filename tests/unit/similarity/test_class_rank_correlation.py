"""The fast ways to the scores: one sort, and what metrics, halves and shuffles share."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from distillweighted.similarity.metrics import inputs, ranks
from distillweighted.similarity.metrics.cka import cka
from distillweighted.similarity.metrics.inputs import Representation
from distillweighted.similarity.metrics.parc import parc, rsa
from distillweighted.similarity.metrics.registry import METRICS

SHARED = [
    name
    for name, metric in METRICS.items()
    if name != "parc_published" and "features" in metric.representations
]


def by_two_rankings(features: np.ndarray, labels: np.ndarray) -> float:
    """PARC of one-hot labels, both sides ranked."""
    rows = features - features.mean(axis=1, keepdims=True)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = np.triu_indices(len(rows), 1)
    distances = (1 - rows @ rows.T)[pairs]
    # Not where the last bit decides whether two distances are equal when rounded.
    in_order = np.sort(distances)
    tied = np.diff(in_order) < 1e-11
    on_edge = abs(in_order * 1e12 % 1 - 0.5) < 2e-3
    assume(not (tied & (on_edge[1:] | on_edge[:-1])).any())
    of_features = np.round(distances, 12)
    of_labels = (labels[:, None] != labels)[pairs]
    if np.ptp(of_features) == 0:
        return np.nan
    return spearmanr(of_features, of_labels).statistic


def by_kernels(features: np.ndarray, labels: np.ndarray) -> float:
    """Biased CKA, by n x n kernels."""
    x, y = features - features.mean(axis=0), np.eye(labels.max() + 1)[labels]
    y = y - y.mean(axis=0)
    k, el = x @ x.T, y @ y.T
    return (k * el).sum() / np.sqrt((k * k).sum() * (el * el).sum())


@st.composite
def probes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Features with ties, images that occur twice, classes of very different sizes, few images."""
    n, d = draw(st.integers(4, 40)), draw(st.integers(3, 60))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    shares = rng.dirichlet(
        np.full(draw(st.integers(2, 6)), draw(st.sampled_from([0.2, 1.0, 50.0])))
    )
    labels = rng.choice(len(shares), n, p=shares)
    labels[:3] = 0, 0, 1
    features = rng.normal(size=(n, d)) + labels[:, None] * rng.normal(size=d)
    if draw(st.booleans()):
        features = np.round(features)
        features[:, 0], features[:, 1] = 7, -7
    if draw(st.booleans()):
        features[3:] = features[rng.integers(0, n, n - 3)]
    if draw(st.booleans()):
        features = np.exp(3 * features) / np.exp(3 * features).sum(axis=1, keepdims=True)
    return features.astype(draw(st.sampled_from([np.float32, np.float64]))), labels


@settings(max_examples=150)
@given(probe=probes())
def test_one_sort_gives_what_two_rankings_give(probe):
    features, labels = probe
    wide = features.astype(np.float64)
    expected = by_two_rankings(wide, labels)
    assume(np.isfinite(expected))  # Not where all distances are equal.
    assert parc(features, labels) == pytest.approx(expected, abs=1e-12)
    assert parc(features, np.eye(9)[labels]) == parc(features, labels)


@settings(max_examples=50)
@given(probe=probes())
def test_cka_is_that_of_kernels(probe):
    features, labels = probe
    assume(np.ptp(features, axis=0).any())
    expected = by_kernels(features.astype(np.float64), labels)
    assert cka(features, labels) == pytest.approx(expected, abs=1e-12)
    after_others = Representation(features)
    if np.ptp(features, axis=1).all():
        after_others.correlations()
    assert cka(after_others, labels) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=50)
@given(n=st.integers(2, 60), levels=st.integers(1, 40), seed=st.integers(0, 10**6))
def test_rank_correlation_with_ties(n, levels, seed):
    rng = np.random.default_rng(seed)
    distances, differ = rng.integers(0, levels, n), rng.integers(0, 2, n)
    found = ranks.class_rank_correlation(2 * distances + differ)
    if np.ptp(distances) == 0 or np.ptp(differ) == 0:
        assert np.isnan(found)
    else:
        expected = spearmanr(distances, differ).statistic
        assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n", [1, 5, 1023, 1024, 1300, 5000, 20_011])
@pytest.mark.parametrize("whole, part, block", [(0, 2000, 1500), (1 << 20, 2000, 1 << 15)])
def test_numbers_are_in_order_whatever_they_are(monkeypatch, n, whole, part, block):
    for name, value in {"WHOLE": whole, "PART": part, "BLOCK": block}.items():
        monkeypatch.setattr(ranks, name, value)
    rng = np.random.default_rng(0)
    clusters = np.where(rng.random(n) < 0.5, 0, 1 << 41) + rng.integers(0, 50, n)
    for values in (
        rng.integers(0, 1 << 42, n),
        rng.integers(0, 3, n),
        np.full(n, 7),
        (1e12 * (1 + 0.05 * rng.normal(size=n))).astype(np.int64),
        clusters,
        np.arange(n)[::-1],
    ):
        found = values.copy()
        ranks.sort_in_place(found)
        np.testing.assert_array_equal(found, np.sort(values))


@pytest.mark.parametrize("d", [6, 150])
@pytest.mark.parametrize("offset", [0, 3, 1e5])
def test_metrics_share_a_representation(d, offset):
    """Fewer and more features than images; those with a large mean would lose digits."""
    rng = np.random.default_rng(1)
    labels = rng.permutation(np.arange(60) % 4)
    features = rng.normal(size=(4, d))[labels] + rng.normal(size=(60, d)) + offset
    if offset > 3:
        features += offset * rng.normal(size=d)
    half = np.sort(rng.permutation(60)[:30])
    prepared = Representation(features)
    for name in SHARED:
        metric = METRICS[name]
        assert metric(prepared, labels) == pytest.approx(metric(features, labels), abs=1e-12)
        alone = metric(features[half], labels[half])
        assert metric(prepared.part(half), labels[half]) == pytest.approx(alone, abs=1e-12)
    shuffled = rng.permutation(labels)
    assert parc(prepared, shuffled) == parc(features, shuffled)


def test_halves_and_shuffles_multiply_no_features_again(monkeypatch):
    calls = []
    multiply = inputs._row_correlations

    def counted(features, **into):
        calls.append(1)
        return multiply(features, **into)

    monkeypatch.setattr(inputs, "_row_correlations", counted)
    rng = np.random.default_rng(2)
    labels, features = np.arange(40) % 4, rng.normal(size=(40, 90))
    prepared = Representation(features)
    for _ in range(5):
        parc(prepared, rng.permutation(labels))
        half = np.sort(rng.permutation(40)[:20])
        parc(prepared.part(half), labels[half])
        cka(prepared.part(half), labels[half])
    assert len(calls) == 1
    # Standardising looks at all images: a half is standardised by itself.
    rsa(prepared.part(half), labels[half])
    assert len(calls) == 2


@pytest.mark.parametrize("d", [50, 150])
@pytest.mark.parametrize("common", [0, 1, 30])
def test_cka_takes_its_norm_from_correlations_where_no_digits_are_lost(d, common):
    """Of features wider than the probe is long: their product would be as dear as PARC's."""
    rng = np.random.default_rng(6)
    labels = np.arange(60) % 4
    features = rng.normal(size=(60, d)) + common * rng.normal(size=d) + 9 * rng.normal(size=(60, 1))
    shared = Representation(features)
    shared.correlations()
    assert (shared._kernel_norm is not None) == (d > 60 and common < 30)
    expected = by_kernels(features, labels)
    assert cka(shared, labels) == pytest.approx(expected, abs=1e-13)
    assert cka(features, labels) == pytest.approx(expected, abs=1e-13)


def test_a_half_needs_no_whole():
    """Of which a row may have no correlations."""
    features = np.random.default_rng(3).normal(size=(20, 8))
    features[19] = 1
    half, labels = np.arange(10), np.arange(10) % 2
    assert parc(Representation(features).part(half), labels) == parc(features[:10], labels)


def test_a_representation_keeps_its_scale():
    """What is not free of scale reads the features as they came."""
    features = np.random.default_rng(4).normal(size=(8, 5))
    for scale in (1.0, 2.0**-700, 2.0**700):
        prepared = Representation(scale * features)
        np.testing.assert_array_equal(prepared.features, scale * features)
        assert np.isfinite(np.square(prepared.scaled).sum())
        assert np.abs(prepared.scaled).max() > 1e-3
        # A metric that knows of arrays alone takes it for one.
        np.testing.assert_array_equal(np.asarray(prepared), prepared.features)
    assert np.asarray(Representation(features), np.float32).dtype == np.float32


def test_memory_is_a_few_matrices():
    """Both rankings took 7 of n x n float64."""
    n = 2000
    labels = np.arange(n) % 20
    features = np.random.default_rng(5).normal(size=(n, 16))
    tracemalloc.start()
    parc(features, labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.5 * 8 * n * n
