"""Rule train_source: train one source model, or the model that students start from."""

import json
from pathlib import Path

import torch

from distillweighted.data import read_image_names, read_images, read_labels, read_meta
from distillweighted.devices import choose_device
from distillweighted.models import count_macs, count_parameters, save_model
from distillweighted.pretraining import SourceSettings, accuracy, train_source
from distillweighted.seeds import derive_seed


def main(
    task_folder: Path,
    model_path: Path,
    meta_path: Path,
    *,
    name: str,
    architecture: str,
    settings: dict,
    seed: int,
    device: str,
    threads: int,
) -> None:
    """Train `architecture` on the task in `task_folder`; write the model and what it is."""
    torch.set_num_threads(threads)
    task = read_meta(task_folder)
    images, labels = {}, {}
    for pool in ("train", "test"):
        images[pool] = read_images(task_folder / f"{pool}_images.npy")
        names = read_image_names(task_folder / "images.csv", pool)
        labels[pool] = read_labels(task_folder / "labels.csv", names)
    where = choose_device(device)
    model, mean, std = train_source(
        architecture,
        images["train"],
        labels["train"],
        task["num_classes"],
        SourceSettings(**settings),
        seed=derive_seed(seed, "source", name),
        device=where,
    )
    percent = accuracy(model, images["test"], labels["test"], mean, std, device=where)
    meta = {
        "source": name,
        "architecture": architecture,
        "task": task["task"],
        "num_classes": task["num_classes"],
        "classes": task["classes"],
        "image_size": task["image_size"],
        "mean": mean,
        "std": std,
        "test_accuracy": percent,
        "gmacs": count_macs(model, task["image_size"]) / 1e9,
        "parameters": count_parameters(model),
        "settings": settings,
        "seed": seed,
    }
    save_model(model, model_path, meta)
    meta_path.write_text(json.dumps(meta, indent=1, ensure_ascii=False))


if "snakemake" in globals():
    from distillweighted.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.input.meta).parent,
            Path(snakemake.output.model),
            Path(snakemake.output.meta),
            name=snakemake.wildcards.source,
            architecture=snakemake.params.architecture,
            settings=snakemake.params.settings,
            seed=snakemake.params.seed,
            device=snakemake.params.device,
            threads=snakemake.threads,
        )
