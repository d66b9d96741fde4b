"""Rule collect_accuracy: gather students, similarities and weights into one table each."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

COLUMNS = ["target", "recipe", "method", "p", "source", "seed", "student"]
COLUMNS += ["accuracy", "balanced_accuracy"]


def main(
    metrics: Sequence[Path],
    similarity: Sequence[Path],
    nearest: dict[tuple[str, int], Path],
    output: dict[str, Path],
) -> None:
    """Write accuracy.csv (a row a student), similarity.csv, nearest.csv and compute.csv.

    Args:
        metrics: metrics.json of every student.
        similarity: Scores of every target and seed.
        nearest: The p = inf weights of every target and seed: all on the nearest source.
        output: Where each table goes.
    """
    records = [json.loads(Path(path).read_text()) for path in metrics]
    pd.DataFrame(records)[COLUMNS].to_csv(output["accuracy"], index=False)
    pd.concat(map(pd.read_csv, similarity)).to_csv(output["similarity"], index=False)
    rows = []
    for (target, seed), path in nearest.items():
        weights = pd.read_csv(path).set_index("source")["weight"]
        rows.append({"target": target, "seed": seed, "source": weights.idxmax()})
    pd.DataFrame(rows).to_csv(output["nearest"], index=False)
    compute = pd.DataFrame(records).groupby("student", sort=False)[["gmacs", "parameters"]]
    # Heads differ between targets by their classes; the mean stands for the architecture.
    compute.mean().reset_index().to_csv(output["compute"], index=False)


if "snakemake" in globals():
    from distillweighted.joblog import job_log

    with job_log(snakemake.log[0]):
        pairs = [tuple(pair) for pair in snakemake.params.pairs]
        main(
            snakemake.input.metrics,
            snakemake.input.similarity,
            dict(zip(pairs, snakemake.input.nearest, strict=True)),
            {name: Path(path) for name, path in snakemake.output.items()},
        )
