"""Rule train_students: train the students of one cohort on the same batches.

Students that are finished and were made from the same code, settings and inputs are taken over, not
trained again. One that fails leaves a note instead of a model; the others are unaffected.
"""

import functools
import json
import logging
import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from distillweighted.batches.forward import predict
from distillweighted.batches.target_batches import TargetBatches
from distillweighted.batches.views import make_view
from distillweighted.files.checksums import fingerprint_files
from distillweighted.files.scratch import scratch_copy
from distillweighted.files.tables import write_table
from distillweighted.files.tensors import load_tensors
from distillweighted.networks.classifier import build_model, replace_head
from distillweighted.networks.cost import count_macs, count_parameters
from distillweighted.networks.devices import choose_device
from distillweighted.networks.model_files import load_model, save_model
from distillweighted.seeds import derive_seed
from distillweighted.similarity.tables import read_weights
from distillweighted.sources.outputs import load_inference
from distillweighted.tasks.pools import open_pool
from distillweighted.tasks.prepared import read_image_names, read_meta
from distillweighted.tasks.splits import read_split
from distillweighted.training.loop import (
    Outcome,
    Plan,
    PseudoLabels,
    Settings,
    train_students,
)
from distillweighted.training.resumption import Checkpoint
from distillweighted.training.student_files import STUDENT_FILES, link_file

log = logging.getLogger("distillweighted.train_students")

MADE_FROM = ("recipe", "objective", "architecture", "learning_rate")


def main(
    data: Mapping[str, Path],
    inference: Mapping[str, Path],
    models: Mapping[str, Path],
    members: Sequence[dict],
    output: Path,
    *,
    target: str,
    seed: int,
    image_size: int,
    settings: dict,
    view: dict,
    statistics: tuple[Sequence[float], Sequence[float]] | None = None,
    distill_labeled: bool,
    code: str,
    device: str,
    threads: int,
    checkpoint: Path | None = None,
    checkpoint_minutes: float = math.inf,
    scratch: str | None = None,
) -> None:
    """Train a cohort.

    Args:
        data: train_images, test_images, index, meta, split and labeled; no other labels.
        inference: Outputs of each source that a member may use.
        models: Model files by source name, for initialisation.
        members: The students: recipe, method, objective, architecture, learning_rate, source,
            weights (a path or None), initial (a name of `models` or None), initial_weights (a path
            or None: start from its source with the most weight instead), folder (of the finished
            files).
        output: Folder to write, one folder a member.
        target: The target.
        seed: The replicate.
        image_size: Side of the images that the networks see.
        settings: Arguments of `training.Settings`.
        view: Arguments of `views.make_view`.
        statistics: Mean and standard deviation to normalise with; by default those of the model
            that a student starts from.
        distill_labeled: Whether to distil on the labelled images too.
        code: Fingerprint of the code that trains.
        device: auto, cpu or cuda.
        threads: CPU threads.
        checkpoint: File in which the training is saved, so that it can go on after a kill.
        checkpoint_minutes: How often it is saved.
        scratch: Folder for copies of the images on this machine's own disk.
    """
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = False
    where = choose_device(device)
    pools = ("train_images", "test_images")
    data = {**data, **{pool: scratch_copy(data[pool], data["index"], scratch) for pool in pools}}
    images = open_pool(data["train_images"], data["index"])
    rows = read_split(data["split"], data["labeled"], data["index"])
    num_classes = read_meta(data["meta"].parent)["num_classes"]
    views = make_view(view, threads=threads)
    training = Settings(**settings)
    # The members share most of their inputs: each file is read once.
    checksum = functools.cache(lambda path: fingerprint_files([path]))
    common = json.dumps([target, seed, settings, view, statistics, distill_labeled, code])
    common_files = [data[name] for name in sorted(data)]
    # Snakemake has removed it, but a job of a killed run may have gone on for a moment.
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    image_statistics = functools.cache(images.channel_statistics)
    share_labels = functools.cache(lambda sources: _pseudo_labels(sources, inference, len(images)))
    plans: list[Plan] = []
    pending: dict[str, dict] = {}
    for member in members:
        try:
            sources, initial = _weights_of(member), _initial_of(member)
            files = [*common_files, *_files(member, sources, initial, inference, models)]
            made_from = [*(member[name] for name in MADE_FROM), initial]
            made_from += sources.items()
            key = f"{derive_seed(common, *made_from, *map(checksum, files)):016x}"
            if _take_over(Path(member["folder"]), output / member["recipe"], key):
                continue
            model, *model_statistics = _model(
                member, initial, models, image_statistics, num_classes, seed
            )
            pseudo = None
            if member["objective"] == "distill":
                probabilities, sizes = share_labels(tuple(sources))
                weights = np.array(list(sources.values()))
                pseudo = PseudoLabels(probabilities, sizes, weights, tuple(sources))
            plans.append(
                Plan(
                    member["recipe"],
                    member["objective"],
                    model,
                    *(statistics or model_statistics),
                    pseudo,
                    member["learning_rate"],
                )
            )
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
        rows.labeled,
        rows.labels,
        np.union1d(rows.unlabeled, rows.labeled) if distill_labeled else rows.unlabeled,
        view=views,
        seed=derive_seed(seed, target, "batches"),
    )
    plan_of = {plan.recipe: plan for plan in plans}
    saved = None
    if checkpoint is not None:
        # Not a member's key: a finished student is the same student with another torch or device.
        keys = [member["key"] for member in pending.values()]
        key = f"{derive_seed(torch.__version__, where, threads, *keys):016x}"
        saved = Checkpoint(checkpoint, key, interval=60 * checkpoint_minutes)
    trained = train_students(
        plans,
        batches,
        training,
        seed=derive_seed(seed, target, "students"),
        device=where,
        checkpoint=saved,
    )
    # Read once for all: a large index takes as long to parse as a student to write.
    test = open_pool(data["test_images"], data["index"])
    names = read_image_names(data["index"], "test")
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
        logits = predict(outcome.model, test, plan.mean, plan.std, device=where, view=views)
        predictions = zip(names, logits.argmax(dim=1).tolist(), strict=True)
        _write_student(folder, outcome, member, facts, predictions)
    if saved is not None:
        saved.remove()


def _weights_of(member: dict) -> dict[str, float]:
    """The weight vector of a member over the sources, those above 0; empty for a baseline."""
    if member["method"] == "distill_single":
        return {member["source"]: 1.0}
    if member["weights"] is None:
        return {}
    weights = read_weights(Path(member["weights"]))
    return {source: weight for source, weight in weights.items() if weight > 0}


def _file_of(source: str, files: Mapping[str, Path], member: dict) -> Path:
    if source not in files:
        raise ValueError(
            f"{member['weights'] or member['recipe']} names the source '{source}', which may not "
            f"serve this target (allowed: {', '.join(files)})"
        )
    return files[source]


def _initial_of(member: dict) -> str | None:
    """The model that a member starts from; None for a random start."""
    if member["initial_weights"] is None:
        return member["initial"]
    weights = dict(sorted(read_weights(Path(member["initial_weights"])).items()))
    return max(weights, key=weights.__getitem__)


def _files(member, sources, initial, inference, models) -> list[Path]:
    """The files besides the target's own that determine a member's result."""
    files = [] if initial is None else [_file_of(initial, models, member)]
    if member["objective"] == "distill":
        files += [_file_of(source, inference, member) for source in sources]
    return files


def _model(member, initial, models, image_statistics, num_classes, seed):
    """A member's model at its start, and the mean and standard deviation of its inputs."""
    head_seed = derive_seed(seed, "target head")
    if initial is None:
        model = build_model(member["architecture"], num_classes, seed=head_seed)
        return model, *image_statistics()
    model, meta = load_model(models[initial])
    return replace_head(model, num_classes, seed=head_seed), meta["mean"], meta["std"]


def _pseudo_labels(
    sources: tuple[str, ...], inference: Mapping[str, Path], num_images: int
) -> tuple[torch.Tensor, tuple[int, ...]]:
    """The outputs of some sources side by side, and how many each has."""
    outputs = [load_inference(inference[source])["pseudo_labels"] for source in sources]
    for source, values in zip(sources, outputs, strict=True):
        if len(values) != num_images:
            raise ValueError(
                f"{inference[source]} holds {len(values)} rows for {num_images} images"
            )
    sizes = tuple(values.shape[1] for values in outputs)
    return torch.from_numpy(np.concatenate(outputs, axis=1)), sizes


def _take_over(finished: Path, folder: Path, key: str) -> bool:
    """Link a finished student into `folder` if it was made from the same things."""
    try:
        same = json.loads((finished / "metrics.json").read_text())["key"] == key
        if not same or not all((finished / name).is_file() for name in STUDENT_FILES):
            return False
        load_tensors(finished / "model.safetensors")  # a damaged one is trained again
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


def _write_student(
    folder: Path, outcome: Outcome, member: dict, facts: dict, predictions: Iterable
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / "predictions.csv", ("image", "predicted"), predictions)
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
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        inputs, params = snakemake.input, snakemake.params
        main(
            {
                name: Path(inputs[name])
                for name in ("train_images", "test_images", "index", "meta", "split", "labeled")
            },
            dict(zip(params.sources, map(Path, inputs.inference), strict=True)),
            dict(zip(params.models, map(Path, inputs.models), strict=True)),
            params.members,
            Path(snakemake.output[0]),
            target=snakemake.wildcards.target,
            seed=snakemake.params.seed,
            image_size=params.image_size,
            settings=params.settings,
            view=params.view,
            statistics=params.statistics,
            distill_labeled=params.distill_labeled,
            code=params.code,
            device=params.device,
            threads=snakemake.threads,
            checkpoint=Path(params.checkpoint),
            # No parameters of the rule: other values train nothing again.
            checkpoint_minutes=snakemake.config["training"]["checkpoint_minutes"],
            scratch=snakemake.config["scratch"],
        )
