"""Rule train_students: train the students of one cohort on the same batches."""

import math
from collections.abc import Mapping
from pathlib import Path

from distillweighted.training.cohort import CohortFiles, train_cohort
from distillweighted.training.cohort_job import CohortJob


def main(
    job: CohortJob,
    target: Mapping[str, Path],
    inference: Mapping[str, Path],
    models: Mapping[str, Path],
    output: Path,
    *,
    probe: Path | None = None,
    views: Mapping[str, Path] | None = None,
    threads: int,
    checkpoint_minutes: float = math.inf,
    scratch: str | None = None,
) -> None:
    """Train a cohort (see `distillweighted.training.cohort`).

    Args:
        job: The students and how they are trained.
        target: The target's files: train_images, test_images, index, meta, split and labeled.
        inference: Outputs of each source of the job.
        models: Each model of the job.
        output: Folder to write, one folder a student.
        probe: What a linear probe says of the target's images, where a student learns it.
        views: What each source says of fixed views of them, where a student learns that.
        threads: CPU threads.
        checkpoint_minutes: How often the training is saved.
        scratch: Folder for copies of the images on this machine's own disk.
    """
    train_cohort(
        job,
        CohortFiles(target, inference, models, probe, views or {}),
        output,
        threads=threads,
        checkpoint_minutes=checkpoint_minutes,
        scratch=scratch,
    )


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        cohort = CohortJob.of(snakemake.params.job)
        files = snakemake.input
        names = ("train_images", "test_images", "index", "meta", "split", "labeled")
        main(
            cohort,
            {name: Path(files[name]) for name in names},
            dict(zip(cohort.sources, map(Path, files.inference), strict=True)),
            dict(zip(cohort.models, map(Path, files.models), strict=True)),
            Path(snakemake.output[0]),
            probe=next(map(Path, files.probe), None),
            views={Path(path).stem: Path(path) for path in files.views},
            threads=snakemake.threads,
            # No parameters of the rule: other values train nothing again.
            checkpoint_minutes=snakemake.config["training"]["checkpoint_minutes"],
            scratch=snakemake.config["scratch"],
        )
