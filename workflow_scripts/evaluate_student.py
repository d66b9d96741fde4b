"""Rule evaluate_student: compare a trained student's predictions with the test labels."""

import importlib.metadata
import json
import platform
from collections import Counter
from pathlib import Path

from distillweighted.errors import DamagedError
from distillweighted.files.tables import read_facts, read_table, read_whole
from distillweighted.training.evaluation import accuracy, balanced_accuracy
from distillweighted.training.evaluation_job import EvaluationJob
from distillweighted.training.student_files import STUDENT_FILES, link_file


def main(job: EvaluationJob, trained: Path, labels: Path, split: Path, folder: Path) -> None:
    """Put a student's files in their place and write metrics.json.

    Args:
        job: Its row of the grid.
        trained: Folder of the trained student.
        labels: Labels of all images of the target.
        split: The target's split.
        folder: Where the finished student goes.

    Raises:
        RuntimeError: Where its training failed; says why.
    """
    name = f"student {job.recipe} of target {job.target}, seed {job.seed}"
    if (trained / "failed.txt").is_file():
        raise RuntimeError(
            f"{name} was not trained: {(trained / 'failed.txt').read_text()}\n"
            f"Other students are unaffected. To try again unchanged, remove {trained.parent}"
        )
    if not all((trained / name).is_file() for name in ("training.json", *STUDENT_FILES)):
        raise RuntimeError(
            f"{trained.parent} lacks files of {name}: a kill came while it was being removed. "
            "Remove the rest of it and run again"
        )
    facts = read_facts(trained / "training.json", ("key", "selected_sources"))
    path = trained / "predictions.csv"
    predictions = dict(read_table(path, ("image", "predicted"), unique=("image",)))
    parts = dict(read_table(split, ("image", "split"), unique=("image",)))
    # Candidates are tested on images that were kept from the labelled ones.
    tested = "validation" if "validation" in parts.values() else "test"
    if predictions.keys() != {image for image, part in parts.items() if part == tested}:
        raise DamagedError(path, f"its images are not the {tested} images of {split}")
    # Not by `data`: a grid has thousands of these jobs, and NumPy would take half their time.
    known = dict(read_table(labels, ("image", "label"), unique=("image",)))
    missing = [image for image in predictions if image not in known]
    if missing:
        raise ValueError(f"{labels}: no label for {len(missing)} images, first '{missing[0]}'")
    truth = [read_whole(labels, known[image], f"label of '{image}'") for image in predictions]
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
        "accuracy": accuracy(truth, predicted),
        "balanced_accuracy": balanced_accuracy(truth, predicted),
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
    folder.mkdir(parents=True, exist_ok=True)
    for file in STUDENT_FILES:
        link_file(trained / file, folder / file)
    # Last: a folder with metrics.json is a finished student.
    partial = folder / "metrics.json.partial"
    partial.write_text(json.dumps(metrics, indent=1, ensure_ascii=False))
    partial.replace(folder / "metrics.json")


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            EvaluationJob.of(snakemake.params.job),
            Path(snakemake.input.cohort) / snakemake.wildcards.recipe,
            Path(snakemake.input.labels),
            Path(snakemake.input.split),
            Path(snakemake.output.metrics).parent,
        )
