"""Rule score_similarity: how similar every source is to a target, on the labelled probe."""

from collections.abc import Mapping
from pathlib import Path

from distillweighted.seeds import derive_seed
from distillweighted.similarity.jobs import ScoreJob
from distillweighted.similarity.probe import draw_probe
from distillweighted.similarity.scores import score_sources
from distillweighted.sources.outputs import load_inference
from distillweighted.tasks.splits import read_split


def main(
    job: ScoreJob,
    inference: Mapping[str, Path],
    index: Path,
    split: Path,
    labeled: Path,
    output: Path,
) -> None:
    """Write target, seed, source, representation, metric, score.

    Args:
        job: The target, its probe, and what is computed.
        inference: Outputs of each source of the job.
        index: images.csv of the target.
        split: The target's split.
        labeled: Its labelled images and their labels.
        output: The table to write.
    """
    rows, labels, *_ = read_split(split, labeled, index)
    outputs = {}
    for source, path in inference.items():
        loaded = load_inference(path)
        outputs[source] = {name: loaded[name][rows] for name in job.representations}
    probe = draw_probe(labels, job.probe_size, seed=derive_seed(job.seed, job.target, "probe"))
    table = score_sources(
        outputs, labels, probe, metrics=job.metrics, target=job.target, seed=job.seed
    )
    table.to_csv(output, index=False)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        score_job, files = ScoreJob.of(snakemake.params.job), snakemake.input
        main(
            score_job,
            dict(zip(score_job.sources, map(Path, files.inference), strict=True)),
            Path(files.index),
            Path(files.split),
            Path(files.labeled),
            Path(snakemake.output[0]),
        )
