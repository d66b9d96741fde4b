"""Rule fetch: download the data sets and weights that may be downloaded automatically."""

from pathlib import Path

from distillweighted.sources.jobs import FetchJob
from distillweighted.workflow.required_files import fetch_all


def main(job: FetchJob) -> None:
    """Download what is missing.

    Args:
        job: The data sets and models that a run needs, and where they belong.

    Raises:
        RuntimeError: Where files are missing still, which a person has to get; says which.
    """
    roots = {"data_root": job.data_root, "models_root": job.models_root}
    folders = {name: Path(root) if root else None for name, root in roots.items()}
    missing = fetch_all(job.tasks, job.models, **folders)
    if missing:
        raise RuntimeError(f"what may be downloaded automatically is there now, but {missing}")


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(FetchJob.of(snakemake.params.job))
