"""Rule score_similarity: how similar every source is to a target, on the labelled probe."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from distillweighted.seeds import derive_seed
from distillweighted.similarity.probe import draw_probe
from distillweighted.similarity.scores import score_sources
from distillweighted.sources.outputs import load_inference
from distillweighted.tasks.splits import read_split


def main(
    inference: Mapping[str, Path],
    index: Path,
    split: Path,
    labeled: Path,
    output: Path,
    *,
    target: str,
    seed: int,
    probe_size: int,
    metrics: Sequence[str],
    representations: Sequence[str],
) -> None:
    """Write target, seed, source, representation, metric, score."""
    rows, labels, _ = read_split(split, labeled, index)
    outputs = {}
    for source, path in inference.items():
        loaded = load_inference(path)
        outputs[source] = {name: loaded[name][rows] for name in representations}
    probe = draw_probe(labels, probe_size, seed=derive_seed(seed, target, "probe"))
    table = score_sources(outputs, labels, probe, metrics=metrics, target=target, seed=seed)
    table.to_csv(output, index=False)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            dict(zip(snakemake.params.sources, snakemake.input.inference, strict=True)),
            Path(snakemake.input.index),
            Path(snakemake.input.split),
            Path(snakemake.input.labeled),
            Path(snakemake.output[0]),
            target=snakemake.wildcards.target,
            seed=snakemake.params.seed,
            probe_size=snakemake.params.probe_size,
            metrics=snakemake.params.metrics,
            representations=snakemake.params.representations,
        )
