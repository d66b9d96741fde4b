"""From files to the comparison: what each method of a target says of the test images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distillweighted.deployment.comparison import Answers
from distillweighted.deployment.jobs import ComparedMethod, ComparisonJob
from distillweighted.errors import DamagedError
from distillweighted.files.tables import read_facts, read_table, read_whole
from distillweighted.files.tensors import load_tensors
from distillweighted.similarity.tables import read_weights
from distillweighted.tasks.prepared import read_image_names, read_labels


@dataclass(frozen=True)
class ComparisonFiles:
    """What a comparison is read from."""

    index: Path
    """images.csv of the target."""

    labels: Path
    """labels.csv of the target."""

    students: Mapping[tuple[str, str], Path]
    """Folders of the finished students, by recipe and replicate."""

    nearest: Mapping[str, Path]
    """Weights that are all on the nearest source, by replicate."""

    probes: Mapping[str, Path]
    """Linear probes on the nearest source, by replicate; empty for none."""

    sources: Mapping[str, Path]
    """meta.json of the sources, by name; of those that a probe may be of."""


def read_answers(job: ComparisonJob, files: ComparisonFiles) -> list[Answers]:
    """What every method says of the test images, in the order of the job, the linear probe last.

    Raises:
        DamagedError: Where a file is not as it was written, or not of these test images.
    """
    names = read_image_names(files.index, "test")
    labels = read_labels(files.labels, names)
    answers = [_of_students(job, files, method, names, labels) for method in job.methods]
    return answers + ([_of_probes(job, files, labels)] if job.probe else [])


def _of_students(
    job: ComparisonJob,
    files: ComparisonFiles,
    method: ComparedMethod,
    names: Sequence[str],
    labels: np.ndarray,
) -> Answers:
    right, facts, chosen = [], [], []
    for replicate in job.replicates:
        recipe = method.recipe
        if recipe is None:
            weights = dict(sorted(read_weights(files.nearest[replicate]).items()))
            chosen.append(max(weights, key=weights.__getitem__))
            recipe = f"distill_single-{chosen[-1]}"
        folder = files.students[recipe, replicate]
        right.append(_predicted(folder / "predictions.csv", names) == labels)
        keys = ("student", "gmacs", "parameters", "train_seconds")
        facts.append(read_facts(folder / "metrics.json", keys))
    return Answers(
        method.method,
        method.label,
        facts[0]["student"],
        np.array(right, np.float64),
        facts[0]["gmacs"],
        facts[0]["parameters"],
        float(np.mean([fact["train_seconds"] for fact in facts])),
        method.distils,
    )


def _predicted(path: Path, names: Sequence[str]) -> np.ndarray:
    """Classes that a student says of the named images, int64 [n]."""
    said = dict(read_table(path, ("image", "predicted"), unique=("image",)))
    if said.keys() != set(names):
        raise DamagedError(path, "its images are not the test images of its target")
    return np.array([read_whole(path, said[n], f"class of '{n}'") for n in names], np.int64)


def _of_probes(job: ComparisonJob, files: ComparisonFiles, labels: np.ndarray) -> Answers:
    right, sources, costs = [], [], []
    for replicate in job.replicates:
        path = files.probes[replicate]
        outputs, facts = load_tensors(path)
        said = outputs.get("test_probabilities")
        if said is None or len(said) != len(labels):
            raise DamagedError(path, f"it has no probabilities of the {len(labels)} test images")
        right.append(said.argmax(axis=1) == labels)
        sources.append(facts["source"])
        cost = read_facts(files.sources[facts["source"]], ("gmacs", "parameters"))
        costs.append([np.nan if cost[k] is None else cost[k] for k in ("gmacs", "parameters")])
    gmacs, parameters = np.mean(costs, axis=0)
    named = " or ".join(dict.fromkeys(sources))
    return Answers(
        "linear_probe",
        f"Linear probe on {named}",
        named,
        np.array(right, np.float64),
        float(gmacs),
        float(parameters),
        np.nan,
        False,
    )
