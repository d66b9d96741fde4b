"""Rule train_source: train one source model, or the model that students start from."""

import json
import math
from pathlib import Path

import torch

from distillweighted.batches.views import make_view
from distillweighted.files.checksums import fingerprint_files
from distillweighted.files.scratch import scratch_copy
from distillweighted.networks.cost import count_macs, count_parameters
from distillweighted.networks.devices import choose_device
from distillweighted.networks.model_files import load_model, save_model
from distillweighted.seeds import derive_seed
from distillweighted.tasks.pools import open_pool
from distillweighted.tasks.prepared import (
    read_image_names,
    read_label_matrix,
    read_labels,
    read_meta,
)
from distillweighted.training.resumption import Checkpoint
from distillweighted.training.source import SourceSettings, source_accuracy, train_source


def main(
    task_folder: Path,
    model_path: Path,
    meta_path: Path,
    *,
    name: str,
    architecture: str,
    settings: dict,
    view: dict,
    image_size: int,
    initial: Path | None,
    seed: int,
    device: str,
    threads: int,
    code: str = "",
    checkpoint: Path | None = None,
    checkpoint_minutes: float = math.inf,
    scratch: str | None = None,
) -> None:
    """Train `architecture` on the task in `task_folder`; write the model and what it is.

    It starts from the model in the file `initial`, where that is given. Every `checkpoint_minutes`
    the training is saved in the file `checkpoint`, so that it can go on after a kill, with the same
    `code` (its fingerprint). With `scratch`, images are read from copies in that folder.
    """
    torch.set_num_threads(threads)
    task = read_meta(task_folder)
    images, labels = {}, {}
    index = task_folder / "images.csv"
    for pool in ("train", "test"):
        file = scratch_copy(task_folder / f"{pool}_images.npy", index, scratch)
        images[pool] = open_pool(file, index)
        names = read_image_names(index, pool)
        if task.get("multi_label", False):
            labels[pool] = read_label_matrix(task_folder / "labels.csv", names, task["num_classes"])
        else:
            labels[pool] = read_labels(task_folder / "labels.csv", names)
    start = None
    if initial is not None:
        start_model, start_meta = load_model(initial)
        start = (start_model, start_meta["mean"], start_meta["std"])
    views = make_view(view, threads=threads)
    where = choose_device(device)
    saved = None
    if checkpoint is not None:
        made_from = json.dumps([name, architecture, settings, view, seed, threads, code])
        names = ("train_images.npy", "images.csv", "labels.csv", "meta.json")
        files = [task_folder / name for name in names] + ([] if initial is None else [initial])
        key = derive_seed(torch.__version__, where, made_from, fingerprint_files(files))
        saved = Checkpoint(checkpoint, f"{key:016x}", interval=60 * checkpoint_minutes)
    model, mean, std = train_source(
        architecture,
        images["train"],
        labels["train"],
        task["num_classes"],
        SourceSettings(**settings),
        seed=derive_seed(seed, "source", name),
        device=where,
        view=views,
        initial=start,
        checkpoint=saved,
    )
    percent = source_accuracy(
        model, images["test"], labels["test"], mean, std, device=where, view=views
    )
    meta = {
        "source": name,
        "architecture": architecture,
        "task": task["task"],
        "num_classes": task["num_classes"],
        "classes": task["classes"],
        "image_size": image_size,
        "mean": mean,
        "std": std,
        "test_accuracy": percent,
        "gmacs": count_macs(model, image_size) / 1e9,
        "parameters": count_parameters(model),
        "settings": settings,
        "seed": seed,
    }
    save_model(model, model_path, meta)
    meta_path.write_text(json.dumps(meta, indent=1, ensure_ascii=False))
    if saved is not None:
        saved.remove()


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.input.meta).parent,
            Path(snakemake.output.model),
            Path(snakemake.output.meta),
            name=snakemake.wildcards.source,
            architecture=snakemake.params.architecture,
            settings=snakemake.params.settings,
            view=snakemake.params.view,
            image_size=snakemake.params.image_size,
            initial=Path(snakemake.input.initial[0]) if snakemake.input.initial else None,
            seed=snakemake.params.seed,
            device=snakemake.params.device,
            threads=snakemake.threads,
            code=snakemake.params.code,
            checkpoint=Path(snakemake.params.checkpoint),
            # No parameters of the rule: other values train nothing again.
            checkpoint_minutes=snakemake.config["training"]["checkpoint_minutes"],
            scratch=snakemake.config["scratch"],
        )
