"""Rule export_student: hand a finished student over, as weights, programs and a script."""

from pathlib import Path

from distillweighted.deployment.export import TargetFiles, export_student
from distillweighted.deployment.jobs import ExportJob


def main(
    job: ExportJob,
    target: TargetFiles,
    models: list[Path],
    choice: Path | None,
    folder: Path,
    *,
    threads: int,
) -> None:
    """Write model.safetensors, model.onnx, model.pt2, predict.py, predictions.csv and facts.

    Args:
        job: What is exported.
        target: The target's files.
        models: model.safetensors of each candidate of the job.
        choice: The file that says which candidate; None where there is one.
        folder: Where to.
        threads: CPU threads.
    """
    students = dict(zip(job.candidates, models, strict=True))
    export_student(job, target, students, choice, folder, threads=threads)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        files = snakemake.input
        names = ("train_images", "test_images", "index", "meta", "split")
        choice = list(files.choice)
        main(
            ExportJob.of(snakemake.params.job),
            TargetFiles(**{name: Path(files[name]) for name in names}),
            [Path(path) for path in files.models],
            Path(choice[0]) if choice else None,
            Path(snakemake.output.onnx).parent,
            threads=snakemake.threads,
        )
