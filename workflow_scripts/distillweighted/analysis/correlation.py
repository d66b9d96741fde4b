"""How well a ranking of the sources foretells the accuracy of their students: Table 2.

Every function joins the single-source students with the similarity scores of their sources. A
statistic is computed within one target and one seed, over the sources, and then averaged over the
seeds: a seed has its own labelled split, so scores of two seeds are not pooled in one ranking.

The scores may be a similarity's, or those of `rankings`, which look at no image of the target.
"""

import logging
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

from distillweighted.analysis.methods_accuracy import check_accuracy, require_columns

log = logging.getLogger(__name__)

#: Fewer sources than this have no correlation worth the name: two points always give +1 or -1.
MIN_SOURCES = 3

_REPRESENTATION_ORDER = {"pseudo_labels": 0, "features": 1, "data_free": 2}
_SCORE_KEY = ["representation", "metric", "target", "seed", "source"]

# Of one target and seed: the scores, the accuracies and the names of the sources, to a number.
Statistic = Callable[[np.ndarray, np.ndarray, np.ndarray], float]


def single_source_scores(
    accuracy: pd.DataFrame, similarity: pd.DataFrame, *, value: str = "accuracy"
) -> pd.DataFrame:
    """The single-source students joined with the scores of their sources.

    Args:
        accuracy: One row a student, columns `tables.ACCURACY_COLUMNS`.
        similarity: Columns target, seed, source, representation, metric, score. Scores of sources
            without a student are left out.
        value: accuracy or balanced_accuracy.

    Returns:
        Columns representation, metric, target, seed, source, score, accuracy (percent).
        Representations in the paper's order, metrics by name, targets as in `accuracy`.

    Raises:
        ValueError: There is no single-source student, a score is missing, NaN or there twice.
    """
    check_accuracy(accuracy)
    require_columns(similarity, [*_SCORE_KEY, "score"], "the similarity table")
    singles = accuracy.loc[accuracy["method"] == "distill_single"]
    singles = singles[["target", "seed", "source"]].assign(accuracy=singles[value])
    if singles.empty:
        raise ValueError("no single-source student (method distill_single) to correlate with")
    twice = similarity[similarity.duplicated(_SCORE_KEY)]
    if len(twice):
        raise ValueError(f"two scores for {twice.iloc[0][_SCORE_KEY].to_dict()}")
    parts = []
    kinds = set(zip(similarity["representation"], similarity["metric"], strict=True))
    for representation, metric in sorted(kinds, key=_place):
        rows = similarity[
            (similarity["representation"] == representation) & (similarity["metric"] == metric)
        ]
        scores = rows[["target", "seed", "source", "score"]]
        joined = singles.merge(scores, how="left", on=["target", "seed", "source"])
        parts.append(joined.assign(representation=representation, metric=metric))
    table = pd.concat(parts, ignore_index=True)[[*_SCORE_KEY, "score", "accuracy"]]
    bad = table[~np.isfinite(table["score"])]
    if len(bad):
        raise ValueError(f"no finite score for {bad.iloc[0][_SCORE_KEY].to_dict()}")
    return table


def _place(kind: tuple[str, str]) -> tuple[object, ...]:
    """The paper's order, then what it does not have; chance comes last."""
    representation, metric = kind
    return _REPRESENTATION_ORDER.get(representation, 3), metric == "random", kind


def table2_correlation(
    accuracy: pd.DataFrame, similarity: pd.DataFrame, *, value: str = "accuracy"
) -> pd.DataFrame:
    """Table 2: Spearman correlation of score and single-source accuracy, mean over seeds.

    Args:
        accuracy: As for `single_source_scores`.
        similarity: As for `single_source_scores`.
        value: accuracy or balanced_accuracy.

    Returns:
        Columns representation, metric, one a target, mean (over targets). NaN for a target whose
        scores or accuracies are all the same in some seed, and then for the mean: there is no
        correlation. The log says where.

    Raises:
        ValueError: The input is faulty, or a target has fewer than 3 sources.
    """
    return per_target(single_source_scores(accuracy, similarity, value=value), spearman)


def table2_other_coefficients(
    accuracy: pd.DataFrame, similarity: pd.DataFrame, *, value: str = "accuracy"
) -> pd.DataFrame:
    """Table 2 with further coefficients: Kendall's tau-b, Pearson, and weighted tau.

    The weighted tau is Vigna's with hyperbolic weights, the mean of ranking by score and by
    accuracy (scipy's default).

    Args:
        accuracy: As for `single_source_scores`.
        similarity: As for `single_source_scores`.
        value: accuracy or balanced_accuracy.

    Returns:
        Columns coefficient (kendall, pearson, weighted_tau), representation, metric, one a
        target, mean.

    Raises:
        ValueError: As `table2_correlation`.
    """
    table = single_source_scores(accuracy, similarity, value=value)
    coefficients: dict[str, Statistic] = {
        "kendall": lambda score, y, _: stats.kendalltau(score, y).statistic,
        "pearson": lambda score, y, _: stats.pearsonr(score, y).statistic,
        "weighted_tau": lambda score, y, _: stats.weightedtau(score, y).statistic,
    }
    parts = []
    for name, statistic in coefficients.items():
        part = per_target(table, statistic)
        part.insert(0, "coefficient", name)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def spearman(score: np.ndarray, accuracy: np.ndarray, source: np.ndarray) -> float:
    """Spearman's rank correlation of scores and accuracies [s]; ties share their mean rank."""
    return stats.spearmanr(score, accuracy).statistic


def per_target(
    table: pd.DataFrame,
    statistic: Statistic,
    *,
    min_sources: int = MIN_SOURCES,
    needs_spread: bool = True,
) -> pd.DataFrame:
    """A statistic of each target and seed, averaged over the seeds.

    Args:
        table: What `single_source_scores` returns.
        statistic: Of the scores, accuracies and names [s] of one target and seed, to a number.
        min_sources: Sources that a target must have.
        needs_spread: Whether it is NaN where scores or accuracies are all the same (the log says
            where), and so are the means that it is part of.

    Returns:
        Columns representation, metric, one a target, mean (over targets).

    Raises:
        ValueError: A target has fewer sources.
    """
    rows = []
    for (representation, metric), kind in table.groupby(["representation", "metric"], sort=False):
        row: dict[str, object] = {"representation": representation, "metric": metric}
        means = {}
        for target, group in kind.groupby("target", sort=False):
            values = []
            for seed, cell in group.groupby("seed", sort=True):
                where = f"target {target!r}, seed {seed}, {metric} of {representation}"
                if len(cell) < min_sources:
                    raise ValueError(f"{where}: {len(cell)} sources, at least {min_sources} needed")
                score, y = cell["score"].to_numpy(float), cell["accuracy"].to_numpy(float)
                for what, numbers in (("scores", score), ("accuracies", y)):
                    if flat := needs_spread and np.ptp(numbers) == 0:
                        log.warning("%s: all %s are %s: no correlation", where, what, numbers[0])
                        break
                value = np.nan if flat else statistic(score, y, cell["source"].to_numpy())
                values.append(float(value))
            means[target] = np.mean(values)
        rows.append({**row, **means, "mean": np.mean(list(means.values()))})
    return pd.DataFrame(rows)


def single_source_points(
    accuracy: pd.DataFrame,
    similarity: pd.DataFrame,
    *,
    representation: str = "features",
    metric: str = "parc",
) -> pd.DataFrame:
    """Figs. 3 and 4: the single-source students with the scores of their sources.

    Args:
        accuracy: One row a student, columns `tables.ACCURACY_COLUMNS`.
        similarity: Columns target, seed, source, representation, metric, score.
        representation: features or pseudo_labels.
        metric: The name of the similarity.

    Returns:
        Columns target, source, score, rank (of the score within the target, 0 smallest to 1
        largest), accuracy, standard_error, n_seeds: one row a target and source, means over
        seeds.

    Raises:
        ValueError: There is no such score.
    """
    require_columns(similarity, ("representation", "metric"), "the similarity table")
    chosen = similarity[
        (similarity["representation"] == representation) & (similarity["metric"] == metric)
    ]
    if chosen.empty:
        raise ValueError(f"the similarity table has no {metric} of {representation}")
    groups = single_source_scores(accuracy, chosen).groupby(["target", "source"], sort=False)
    table = groups.agg(
        score=("score", "mean"),
        accuracy=("accuracy", "mean"),
        standard_error=("accuracy", "sem"),
        n_seeds=("accuracy", "size"),
    ).reset_index()
    by_target = table.groupby("target")["score"]
    last = (by_target.transform("size") - 1).clip(lower=1)
    table.insert(3, "rank", (by_target.rank() - 1) / last)
    return table
