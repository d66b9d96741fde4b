"""Rule probe_source: a linear probe on the features of a target's nearest source."""

from collections.abc import Mapping
from pathlib import Path

from distillweighted.similarity.jobs import ProbeJob
from distillweighted.similarity.probe_files import write_probe


def main(
    job: ProbeJob,
    target: Mapping[str, Path],
    inference: Mapping[str, Path],
    weights: Path,
    output: Path,
) -> None:
    """Fit and store it (see `distillweighted.similarity.probe_files`).

    Args:
        job: The target.
        target: Its split, labeled, index and meta.
        inference: Outputs of each source of the job.
        weights: Weights over the sources, all on the nearest one.
        output: The file to write.
    """
    write_probe(job, target, inference, weights, output)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        probe_job, files = ProbeJob.of(snakemake.params.job), snakemake.input
        main(
            probe_job,
            {name: Path(files[name]) for name in ("split", "labeled", "index", "meta")},
            dict(zip(probe_job.sources, map(Path, files.inference), strict=True)),
            Path(files.weights),
            Path(snakemake.output[0]),
        )
