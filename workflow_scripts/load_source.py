"""Rule load_source: read one published checkpoint, check it, and store it as this project does."""

import json
from pathlib import Path

from distillweighted.files.checksums import fingerprint_files
from distillweighted.networks.cost import count_macs, count_parameters
from distillweighted.networks.model_files import fingerprint_weights, save_model
from distillweighted.sources.jobs import LoadJob
from distillweighted.sources.origins.registry import ORIGINS


def main(job: LoadJob, model_path: Path, meta_path: Path) -> None:
    """Write the model and what it is.

    Args:
        job: The model and its file.
        model_path: The model to write.
        meta_path: What it is, to write.
    """
    checkpoint = Path(job.checkpoint)
    if not checkpoint.is_file():
        raise FileNotFoundError(
            f"{checkpoint} is missing: the checkpoint of {job.architecture} trained on {job.task}"
        )
    model, mean, std, facts = ORIGINS[job.origin].load(job)
    size = facts.get("image_size", job.image_size)
    meta = {
        "source": job.name,
        "architecture": job.architecture,
        "task": job.task,
        "num_classes": model.num_classes,
        "image_size": size,
        "mean": mean,
        "std": std,
        "gmacs": count_macs(model, size) / 1e9,
        "parameters": count_parameters(model),
        "licence": None,
        "checkpoint": checkpoint.name,
        "sha256": fingerprint_files([checkpoint]),
        "weights_sha256": fingerprint_weights(model),
        **facts,
    }
    save_model(model, model_path, meta)
    meta_path.write_text(json.dumps(meta, indent=1), encoding="utf-8")


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            LoadJob.of(snakemake.params.job),
            Path(snakemake.output.model),
            Path(snakemake.output.meta),
        )
