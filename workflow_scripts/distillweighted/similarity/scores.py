"""The scores of all sources of a target, on one probe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

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
        metrics: names in `METRICS`; each is computed of those of its representations that are
            there.
        target: the target's name, for the table and for errors.
        seed: the replicate the probe belongs to, for the table.

    Returns:
        Columns target, seed, source, representation, metric, score; rows in the order given.

    Raises:
        ValueError: an unknown metric, or a score that does not exist; it names target, source,
            representation and metric.
    """
    unknown = [name for name in metrics if name not in METRICS]
    if unknown:
        raise ValueError(f"unknown metric {unknown}: choose from {list(METRICS)}")
    labels = np.asarray(labels)
    rows = []
    for source, arrays in representations.items():
        for representation, array in arrays.items():
            prepared = None
            for metric in metrics:
                if representation not in METRICS[metric].representations:
                    continue
                try:
                    if len(array) != len(labels):
                        raise ValueError(f"{len(array)} rows for {len(labels)} labels")
                    prepared = prepared or Representation(array[probe])
                    score = METRICS[metric](prepared, labels[probe])
                except ValueError as error:
                    raise ValueError(
                        f"no {metric} score for source {source!r} ({representation}) "
                        f"on target {target!r}: {error}"
                    ) from error
                rows.append((target, seed, source, representation, metric, score))
    columns = ["target", "seed", "source", "representation", "metric", "score"]
    return pd.DataFrame(rows, columns=columns)
