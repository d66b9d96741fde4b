"""Rule evaluate_students: compare the predictions of a cohort's students with the test labels."""

import importlib.metadata
import json
import platform
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from distillweighted.errors import DamagedError
from distillweighted.files.tables import read_facts, read_table, read_whole
from distillweighted.training.evaluation import accuracy, balanced_accuracy
from distillweighted.training.evaluation_job import EvaluationJob
from distillweighted.training.student_files import STUDENT_FILES, link_file


def main(
    jobs: Sequence[EvaluationJob], trained: Path, labels: Path, split: Path, output: Path
) -> None:
    """Evaluate a cohort's students, each into its own folder; one that fails leaves a note instead.

    Args:
        jobs: The students' rows of the grid.
        trained: Folder of the trained cohort, one folder a student.
        labels: Labels of all images of the target.
        split: The target's split.
        output: Folder to write, one folder a student: its files and metrics.json, or failed.txt.

    Raises:
        RuntimeError: Where files of the trained cohort were removed.
    """
    # It has been removed, but a job of a killed run may have gone on for a moment.
    shutil.rmtree(output, ignore_errors=True)
    # Read once for all: a large index takes as long as a student.
    truth = Truth.read(labels, split)
    for job in jobs:
        name = f"student {job.recipe} of target {job.target}, seed {job.seed}"
        student, folder = trained / job.recipe, output / job.recipe
        folder.mkdir(parents=True)
        note = student / "failed.txt"
        if note.is_file():
            _fail(folder, f"{name} was not trained: {note.read_text()}")
            continue
        if not all((student / file).is_file() for file in ("training.json", *STUDENT_FILES)):
            raise RuntimeError(
                f"{trained} lacks files of {name}: a kill came while it was being removed. "
                "Remove the rest of it and run again"
            )
        try:
            evaluate(job, student, truth, folder)
        except (ValueError, RuntimeError) as error:
            _fail(folder, f"{name} was not evaluated: {error}")


def _fail(folder: Path, why: str) -> None:
    hint = f"Other students are unaffected. To try again unchanged, remove {folder.parent}"
    (folder / "failed.txt").write_text(f"error: {why}\n{hint}\n")


@dataclass(frozen=True)
class Truth:
    """What students of a target and replicate are compared with."""

    labels: Path
    """The file of the labels."""

    known: Mapping[str, str]
    """The label of every image as it stands there."""

    split: Path
    """The file of the split."""

    parts: Mapping[str, str]
    """The part of the split that every image is in."""

    @classmethod
    def read(cls, labels: Path, split: Path) -> Self:
        """Read both files; not by `data`, as NumPy would take half of the time of this job."""
        known = dict(read_table(labels, ("image", "label"), unique=("image",)))
        parts = dict(read_table(split, ("image", "split"), unique=("image",)))
        return cls(labels, known, split, parts)


def evaluate(job: EvaluationJob, trained: Path, truth: Truth, folder: Path) -> None:
    """Put a student's files into a folder and write metrics.json.

    Args:
        job: Its row of the grid.
        trained: Folder of the trained student.
        truth: Labels and split of its target.
        folder: Where it goes.
    """
    facts = read_facts(trained / "training.json", ("key", "selected_sources"))
    path = trained / "predictions.csv"
    predictions = dict(read_table(path, ("image", "predicted"), unique=("image",)))
    parts, known = truth.parts, truth.known
    # Candidates are tested on images that were kept from the labelled ones.
    tested = "validation" if "validation" in parts.values() else "test"
    if predictions.keys() != {image for image, part in parts.items() if part == tested}:
        raise DamagedError(path, f"its images are not the {tested} images of {truth.split}")
    missing = [image for image in predictions if image not in known]
    if missing:
        what = f"no label for {len(missing)} images, first '{missing[0]}'"
        raise ValueError(f"{truth.labels}: {what}")
    right = [read_whole(truth.labels, known[i], f"label of '{i}'") for i in predictions]
    predicted = [read_whole(path, text, f"class of '{i}'") for i, text in predictions.items()]
    images = Counter(parts.values())
    fraction = job.label_fraction
    if fraction is None:
        fraction = images["labeled"] / (images["labeled"] + images["unlabeled"])
    metrics = {
        # The grid's row wins: where training was taken over, the facts hold the row of that time.
        **facts,
        **job.as_params(),
        "label_fraction": fraction,
        "accuracy": accuracy(right, predicted),
        "balanced_accuracy": balanced_accuracy(right, predicted),
        "n_labeled": images["labeled"],
        "n_unlabeled": images["unlabeled"],
        "n_test": images[tested],
        "versions": {
            "python": platform.python_version(),
            **{p: importlib.metadata.version(p) for p in ("torch", "numpy")},
        },
    }
    if job.source is None and len(facts["selected_sources"]) == 1:
        metrics["source"] = facts["selected_sources"][0]
    for file in STUDENT_FILES:
        link_file(trained / file, folder / file)
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=1, ensure_ascii=False))


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            [EvaluationJob.of(params) for params in snakemake.params.jobs],
            Path(snakemake.input.cohort),
            Path(snakemake.input.labels),
            Path(snakemake.input.split),
            Path(snakemake.output[0]),
        )
