"""Rule compute_weights: turn similarity scores into one recipe's weights over the sources."""

import math
from pathlib import Path

import numpy as np

from distillweighted.files.tables import write_table
from distillweighted.seeds import derive_seed
from distillweighted.similarity.tables import read_scores
from distillweighted.weights import (
    inverse_weights,
    one_hot_weights,
    random_weights,
    similarity_weights,
)


def weigh(
    scores: dict[str, float],
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
    """The weights [S] of one recipe, for the scores of S sources ordered by name."""
    values = np.array(list(scores.values()))
    if method == "distill_weighted":
        return similarity_weights(values, p, fallback=fallback)
    if method == "distill_inverse":
        return inverse_weights(values)
    if method == "distill_random_weights":
        count = None if random_sources is None else min(random_sources, len(scores))
        stream = derive_seed(seed, target, "random weights")
        return random_weights(len(scores), seed=stream, draw=draw, num_nonzero=count)
    if method == "finetune_selected_source":
        # A ranking, not eq. 5: the best of this architecture, whatever the sign of its score.
        return one_hot_weights(list(scores), max(scores, key=scores.__getitem__))
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
    scores = read_scores(similarity, architectures, metric=metric, representation=representation)
    if recipe["architecture"] is not None:
        scores = {s: e for s, e in scores.items() if architectures[s] == recipe["architecture"]}
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
        fallback_hint = ""
        if recipe["method"] == "distill_weighted":
            fallback_hint = ", set similarity.weighting.fallback (equal or nearest)"
        raise ValueError(
            f"target '{target}', seed {seed}, {metric} on {representation}: {error}. In the "
            "configuration: choose another similarity.weighting.metric or representation"
            f"{fallback_hint}, or exclude sources"
        ) from error
    write_table(output, ("source", "weight"), zip(scores, weights.tolist(), strict=True))


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.input[0]),
            Path(snakemake.output[0]),
            recipe=snakemake.params.recipe,
            target=snakemake.wildcards.target,
            seed=snakemake.params.seed,
            **snakemake.params.settings,
            architectures=snakemake.params.architectures,
        )
