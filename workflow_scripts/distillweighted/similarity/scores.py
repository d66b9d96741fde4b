"""The scores of all sources of a target, on one probe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from distillweighted.similarity.ensembles import (
    is_ensemble,
    mean_ranks,
    members,
    representations_of,
)
from distillweighted.similarity.metrics.inputs import Representation
from distillweighted.similarity.metrics.registry import METRICS


def score_sources(
    representations: Mapping[str, Mapping[str, np.ndarray]],
    labels: np.ndarray,
    probe: np.ndarray,
    *,
    metrics: Sequence[str],
    target: str,
    seed: int,
) -> pd.DataFrame:
    """Score every source, representation and metric on one probe of one target.

    Args:
        representations: source -> representation ("features", "pseudo_labels") -> array `[n, d]`,
            its rows in the order of `labels`.
        labels: of the target's training images, integers `[n]` or multi-hot `[n, c]`.
        probe: indices into `labels`, from `draw_probe`.
        metrics: names in `METRICS`, each computed of those of its representations that are there,
            or ensembles of some of these names.
        target: the target's name, for the table and for errors.
        seed: the replicate the probe belongs to, for the table.

    Returns:
        Columns target, seed, source, representation, metric, score; rows in the order given.

    Raises:
        ValueError: an unknown metric, an ensemble of metrics that are not computed, or a score that
            does not exist; it names target, source, representation and metric.
    """
    single = [name for name in metrics if not is_ensemble(name)]
    unknown = [name for name in single if name not in METRICS]
    if unknown:
        raise ValueError(f"unknown metric {unknown}: choose from {list(METRICS)}")
    lacking = {member for name in metrics for member in members(name)} - {*single}
    if lacking:
        raise ValueError(f"metrics of an ensemble that are not computed: {sorted(lacking)}")
    labels = np.asarray(labels)
    scores: dict[tuple[str, str, str], float] = {}
    for source, arrays in representations.items():
        for representation, array in arrays.items():
            prepared = None
            for metric in single:
                if representation not in METRICS[metric].representations:
                    continue
                try:
                    if len(array) != len(labels):
                        raise ValueError(f"{len(array)} rows for {len(labels)} labels")
                    prepared = prepared or Representation(array[probe])
                    found = METRICS[metric](prepared, labels[probe])
                except ValueError as error:
                    raise ValueError(
                        f"no {metric} score for source {source!r} ({representation}) "
                        f"on target {target!r}: {error}"
                    ) from error
                scores[source, representation, metric] = found
    for name in filter(is_ensemble, metrics):
        for representation in representations_of(name):
            sources = [s for s, arrays in representations.items() if representation in arrays]
            if sources:
                of_members = [
                    np.array([scores[source, representation, member] for source in sources])
                    for member in members(name)
                ]
                ranked = zip(sources, mean_ranks(of_members).tolist(), strict=True)
                scores |= {(source, representation, name): score for source, score in ranked}
    rows = [
        (target, seed, source, representation, metric, scores[source, representation, metric])
        for source, arrays in representations.items()
        for representation in arrays
        for metric in metrics
        if (source, representation, metric) in scores
    ]
    columns = ["target", "seed", "source", "representation", "metric", "score"]
    return pd.DataFrame(rows, columns=columns)
