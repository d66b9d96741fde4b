"""Rule train_students: train the students of one cohort on the same batches.

Students that are finished and were made from the same code, settings and inputs are taken over, not
trained again. One that fails leaves a note instead of a model; the others are unaffected.
"""

import functools
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from distillweighted.batches import TargetBatches
from distillweighted.checksums import fingerprint_files
from distillweighted.data import read_image_names, read_images
from distillweighted.devices import choose_device
from distillweighted.models import (
    build_model,
    count_macs,
    count_parameters,
    load_model,
    replace_head,
    save_model,
)
from distillweighted.pretraining import channel_statistics
from distillweighted.seeds import derive_seed
from distillweighted.source_outputs import load_inference
from distillweighted.student_files import STUDENT_FILES, link_file
from distillweighted.training import (
    Outcome,
    Plan,
    PseudoLabels,
    Settings,
    predict,
    train_students,
)

log = logging.getLogger("distillweighted.train_students")

MADE_FROM = ("recipe", "objective", "architecture", "learning_rate", "initial")


def main(
    data: Mapping[str, Path],
    inference: Mapping[str, Path],
    models: Mapping[str, Path],
    members: Sequence[dict],
    output: Path,
    *,
    target: str,
    seed: int,
    num_classes: int,
    image_size: int,
    settings: dict,
    crop_padding: int,
    distill_labeled: bool,
    code: str,
    device: str,
    threads: int,
) -> None:
    """Train a cohort.

    Args:
        data: train_images, test_images, index, split and labeled; no other labels.
        inference: Outputs of each source that a member may use.
        models: Model files by source name, for initialisation.
        members: The students: recipe, method, objective, architecture, learning_rate, source,
            weights (a path or None), initial (a name of `models` or None), folder (of the finished
            files).
        output: Folder to write, one folder a member.
        target: The target.
        seed: The replicate.
        num_classes: Classes of the target.
        image_size: Side of the images.
        settings: Arguments of `training.Settings`.
        crop_padding: See `batches.random_crop`.
        distill_labeled: Whether to distil on the labelled images too.
        code: Fingerprint of the code that trains.
        device: auto, cpu or cuda.
        threads: CPU threads.
    """
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = False
    where = choose_device(device)
    images, rows = read_images(data["train_images"]), _split_rows(data)
    training = Settings(**settings)
    # The members share most of their inputs: each file is read once.
    checksum = functools.cache(lambda path: fingerprint_files([path]))
    common = json.dumps([target, seed, num_classes, settings, crop_padding, distill_labeled, code])
    common_files = [data[name] for name in sorted(data)]
    output.mkdir(parents=True, exist_ok=True)
    plans: list[Plan] = []
    pending: dict[str, dict] = {}
    for member in members:
        try:
            sources = _weights_of(member)
            files = [*common_files, *_files(member, sources, inference, models)]
            made_from = [member[name] for name in MADE_FROM]
            made_from += sources.items()
            key = f"{derive_seed(common, *made_from, *map(checksum, files)):016x}"
            if _take_over(Path(member["folder"]), output / member["recipe"], key):
                continue
            plans.append(_plan(member, sources, inference, models, images, num_classes, seed))
            pending[member["recipe"]] = {**member, "key": key, "sources": list(sources)}
        except (ValueError, RuntimeError, OSError) as error:
            log.error("%s cannot be trained: %s", member["recipe"], error)
            _write_failure(output / member["recipe"], str(error))
    log.info(
        "target %s, seed %d: %d students to train on %s, %d are finished already",
        target, seed, len(plans), where, len(members) - len(plans),
    )  # fmt: skip
    batches = TargetBatches(
        images,
        rows["labeled"],
        rows["labels"],
        np.union1d(rows["unlabeled"], rows["labeled"]) if distill_labeled else rows["unlabeled"],
        crop_padding=crop_padding,
        seed=derive_seed(seed, target, "batches"),
    )
    plan_of = {plan.recipe: plan for plan in plans}
    trained = train_students(
        plans,
        batches,
        training,
        seed=derive_seed(seed, target, "students"),
        device=where,
    )
    for outcome in trained:
        folder = output / outcome.recipe
        if outcome.error is not None:
            _write_failure(folder, outcome.error)
            continue
        member, plan = pending[outcome.recipe], plan_of[outcome.recipe]
        facts = {
            "target": target,
            "num_classes": num_classes,
            "image_size": image_size,
            "mean": plan.mean,
            "std": plan.std,
            "images_per_step": training.images_per_step,
            "device": str(where),
        }
        _write_student(folder, outcome, member, facts, data, where)


def _split_rows(data: Mapping[str, Path]) -> dict[str, np.ndarray]:
    """Rows of the training images that are labelled and unlabelled, and the known labels."""
    position = {image: row for row, image in enumerate(read_image_names(data["index"], "train"))}
    split = pd.read_csv(data["split"], dtype={"image": str})
    known = pd.read_csv(data["labeled"], dtype={"image": str})
    unlabeled = split.loc[split["split"] == "unlabeled", "image"].map(position)
    return {
        "labeled": known["image"].map(position).to_numpy(),
        "labels": known["label"].to_numpy(),
        "unlabeled": unlabeled.to_numpy(),
    }


def _weights_of(member: dict) -> dict[str, float]:
    """The weight vector of a member over the sources, those above 0; empty for a baseline."""
    if member["method"] == "distill_single":
        return {member["source"]: 1.0}
    if member["weights"] is None:
        return {}
    table = pd.read_csv(member["weights"])
    return {s: float(w) for s, w in zip(table["source"], table["weight"], strict=True) if w > 0}


def _file_of(source: str, files: Mapping[str, Path], member: dict) -> Path:
    if source not in files:
        raise ValueError(
            f"{member['weights'] or member['recipe']} names the source '{source}', which may not "
            f"serve this target (allowed: {', '.join(files)})"
        )
    return files[source]


def _files(member, sources, inference, models) -> list[Path]:
    """The files besides the target's own that determine a member's result."""
    if member["method"] == "finetune_selected_source":
        return [_file_of(next(iter(sources)), models, member)]
    initial = [] if member["initial"] is None else [models[member["initial"]]]
    return initial + [_file_of(source, inference, member) for source in sources]


def _plan(member, sources, inference, models, images, num_classes, seed) -> Plan:
    head_seed = derive_seed(seed, "target head")
    initial = member["initial"]
    if member["method"] == "finetune_selected_source":
        initial = next(iter(sources))
    if initial is None:
        model = build_model(member["architecture"], num_classes, seed=head_seed)
        mean, std = channel_statistics(images)
    else:
        model, meta = load_model(models[initial])
        mean, std = meta["mean"], meta["std"]
        replace_head(model, num_classes, seed=head_seed)
    pseudo = None
    if member["objective"] == "distill":
        outputs = [load_inference(inference[source])["pseudo_labels"] for source in sources]
        for source, values in zip(sources, outputs, strict=True):
            if len(values) != len(images):
                raise ValueError(
                    f"{inference[source]} holds {len(values)} rows for {len(images)} images"
                )
        pseudo = PseudoLabels(
            torch.from_numpy(np.concatenate(outputs, axis=1)),
            tuple(values.shape[1] for values in outputs),
            np.array(list(sources.values())),
            tuple(sources),
        )
    return Plan(
        member["recipe"], member["objective"], model, mean, std, pseudo, member["learning_rate"]
    )


def _take_over(finished: Path, folder: Path, key: str) -> bool:
    """Link a finished student into `folder` if it was made from the same things."""
    try:
        same = json.loads((finished / "metrics.json").read_text())["key"] == key
        if not same or not all((finished / name).is_file() for name in STUDENT_FILES):
            return False
    except (OSError, ValueError, KeyError):
        return False
    folder.mkdir(parents=True)
    for name in (*STUDENT_FILES, "metrics.json"):
        link_file(finished / name, folder / name)
    (folder / "metrics.json").rename(folder / "training.json")
    return True


def _write_failure(folder: Path, message: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "failed.txt").write_text(message)


def _write_student(folder: Path, outcome: Outcome, member: dict, facts: dict, data, where) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    test = read_images(data["test_images"])
    logits = predict(outcome.model, test, facts["mean"], facts["std"], device=where)
    names = read_image_names(data["index"], "test")
    predictions = pd.DataFrame({"image": names, "predicted": logits.argmax(dim=1).numpy()})
    predictions.to_csv(folder / "predictions.csv", index=False)
    pd.DataFrame(outcome.history).to_csv(folder / "history.csv", index=False)
    steps = outcome.history[-1]["step"]
    seconds = max(outcome.seconds, 1e-9)
    training = {
        "key": member["key"],
        "student": member["architecture"],
        "selected_sources": member["sources"],
        "steps": steps,
        "train_seconds": seconds,
        "images_per_second": steps * facts["images_per_step"] / seconds,
        "gmacs": count_macs(outcome.model, facts["image_size"]) / 1e9,
        "parameters": count_parameters(outcome.model),
        "device": facts["device"],
        "torch": torch.__version__,
    }
    (folder / "training.json").write_text(json.dumps(training, indent=1))
    meta = {name: facts[name] for name in ("target", "num_classes", "image_size", "mean", "std")}
    meta |= {"architecture": member["architecture"], "recipe": member["recipe"]}
    save_model(outcome.model, folder / "model.safetensors", meta)


if "snakemake" in globals():
    from distillweighted.joblog import job_log

    with job_log(snakemake.log[0]):
        inputs, params = snakemake.input, snakemake.params
        main(
            {
                name: Path(inputs[name])
                for name in ("train_images", "test_images", "index", "split", "labeled")
            },
            dict(zip(params.sources, map(Path, inputs.inference), strict=True)),
            dict(zip(params.models, map(Path, inputs.models), strict=True)),
            params.members,
            Path(snakemake.output[0]),
            target=snakemake.wildcards.target,
            seed=int(snakemake.wildcards.seed),
            num_classes=params.num_classes,
            image_size=params.image_size,
            settings=params.settings,
            crop_padding=params.crop_padding,
            distill_labeled=params.distill_labeled,
            code=params.code,
            device=params.device,
            threads=snakemake.threads,
        )
