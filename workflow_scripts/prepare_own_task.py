"""Rule prepare_own_task: decode the images of a user's own task, once, and part them."""

from pathlib import Path

from distillweighted.tasks.jobs import OwnPreparationJob
from distillweighted.tasks.own.preparation import prepare_own_task
from distillweighted.tasks.own.spec import OwnTaskSpec


def main(job: OwnPreparationJob, folder: Path, *, threads: int) -> None:
    """Write the prepared task to `folder` (see `distillweighted.tasks.prepared`)."""
    prepare_own_task(folder, OwnTaskSpec.of(job.spec), threads=threads)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            OwnPreparationJob.of(snakemake.params.job),
            Path(snakemake.output.meta).parent,
            threads=snakemake.threads,
        )
