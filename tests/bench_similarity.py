"""Speed of the similarity as ratios, each measured in one run: `make bench`; see tests/bench.py."""

import numpy as np
from bench import REPEATS, SIZES, compare, exit_if_missed
from scipy.stats import spearmanr

from distillweighted.similarity.metrics.parc import parc
from distillweighted.similarity.scores import score_sources


def main() -> None:
    """PARC against the public code, and all scores against the implementation before this one."""
    rng = np.random.default_rng(0)
    for n, d in ((2000, 64), (2000, 512), (5000, 64)):
        labels = rng.permutation(np.arange(n) % 37)
        features = 0.3 * rng.normal(size=(37, d))[labels] + rng.normal(size=(n, d))
        compare(
            f"PARC of {n:,} images, {d} features: the public code's time / ours",
            lambda x=features, y=labels: public_parc(x, y),
            lambda x=features, y=labels: parc(x, y, standardize=True),
            at_least=5,
            repeats=REPEATS if n < 5000 else 3,
        )

    labels = rng.integers(0, 32, 1110)
    for name, widths in (
        ("the mini paper's", (64, 128, 96, 128)),
        ("one of 2,048 features", (2048,)),
    ):
        bank = {}
        for i, size in enumerate(SIZES if len(widths) > 1 else SIZES[:1]):
            features = rng.normal(size=(1110, widths[i % len(widths)])) + labels[:, None] % 2
            logits = np.exp(2 * rng.normal(size=(1110, size)))
            bank[f"{i}"] = {
                "features": features.astype(np.float32),
                "pseudo_labels": (logits / logits.sum(axis=1, keepdims=True)).astype(np.float32),
            }

        def former(bank: dict = bank) -> list[float]:
            arrays = [x.astype(np.float64) for outputs in bank.values() for x in outputs.values()]
            every = (former_parc, lambda x, y: former_parc(standardized(x), y), former_cka)
            return [score(x, labels) for x in arrays for score in every]

        def ours(bank: dict = bank) -> list[float]:
            rows, metrics = np.arange(len(labels)), ("parc", "rsa", "cka")
            table = score_sources(bank, labels, rows, metrics=metrics, target="t", seed=0)
            return table["score"].tolist()

        np.testing.assert_allclose(ours(), former(), rtol=0, atol=1e-12)
        compare(
            f"{6 * len(bank)} scores of 1,110 images, sources: {name}, formerly / now",
            former,
            ours,
            at_least=4,
            repeats=3,
        )
    exit_if_missed()


def standardized(features: np.ndarray) -> np.ndarray:
    return (features - features.mean(axis=0)) / features.std(axis=0)


def public_parc(features: np.ndarray, labels: np.ndarray) -> float:
    """PARC as its authors' code computes it, step by step."""
    triangle = np.triu_indices(len(features), 1)
    of_features = (1 - np.corrcoef(standardized(features)))[triangle]
    of_labels = (1 - np.corrcoef(np.eye(labels.max() + 1)[labels]))[triangle]
    return spearmanr(of_features, of_labels).statistic


def former_parc(features: np.ndarray, labels: np.ndarray) -> float:
    """PARC by ranking both sides: the exact score, before one sort gave it."""
    triangle = np.triu_indices(len(features), 1)
    rows = features - features.mean(axis=1, keepdims=True)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    of_features = np.round(1 - rows @ rows.T, 12)[triangle]
    of_labels = (labels[:, None] != labels).astype(np.float64)[triangle]
    return spearmanr(of_features, of_labels).statistic


def former_cka(features: np.ndarray, labels: np.ndarray) -> float:
    """CKA by products of features, or by kernels where they are smaller."""
    x = features - features.mean(axis=0)
    y = np.eye(labels.max() + 1)[labels]
    y -= y.mean(axis=0)

    def product(a: np.ndarray, b: np.ndarray) -> float:
        if a.shape[1] * b.shape[1] <= len(a) * (a.shape[1] + b.shape[1]):
            return np.square(a.T @ b).sum()
        kernel = a @ a.T
        return (kernel * (kernel if b is a else b @ b.T)).sum()

    return product(x, y) / np.sqrt(product(x, x) * product(y, y))


if __name__ == "__main__":
    main()
