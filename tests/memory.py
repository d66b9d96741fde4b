"""Peak memory of the jobs at the size of NABirds, on made-up files: `make memory`.

48,562 images are written, decoded and stored; the outputs of 28 sources for the 23,929 training
images are random numbers of the right shapes. Needs about 30 GB of disk and half an hour;
`--scale 0.1` makes a tenth of everything.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT), str(ROOT.parent / "workflow_scripts")]

if TYPE_CHECKING:
    from distillweighted.jobs import Job
    from distillweighted.similarity.jobs import ScoreJob
    from distillweighted.sources.jobs import InferenceJob
    from distillweighted.tasks.jobs import PreparationJob, SplitJob
    from distillweighted.training.cohort_job import CohortJob
    from distillweighted.workflow.run import Run

PAPER = ROOT.parent / "configs/paper.yaml"
LESS_MEMORY = ROOT.parent / "configs/supplement/less_memory.yaml"
TARGET, SEED = "nabird", "0"
CLASSES, TRAIN, TEST = 555, 23_929, 24_633
OUTPUTS = (555, 37, 200, 101, 120, 21, 10) * 4
WIDTHS = (4096,) * 7 + (1024,) * 7 + (512,) * 7 + (2048,) * 7


def write_birds(root: Path, scale: float) -> None:
    """NABirds' files: images of about 500 x 375 pixels, of one colour but for some noise."""
    import numpy as np
    from PIL import Image

    folder = root / "nabirds"
    classes = round(CLASSES * scale)
    rng = np.random.default_rng(0)
    lists: dict[str, list[str]] = {
        name: [] for name in ("images", "image_class_labels", "train_test_split")
    }
    noise = rng.integers(0, 60, (375, 500, 3), dtype=np.uint8)
    for i in range(round((TRAIN + TEST) * scale)):
        label = i % classes
        path = folder / "images" / f"{label:04d}" / f"{i:08d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise + np.uint8(i % 190)).save(path, quality=70)
        lists["images"].append(f"{i} {label:04d}/{path.name}")
        lists["image_class_labels"].append(f"{i} {label}")
        lists["train_test_split"].append(f"{i} {int(i < TRAIN * scale)}")
    for name, lines in lists.items():
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    (folder / "classes.txt").write_text("".join(f"{c} Bird {c}\n" for c in range(classes)))


def write_outputs(root: Path, images: int) -> None:
    """What 28 sources say of the training images: random features and probabilities."""
    import numpy as np

    from distillweighted.sources.outputs import save_inference

    for source, (width, outputs) in enumerate(zip(WIDTHS, OUTPUTS, strict=True)):
        rng = np.random.default_rng(source)
        probabilities = rng.random((images, outputs), np.float32)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        arrays = {"features": rng.random((images, width), np.float32)}
        arrays["pseudo_labels"] = probabilities
        save_inference(root / f"s{source:02d}.safetensors", arrays, {})


def prepare(root: Path, job: PreparationJob) -> None:
    import prepare_data_set

    job = replace(job, data_root=str(root), check_counts=False)
    prepare_data_set.main(job, root / "nabird", threads=2)


def split(root: Path, job: SplitJob) -> None:
    import split_target

    split_target.main(
        job,
        root / "nabird/images.csv",
        root / "nabird/labels.csv",
        root / "split.csv",
        root / "labeled.csv",
    )


def infer(root: Path, job: InferenceJob) -> None:
    """One source over some images: ResNet-50 needs most, and no more for more images."""
    from distillweighted.batches.views import make_view
    from distillweighted.networks.classifier import build_model
    from distillweighted.networks.model_files import save_model
    from distillweighted.sources.together import run_source
    from distillweighted.tasks.pools import RaggedPool, open_pool, write_ragged

    meta = {"architecture": "resnet50", "num_classes": 200, "mean": [0.5] * 3, "std": [0.2] * 3}
    save_model(build_model("resnet50", 200, seed=0), root / "resnet50.safetensors", meta)
    pool = open_pool(root / "nabird/train_images.npy", root / "nabird/images.csv")
    few = RaggedPool(root / "few.npy", write_ragged(root / "few.npy", pool.load(range(192))))
    run_source(root / "resnet50.safetensors", few, device="cpu", view=make_view(job.view))


def similarity(root: Path, job: ScoreJob) -> None:
    import score_similarity

    inference = outputs_of_sources(root)
    classes = len((root / "nabirds/classes.txt").read_text().splitlines())
    score_similarity.main(
        replace(job, sources=tuple(inference), probe_size=2 * classes),
        inference,
        root / "nabird/images.csv",
        root / "split.csv",
        root / "labeled.csv",
        root / "similarity.csv",
    )


def train(root: Path, job: CohortJob) -> None:
    """Two steps of a cohort; distilled students have all 28 sources, of equal weights.

    Testing the students needs less, and an hour.
    """
    import torch

    import train_students
    from distillweighted.networks.classifier import build_model
    from distillweighted.networks.model_files import save_model
    from distillweighted.training import cohort

    cohort.predict = lambda model, test, *_, **__: torch.zeros(len(test), 1)

    inference = outputs_of_sources(root)
    weights = "".join(f"{name},{1 / len(inference)}\n" for name in inference)
    (root / "weights.csv").write_text(f"source,weight\n{weights}")
    architecture, initial = job.students[0].architecture, job.students[0].initial
    start = root / f"{architecture}_start.safetensors"
    meta = {"architecture": architecture, "num_classes": 10, "mean": [0.5] * 3, "std": [0.2] * 3}
    save_model(build_model(architecture, 10, seed=0), start, meta)
    data = {name: root / f"nabird/{name}.npy" for name in ("train_images", "test_images")}
    data |= {"index": root / "nabird/images.csv", "meta": root / "nabird/meta.json"}
    data |= {"split": root / "split.csv", "labeled": root / "labeled.csv"}
    students = tuple(
        replace(
            student,
            weights=student.weights and str(root / "weights.csv"),
            folder=str(root / "nowhere"),
        )
        for student in job.students
    )
    job = replace(
        job,
        students=students,
        sources=tuple(inference),
        models=(initial,),
        settings=replace(job.settings, steps=2),
        device="cpu",
        checkpoint=str(root / "checkpoint.pt"),
    )
    train_students.main(job, data, inference, {initial: start}, root / "cohort", threads=2)
    # A student that fails stops no cohort, and needs less memory than one that is trained.
    for failure in (root / "cohort").glob("*/failed.txt"):
        raise SystemExit(f"{failure.parent.name}: {failure.read_text()}")


def outputs_of_sources(root: Path) -> dict[str, Path]:
    """The files that `write_outputs` wrote, by source."""
    return {path.stem: path for path in sorted(root.glob("s[0-9]*.safetensors"))}


def list_jobs() -> list[tuple[str, Callable, Job]]:
    """What is measured: name, function, and what the workflow would tell the job.

    It is asked here and not in the measured processes, which would have the planner's memory too.
    """
    from distillweighted.workflow.run import Run

    paper, less_memory = Run.read(PAPER), Run.read(PAPER, LESS_MEMORY)
    students = cohort_of(paper, "distill_weighted-p0")
    small = replace(students.settings, labeled_batch=4, unlabeled_batch=8)
    return [
        ("prepare", prepare, paper.jobs.preparation(TARGET)),
        ("split", split, paper.jobs.split(TARGET, SEED)),
        ("infer", infer, paper.jobs.inference(TARGET, "resnet50_cub200")),
        ("similarity", similarity, paper.jobs.scores(TARGET, SEED)),
        # With 12 images a step, what is left is what the size of the data set asks for.
        ("train_with_small_batches", train, replace(students, settings=small)),
        ("train", train, students),
        # The largest network, alone, as a baseline.
        ("train_resnet50", train, alone(paper, "in_transfer-resnet50")),
        ("train_by_half", train, cohort_of(less_memory, "distill_weighted-p0")),
        ("train_resnet50_by_half", train, alone(less_memory, "in_transfer-resnet50")),
    ]


def cohort_of(run: Run, recipe: str) -> CohortJob:
    """What the job that trains a student, and those with it, is told."""
    return run.cohort(TARGET, SEED, run.student(TARGET, recipe, SEED).cohort)


def alone(run: Run, recipe: str) -> CohortJob:
    """As `cohort_of`, without the other students."""
    job = cohort_of(run, recipe)
    return replace(job, students=tuple(s for s in job.students if s.recipe == recipe))


def peak_of(name: str, work: Callable, *arguments: object) -> float:
    """Peak resident memory of a function in a process of its own, in GB."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_measured, args=(queue, work, arguments))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{name} failed")
    return queue.get()


def _measured(queue, work: Callable, arguments: tuple) -> None:
    work(*arguments)
    queue.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        write_birds(root, options.scale)
        write_outputs(root, round(TRAIN * options.scale))
        for name, work, job in list_jobs():
            print(f"{name}: {peak_of(name, work, root, job):.2f} GB", flush=True)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
