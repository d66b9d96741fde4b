"""The metrics of transferability: golden values, other people's code, and what they do not see."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.optimize
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import ledoit_wolf, ledoit_wolf_shrinkage
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import KNeighborsClassifier

from distillweighted.similarity.metrics.gbc import gbc
from distillweighted.similarity.metrics.hscore import h_score
from distillweighted.similarity.metrics.knn import knn
from distillweighted.similarity.metrics.lda import lda
from distillweighted.similarity.metrics.leep import leep, nce
from distillweighted.similarity.metrics.logme import logme
from distillweighted.similarity.metrics.nleep import nleep
from distillweighted.similarity.metrics.registry import METRICS
from distillweighted.similarity.metrics.spectrum import shrinkage
from distillweighted.similarity.metrics.transrate import transrate

#: Of a few lines of numpy, scipy and scikit-learn for each; LEEP, NCE, both H-scores and LogME were
#: checked against thuml's Transfer-Learning-Library too.
CASES = json.loads((Path(__file__).parent / "transferability_golden.json").read_text())

METRICS_HERE = [name for name, metric in METRICS.items() if metric.module not in ("parc", "cka")]
SCALE_FREE = ["knn", "knn_5", "nleep", "h_score", "h_score_shrunk", "logme", "lda"]
ROTATION_FREE = [*SCALE_FREE, "transrate", "gbc_spherical"]


def clustered(n=60, classes=4, d=6, signal=1.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    return signal * rng.normal(size=(classes, d))[labels] + rng.normal(size=(n, d)), labels


def values_for(name, features):
    """The features, or probabilities for a metric that takes no others."""
    if "features" in METRICS[name].representations:
        return features
    return scipy.special.softmax(features, axis=1)


@pytest.mark.parametrize("case", CASES)
def test_golden_values(case):
    values, golden = CASES[case], CASES[case]["golden"]
    features, labels = np.array(values["features"]), np.array(values["labels"])
    pseudo_labels = np.array(values["pseudo_labels"])
    found = {
        "leep": leep(pseudo_labels, labels),
        "nce": nce(pseudo_labels, labels),
        "logme": logme(features, labels),
        "h_score": h_score(features, labels),
        "h_score_shrunk_n": h_score(features, labels, shrunk=True),
        "transrate_weighted": transrate(features, labels),
        # The golden ones count each pair of classes once.
        "gbc_diagonal": gbc(features, labels) / 2,
        "gbc_spherical": gbc(features, labels, spherical=True) / 2,
        "one_nn_loo_percent": 100 * knn(features, labels),
    }
    assert found == pytest.approx({name: golden[name] for name in found}, abs=1e-10)
    # Diagonal covariances are as in google-research's code, which counts each pair twice.
    assert gbc(features, labels) == pytest.approx(golden["gbc_reference_diagonal"], abs=1e-10)
    # What published code does otherwise is another number.
    for name in ("h_score_shrunk_tllib", "gbc_reference_spherical"):
        assert min(abs(golden[name] - value) for value in found.values()) > 1e-3
    if case == "unbalanced":
        # A class without linear signal: alpha is infinite.
        assert golden["logme_per_class"][3] == pytest.approx(noise_evidence(labels == 3), abs=1e-12)
        assert abs(golden["transrate_unweighted"] - found["transrate_weighted"]) > 1


def noise_evidence(target):
    """1/2 log(n / (2 pi t^T t)) - 1/2, that of noise alone."""
    return (np.log(len(target) / (2 * np.pi * target.sum())) - 1) / 2


def test_leep_by_its_definition():
    features, labels = clustered(20, 3, d=4)
    theta = scipy.special.softmax(features, axis=1)
    total = 0
    for i in range(20):
        likelihood = 0
        for z in range(4):
            of_label = sum(theta[j, z] for j in range(20) if labels[j] == labels[i])
            likelihood += of_label / theta[:, z].sum() * theta[i, z]
        total += np.log(likelihood) / 20
    assert leep(theta, labels) == pytest.approx(total, abs=1e-12)
    # A class that the source never sees is no 0/0, and changes nothing.
    unseen = np.hstack([theta, np.zeros((20, 1))])
    assert leep(unseen, labels) == leep(theta, labels)
    assert nce(unseen, labels) == nce(theta, labels)


def test_leep_and_nce_of_sources_that_know_all_or_nothing():
    labels = np.repeat([0, 1, 2], [5, 10, 15])
    entropy = scipy.stats.entropy([5, 10, 15])
    ignorant = np.full((30, 4), 0.25)
    assert leep(ignorant, labels) == pytest.approx(-entropy, abs=1e-12)
    assert nce(ignorant, labels) == pytest.approx(-entropy, abs=1e-12)
    knowing = np.eye(4)[labels]
    assert leep(knowing, labels) == nce(knowing, labels) == 0
    # With hard pseudo-labels the two are one.
    features, labels = clustered(40, 4)
    hard = np.eye(6)[features.argmax(axis=1)]
    joint = np.histogram2d(features.argmax(axis=1), labels, (6, 4))[0]
    expected = scipy.stats.entropy(joint.sum(axis=1)) - scipy.stats.entropy(joint.ravel())
    assert nce(hard, labels) == pytest.approx(expected, abs=1e-12)
    assert leep(hard, labels) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("k", [1, 5])
def test_knn_is_scikit_learns(k):
    features, labels = clustered(41, 2, d=5)  # two classes and an odd k: no tie of votes
    right = 0
    for i in range(41):
        others = np.arange(41) != i
        fitted = KNeighborsClassifier(k).fit(features[others], labels[others])
        right += fitted.predict(features[i : i + 1])[0] == labels[i]
    assert knn(features + 1e3, labels, neighbours=k) == pytest.approx(right / 41, abs=1e-12)


def test_ties_of_neighbours_are_shared():
    corners = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    # Each corner is as near to one of its class as to one of the other.
    assert knn(corners, np.array([0, 0, 1, 1])) == 0.5
    # All four at one place: of three neighbours one is right, or two for the larger class.
    assert knn(np.ones((4, 2)), np.array([0, 0, 1, 1])) == 0
    assert knn(np.ones((5, 2)), np.array([0, 0, 0, 1, 1])) == 3 / 5 * 0.5
    # A tie of votes for the first two; the third is told both others' class.
    assert knn(np.arange(3.0)[:, None], np.array([0, 0, 1]), neighbours=2) == pytest.approx(1 / 3)


@pytest.mark.parametrize("d", [4, 50])
def test_h_score_is_the_sum_of_squared_canonical_correlations(d):
    features, labels = clustered(30, 4, d=d)
    spans = [scipy.linalg.orth(x - x.mean(axis=0)) for x in (features, np.eye(4)[labels])]
    correlations = scipy.linalg.svdvals(spans[0].T @ spans[1])
    expected = np.square(correlations).sum()
    assert h_score(features, labels) == pytest.approx(expected, abs=1e-9)
    if d > 30:
        assert h_score(features, labels) == 3  # whatever the features
    covariance, a = ledoit_wolf(features)
    means = np.array([features[labels == c].mean(axis=0) for c in range(4)])[labels]
    between = np.cov(means.T, bias=True)
    expected = (1 - a) * np.trace(np.linalg.solve(covariance, between))
    assert h_score(features, labels, shrunk=True) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("shape", [(20, 3), (20, 60), (500, 5), (9, 1)])
def test_shrinkage_is_scikit_learns(shape):
    features = np.random.default_rng(1).normal(size=shape) * np.arange(1, shape[1] + 1)
    centred = features - features.mean(axis=0)
    expected = ledoit_wolf_shrinkage(features)
    assert shrinkage(centred, shape[1]) == pytest.approx(expected, abs=1e-12)


def evidence(features, target, alpha, beta):
    covariance = np.eye(len(target)) / beta + features @ features.T / alpha
    return scipy.stats.multivariate_normal(cov=covariance).logpdf(target) / len(target)


@pytest.mark.parametrize("seed", range(3))
def test_logme_is_the_largest_evidence(seed):
    features, labels = clustered(25, 3, d=4, signal=0.7, seed=seed)
    best = []
    for c in range(3):
        target = (labels == c).astype(float)
        starts = [
            scipy.optimize.minimize(
                lambda x, t=target: -evidence(features, t, *np.exp(x)), start, method="Nelder-Mead"
            ).fun
            for start in ([0, 0], [3, 3])
        ]
        best.append(-min(starts))
    assert logme(features, labels) == pytest.approx(np.mean(best), abs=1e-7)


def test_logme_of_features_wider_than_the_probe():
    rng = np.random.default_rng(0)
    labels = np.arange(12) % 3
    # Of such, beta is infinite: the labels are in the features' span, without noise.
    features = 0.1 * rng.normal(size=(12, 40)) + 3 * np.eye(3, 40)[labels]
    kernel = features @ features.T
    expected = []
    for c in range(3):
        target = (labels == c).astype(float)
        square = target @ np.linalg.solve(kernel, target) / 12
        found = scipy.stats.multivariate_normal(cov=square * kernel).logpdf(target) / 12
        near = evidence(features, target, 1 / square, 1e9)
        assert found == pytest.approx(near, abs=1e-4) and found >= near
        expected.append(found)
    assert logme(features, labels) == pytest.approx(np.mean(expected), abs=1e-9)
    # Noise is no better for being wide.
    wide = [logme(rng.normal(size=(60, d)), np.arange(60) % 4) for d in (8, 400)]
    assert wide == pytest.approx([noise_evidence(np.arange(60) % 4 == 0)] * 2, abs=0.03)


def test_logme_of_several_labels_an_image():
    rng = np.random.default_rng(2)
    labels = (rng.random((30, 4)) < 0.4).astype(int)
    features = labels @ rng.normal(size=(4, 5)) + rng.normal(size=(30, 5))
    alone = [np.stack([column, np.zeros_like(column)], axis=1) for column in labels.T]
    expected = np.mean([logme(features, column) for column in alone])
    assert logme(features, labels) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("d", [3, 40])
def test_transrate_by_determinants(d):
    features, labels = clustered(24, 3, d=d)
    labels[:6] = 0

    def rate(z):
        return np.linalg.slogdet(np.eye(d) + z.T @ z / (len(z) * 1e-4))[1] / 2

    z = features - features.mean(axis=0)
    expected = rate(z) - sum((labels == c).mean() * rate(z[labels == c]) for c in range(3))
    assert transrate(features, labels) == pytest.approx(expected, abs=1e-8)


def test_gbc_by_integration():
    features, labels = clustered(30, 3, d=1)
    of_class = [features[labels == c, 0] for c in range(3)]
    densities = [scipy.stats.norm(values.mean(), values.std()).pdf for values in of_class]
    expected = 0
    for i, p in enumerate(densities):
        for q in densities[:i]:
            common = scipy.integrate.quad(lambda x, p=p, q=q: np.sqrt(p(x) * q(x)), -20, 20)[0]
            expected -= 2 * common
    for spherical in (False, True):  # of one feature the same
        assert gbc(features, labels, spherical=spherical) == pytest.approx(expected, abs=1e-7)


def test_gbc_of_wide_features_and_of_classes_of_one_image():
    features, labels = clustered(80, 4, d=100, signal=0.2)
    centred = features - features.mean(axis=0)
    _, _, vt = np.linalg.svd(centred, full_matrices=False)
    for spherical in (False, True):
        narrow = gbc(centred @ vt[:64].T, labels, spherical=spherical)
        assert gbc(features, labels, spherical=spherical) == pytest.approx(narrow, abs=1e-12)
    single = np.where(np.arange(80) == 7, 4, labels)
    assert -20 <= gbc(features, single) <= 0


@pytest.mark.parametrize("d", [1, 5])
def test_lda_is_scikit_learns(d):
    features, labels = clustered(50, 3, d=d)
    labels[:8] = 0
    residuals = features - np.array([features[labels == c].mean(axis=0) for c in range(3)])[labels]
    # No shrinkage of a single feature, whose covariance is a multiple of the identity.
    a = ledoit_wolf_shrinkage(residuals, assume_centered=True)
    other = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=a).fit(features, labels)
    expected = other.predict_proba(features)[np.arange(50), labels].mean()
    assert lda(features, labels) == pytest.approx(expected, abs=1e-9)


def test_nleep_tells_clusters_from_noise():
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    clusters = 20 * rng.normal(size=(3, 4))[labels] + rng.normal(size=(120, 4))
    noise = rng.normal(size=(120, 4))
    assert nleep(clusters, labels) == pytest.approx(0, abs=1e-6)
    assert -np.log(3) < nleep(noise, labels) < -0.5
    assert nleep(noise, labels) == nleep(noise, labels)  # its seed is its own
    assert np.isfinite(nleep(np.eye(3)[labels], labels))  # three places, more components


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    classes=st.integers(2, 5),
    d=st.sampled_from([2, 7, 30]),
    name=st.sampled_from(METRICS_HERE),
)
def test_what_does_not_matter(seed, classes, d, name):
    rng = np.random.default_rng(seed)
    features, labels = clustered(24, classes, d=d, seed=seed)
    score, values = METRICS[name], values_for(name, features)
    expected = score(values, labels)
    low, high = score.range.strip("[](),").split(", ")
    bounds = {"inf": np.inf, "-inf": -np.inf, "c - 1": classes - 1, "-log c": -np.log(classes)}
    bounds |= {"-c (c - 1": -classes * (classes - 1), "-c (c - 1)": -classes * (classes - 1)}
    low, high = (bounds[end] if end in bounds else float(end) for end in (low, high))
    assert low - 1e-9 <= expected <= high + 1e-9
    assert isinstance(expected, float)
    assert score(values, labels) == expected
    order = rng.permutation(24)
    assert score(values[order], labels[order]) == pytest.approx(expected, abs=1e-8)
    if name != "nleep":  # whose order of the images is by label where the features are equal
        assert score(values, rng.permutation(20)[labels]) == pytest.approx(expected, abs=1e-8)
    assert score(values, np.eye(classes, dtype=int)[labels]) == pytest.approx(expected, abs=1e-10)
    assert score(values.astype(np.float32), labels) == pytest.approx(expected, abs=1e-3)
    if name in SCALE_FREE:
        for factor in (2.0**-500, 2.0**600):
            assert score(factor * values, labels) == pytest.approx(expected, abs=1e-8)
    if name in ROTATION_FREE and name != "nleep":
        rotation = scipy.stats.ortho_group.rvs(d, random_state=seed)
        assert score(values @ rotation, labels) == pytest.approx(expected, abs=1e-7)
    if name not in ("leep", "nce", "logme", "nleep"):
        assert score(values + 5, labels) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", METRICS_HERE)
def test_better_features_score_higher(name):
    noise, labels = clustered(90, 3, d=8, signal=0)
    scores = []
    for signal in (0.0, 1.5, 4.0):
        features = noise + signal * np.eye(8)[labels]
        scores.append(METRICS[name](values_for(name, features), labels))
    assert scores[0] < scores[1] < scores[2]


@pytest.mark.parametrize("name", METRICS_HERE)
def test_inputs_without_an_answer(name):
    features, labels = clustered(24, 3)
    score, values = METRICS[name], values_for(name, features)
    several = np.eye(3, dtype=int)[labels]
    several[4] = 1
    if name == "logme":
        assert np.isfinite(score(values, several))
    else:
        with pytest.raises(ValueError, match="one label each"):
            score(values, several)
    if name in ("transrate", "gbc", "gbc_spherical"):
        with pytest.raises(ValueError, match=r"2e\+200"):
            score(2e200 * np.ones((24, 2)), labels)
    if name in ("leep", "nce"):
        return
    same = np.ones((24, 3))
    if name.startswith("knn") or name == "logme":
        assert np.isfinite(score(same, labels))
    else:
        with pytest.raises(ValueError, match="the same for every sample"):
            score(same, labels)


def test_further_inputs_without_an_answer():
    features, labels = clustered(24, 3)
    theta = scipy.special.softmax(features, axis=1)
    for metric in (leep, nce):
        with pytest.raises(ValueError, match=r"negative numbers.* row 3$"):
            metric(np.where(np.arange(24)[:, None] == 3, -theta, theta), labels)
        with pytest.raises(ValueError, match=r"sum to 1: 24 rows"):
            metric(theta / 2, labels)
        assert metric(theta.astype(np.float16), labels) == pytest.approx(
            metric(theta, labels), abs=0.01
        )
    for k in (0, 24):
        with pytest.raises(ValueError, match="neighbours of 24 samples"):
            knn(features, labels, neighbours=k)
    with pytest.raises(ValueError, match="all features are zero"):
        logme(np.zeros((24, 3)), labels)
    with pytest.raises(ValueError, match="exactly"):
        logme(np.eye(3)[labels], labels)
    with pytest.raises(ValueError, match="vary within the classes"):
        lda(np.eye(3)[labels], labels)
    with pytest.raises(ValueError, match="at least 10"):
        nleep(features[:9], labels[:9])
