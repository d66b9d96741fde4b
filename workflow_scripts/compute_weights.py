"""Rule compute_weights: turn similarity scores into one recipe's weights over the sources."""

import math
from pathlib import Path

import numpy as np
import pandas as pd

from distillweighted.seeds import derive_seed
from distillweighted.weights import (
    inverse_weights,
    one_hot_weights,
    random_weights,
    similarity_weights,
)


def weigh(
    scores: pd.Series,
    *,
    method: str,
    p: float,
    draw: int,
    architecture: str | None,
    target: str,
    seed: int,
    fallback: str | None,
    random_sources: int | None,
) -> np.ndarray:
    """The weights [S] of one recipe, for scores [S] ordered by source."""
    if method == "distill_weighted":
        return similarity_weights(scores.to_numpy(), p, fallback=fallback)
    if method == "distill_inverse":
        return inverse_weights(scores.to_numpy())
    if method == "distill_random_weights":
        count = None if random_sources is None else min(random_sources, len(scores))
        stream = derive_seed(seed, target, "random weights")
        return random_weights(len(scores), seed=stream, draw=draw, num_nonzero=count)
    if method == "finetune_selected_source":
        # A ranking, not eq. 5: the best of this architecture, whatever the sign of its score.
        return one_hot_weights(list(scores.index), scores.idxmax())
    raise ValueError(f"method '{method}' has no weights over sources")


def main(
    similarity: Path,
    output: Path,
    *,
    recipe: dict,
    target: str,
    seed: int,
    metric: str,
    representation: str,
    fallback: str,
    random_sources: int | None,
    architectures: dict[str, str],
) -> None:
    """Write source, weight; the weights sum to 1.

    Args:
        similarity: Table of the target's scores for one seed.
        output: The table to write.
        recipe: method, p, draw and architecture of the recipe.
        target: The target.
        seed: The replicate.
        metric: The metric that weights.
        representation: The representation that weights.
        fallback: error, equal or nearest.
        random_sources: How many sources random weights cover; None for all.
        architectures: Architecture of each source.
    """
    table = pd.read_csv(similarity)
    chosen = table[(table["metric"] == metric) & (table["representation"] == representation)]
    scores = chosen.set_index("source")["score"].sort_index()
    if recipe["architecture"] is not None:
        scores = scores[[architectures[name] == recipe["architecture"] for name in scores.index]]
    p = math.inf if recipe["p"] == "inf" else recipe["p"]
    try:
        weights = weigh(
            scores,
            **{**recipe, "p": p},
            target=target,
            seed=seed,
            fallback=None if fallback == "error" else fallback,
            random_sources=random_sources,
        )
    except ValueError as error:
        raise ValueError(
            f"target '{target}', seed {seed}, {metric} on {representation}: {error}. In the "
            "configuration: choose another similarity.weighting.metric or representation, set "
            "similarity.weighting.fallback (equal or nearest), or exclude sources"
        ) from error
    pd.DataFrame({"source": scores.index, "weight": weights}).to_csv(output, index=False)


if "snakemake" in globals():
    from distillweighted.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.input[0]),
            Path(snakemake.output[0]),
            recipe=snakemake.params.recipe,
            target=snakemake.wildcards.target,
            seed=int(snakemake.wildcards.seed),
            **snakemake.params.settings,
            architectures=snakemake.params.architectures,
        )
