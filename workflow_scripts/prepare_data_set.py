"""Rule prepare_data_set: decode the images of one public data set, once."""

from pathlib import Path

from distillweighted.tasks.datasets.registry import DATASETS
from distillweighted.tasks.preparation import prepare_data_set


def main(folder: Path, *, task: str, data_root: Path, check_counts: bool, threads: int) -> None:
    """Write the prepared task `task` to `folder` (see `distillweighted.tasks.prepared`)."""
    prepare_data_set(folder, DATASETS[task], data_root, check_counts=check_counts, threads=threads)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.output.meta).parent,
            task=snakemake.wildcards.task,
            data_root=Path(snakemake.params.data_root),
            check_counts=snakemake.params.check_counts,
            threads=snakemake.threads,
        )
