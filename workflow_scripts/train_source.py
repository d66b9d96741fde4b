"""Rule train_source: train one source model, or the model that students start from."""

import math
from pathlib import Path

from distillweighted.training.source import make_source
from distillweighted.training.source_job import SourceJob


def main(
    job: SourceJob,
    task_folder: Path,
    initial: Path | None,
    model_path: Path,
    meta_path: Path,
    *,
    threads: int,
    code: str = "",
    checkpoint_minutes: float = math.inf,
    scratch: str | None = None,
) -> None:
    """Train a model on the task in `task_folder`, from the one in the file `initial` if given;
    write it and what it is (see `distillweighted.training.source`)."""
    make_source(
        job,
        task_folder,
        initial,
        model_path,
        meta_path,
        threads=threads,
        code=code,
        checkpoint_minutes=checkpoint_minutes,
        scratch=scratch,
    )


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            SourceJob.of(snakemake.params.job),
            Path(snakemake.input.meta).parent,
            Path(snakemake.input.initial[0]) if snakemake.input.initial else None,
            Path(snakemake.output.model),
            Path(snakemake.output.meta),
            threads=snakemake.threads,
            code=snakemake.params.code,
            # No parameters of the rule: other values train nothing again.
            checkpoint_minutes=snakemake.config["training"]["checkpoint_minutes"],
            scratch=snakemake.config["scratch"],
        )
