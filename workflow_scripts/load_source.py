"""Rule load_source: read one published checkpoint, check it, and store it as this project does."""

import json
from pathlib import Path

from distillweighted.files.checksums import fingerprint_files
from distillweighted.networks.cost import count_macs, count_parameters
from distillweighted.networks.model_files import save_model
from distillweighted.sources.published_statistics import training_statistics
from distillweighted.sources.published_weights import (
    imagenet_statistics,
    load_parc_checkpoint,
    load_torchvision_weights,
)


def main(
    checkpoint: Path,
    model_path: Path,
    meta_path: Path,
    *,
    name: str,
    architecture: str,
    task: str,
    num_classes: int,
    image_size: int,
) -> None:
    """Write the model and what it is.

    Args:
        checkpoint: A checkpoint of the PARC bank, or torchvision's for the task imagenet.
        model_path: The model to write.
        meta_path: What it is, to write.
        name: Name of the source.
        architecture: Its architecture.
        task: The task that it was trained on.
        num_classes: Classes of that task.
        image_size: Side of the images that its cost is counted on.
    """
    if not checkpoint.is_file():
        raise FileNotFoundError(
            f"{checkpoint} is missing: the checkpoint of {architecture} trained on {task}"
        )
    if task == "imagenet":
        model = load_torchvision_weights(checkpoint, architecture)
        mean, std = imagenet_statistics(architecture)
    else:
        model = load_parc_checkpoint(checkpoint, architecture, num_classes)
        mean, std = training_statistics(task)
    meta = {
        "source": name,
        "architecture": architecture,
        "task": task,
        "num_classes": num_classes,
        "image_size": image_size,
        "mean": mean,
        "std": std,
        "gmacs": count_macs(model, image_size) / 1e9,
        "parameters": count_parameters(model),
        "checkpoint": checkpoint.name,
        "sha256": fingerprint_files([checkpoint]),
    }
    save_model(model, model_path, meta)
    meta_path.write_text(json.dumps(meta, indent=1), encoding="utf-8")


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.params.checkpoint),
            Path(snakemake.output.model),
            Path(snakemake.output.meta),
            name=snakemake.wildcards.source,
            architecture=snakemake.params.architecture,
            task=snakemake.params.task,
            num_classes=snakemake.params.num_classes,
            image_size=snakemake.params.image_size,
        )
