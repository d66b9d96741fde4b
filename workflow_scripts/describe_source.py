"""Rule describe_source: check a model that stays in the user's own file, and say what it is."""

import json
from pathlib import Path

from distillweighted.files.checksums import fingerprint_files
from distillweighted.sources.jobs import LoadJob
from distillweighted.sources.origins.registry import ORIGINS


def main(job: LoadJob, meta_path: Path) -> None:
    """Write what the model is.

    Args:
        job: The model and its file.
        meta_path: What it is, to write.

    Raises:
        FileNotFoundError: Where its file is missing.
        ValueError: Where its file cannot be used; says why.
    """
    file = Path(job.checkpoint)
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing: the file of source {job.name}")
    meta = {
        "source": job.name,
        "architecture": job.architecture,
        "task": job.task,
        "num_classes": 0,
        "gmacs": None,
        "parameters": None,
        "licence": None,
        **ORIGINS[job.origin].describe(job),
        "checkpoint": file.name,
        "sha256": fingerprint_files([file]),
    }
    meta_path.write_text(json.dumps(meta, indent=1), encoding="utf-8")


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(LoadJob.of(snakemake.params.job), Path(snakemake.output.meta))
