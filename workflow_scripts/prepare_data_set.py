"""Rule prepare_data_set: decode the images of one public data set, once."""

from pathlib import Path

from distillweighted.tasks.datasets.registry import DATASETS
from distillweighted.tasks.jobs import PreparationJob
from distillweighted.tasks.preparation import prepare_data_set


def main(job: PreparationJob, folder: Path, *, threads: int) -> None:
    """Write the prepared task to `folder` (see `distillweighted.tasks.prepared`)."""
    prepare_data_set(
        folder,
        DATASETS[job.task],
        Path(job.data_root),
        check_counts=job.check_counts,
        threads=threads,
    )


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            PreparationJob.of(snakemake.params.job),
            Path(snakemake.output.meta).parent,
            threads=snakemake.threads,
        )
