"""A cohort: students of one target and seed, trained on the same batches in one process.

Students that are finished and were made from the same code, settings and inputs are taken over, not
trained again. One that fails leaves a note instead of a model; the others are unaffected.
"""

from __future__ import annotations

import functools
import json
import logging
import math
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from distillweighted.batches.fixed_views import FixedViews
from distillweighted.batches.forward import predict
from distillweighted.batches.target_batches import TargetBatches
from distillweighted.batches.views import make_view
from distillweighted.files.checksums import fingerprint_files
from distillweighted.files.scratch import scratch_copy
from distillweighted.files.tables import write_table
from distillweighted.files.tensors import load_tensors
from distillweighted.networks.classifier import Classifier, build_model, replace_head
from distillweighted.networks.cost import count_macs, count_parameters
from distillweighted.networks.devices import choose_device
from distillweighted.networks.model_files import load_model, save_model
from distillweighted.seeds import derive_seed
from distillweighted.similarity.tables import read_weights
from distillweighted.tasks.pools import open_pool
from distillweighted.tasks.prepared import read_image_names, read_meta
from distillweighted.tasks.splits import read_split
from distillweighted.training.choice import read_settings
from distillweighted.training.cohort_job import STORED_HEADS, CohortJob, StudentJob
from distillweighted.training.lessons import (
    Classroom,
    Lessons,
    read_lessons,
    read_probe_labels,
)
from distillweighted.training.loop import train_students
from distillweighted.training.objectives.registry import OBJECTIVES
from distillweighted.training.resumption import Checkpoint
from distillweighted.training.student import PseudoLabels, Student
from distillweighted.training.student_files import STUDENT_FILES, link_file
from distillweighted.training.trainee import Outcome

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CohortFiles:
    """The files that a cohort is trained from: none of them holds a label that must stay hidden."""

    target: Mapping[str, Path]
    """train_images, test_images, index and meta of the prepared target, and split and labeled."""

    inference: Mapping[str, Path]
    """Outputs of each source that a student may be distilled from."""

    models: Mapping[str, Path]
    """The models that a student may start from."""

    probe: Path | None = None
    """What a linear probe says of the target's images; None where no student learns it."""

    views: Mapping[str, Path] = field(default_factory=dict)
    """What each source says of fixed views of the images; empty where no student learns that."""


@dataclass(frozen=True)
class _Prepared:
    """A student that has to be trained, with what its files say of it."""

    student: Student
    architecture: str
    key: str
    """What its result depends on."""
    sources: tuple[str, ...]


def train_cohort(
    job: CohortJob,
    files: CohortFiles,
    output: Path,
    *,
    threads: int,
    checkpoint_minutes: float = math.inf,
    scratch: str | None = None,
) -> None:
    """Train a cohort and write each student to its own folder.

    Args:
        job: The students and how they are trained.
        files: What they are trained from.
        output: Folder to write, one folder a student: predictions.csv, history.csv, training.json
            and model.safetensors, or failed.txt.
        threads: CPU threads.
        checkpoint_minutes: How often the training is saved.
        scratch: Folder for copies of the images on this machine's own disk.

    Raises:
        ValueError: Where a file of the target is damaged; what is wrong with one student's files
            fails that student alone.
        TrainingStopped: Where a signal asked for it.
    """
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = False
    device = choose_device(job.device)
    cohort = _Cohort(job, files, threads=threads, scratch=scratch)
    # It has been removed, but a job of a killed run may have gone on for a moment.
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    pending = {prepared.student.recipe: prepared for prepared in cohort.prepare(output)}
    log.info(
        "target %s, seed %d: %d students to train on %s, %d are finished already",
        job.target, job.seed, len(pending), device, len(job.students) - len(pending),
    )  # fmt: skip
    # Not a student's own key: a finished one is the same with another torch or device.
    keys = [prepared.key for prepared in pending.values()]
    saved = Checkpoint(
        Path(job.checkpoint),
        f"{derive_seed(torch.__version__, device, threads, *keys):016x}",
        interval=60 * checkpoint_minutes,
    )
    trained = train_students(
        [prepared.student for prepared in pending.values()],
        cohort.batches(),
        job.settings,
        seed=derive_seed(job.seed, job.target, "students"),
        device=device,
        checkpoint=saved,
    )
    for outcome in trained:
        folder = output / outcome.recipe
        if outcome.error is not None:
            _write_failure(folder, outcome.error)
            continue
        prepared = pending[outcome.recipe]
        student = prepared.student
        logits = predict(
            outcome.model,
            cohort.test_images,
            student.mean,
            student.std,
            device=device,
            view=cohort.view,
        )
        predictions = zip(cohort.test_names, logits.argmax(dim=1).tolist(), strict=True)
        _write_student(folder, outcome, prepared, cohort, str(device), predictions)
    saved.remove()


class _Cohort:
    """A cohort's inputs, each file opened and read once however many students share it."""

    def __init__(self, job: CohortJob, files: CohortFiles, *, threads: int, scratch: str | None):
        self.job, self.files = job, files
        index = files.target["index"]
        images = {
            pool: scratch_copy(files.target[f"{pool}_images"], index, scratch)
            for pool in ("train", "test")
        }
        self.images = open_pool(images["train"], index)
        self.rows = read_split(files.target["split"], files.target["labeled"], index)
        # Read once for all: a large index takes as long to parse as a student to write.
        if len(self.rows.validation):
            self.test_images = self.images.part(self.rows.validation)
            names = read_image_names(index, "train")
            self.test_names = [names[row] for row in self.rows.validation]
        else:
            self.test_images = open_pool(images["test"], index)
            self.test_names = read_image_names(index, "test")
        self.meta = read_meta(files.target["meta"].parent)
        self.num_classes = self.meta["num_classes"]
        self.view = make_view(job.view, threads=threads)
        self._checksum = functools.cache(lambda path: fingerprint_files([path]))
        self._image_statistics = functools.cache(self.images.channel_statistics)
        self._lessons = functools.cache(self._read_lessons)
        self._probe = functools.cache(self._read_probe)
        params = job.as_params()
        names = ("target", "seed", "settings", "view", "statistics", "distill_labeled")
        self._common = json.dumps([params[name] for name in names])

    def batches(self) -> TargetBatches:
        """The batches that all students see."""
        rows, job = self.rows, self.job
        return TargetBatches(
            self.images,
            rows.labeled,
            rows.labels,
            self._distilled_rows,
            view=self.view,
            seed=derive_seed(job.seed, job.target, "batches"),
            fixed=None
            if job.views is None
            else FixedViews(self.images, self.view, job.views, target=job.target),
        )

    @property
    def _distilled_rows(self) -> np.ndarray:
        """Rows of the images to distil on."""
        rows = self.rows
        both = np.union1d(rows.unlabeled, rows.labeled)
        return both if self.job.distill_labeled else rows.unlabeled

    def prepare(self, output: Path) -> Iterator[_Prepared]:
        """Each student that has to be trained; the others are in `output` then, or why not."""
        for student in self.job.students:
            folder = output / student.recipe
            try:
                student = _with_settings(student)
                sources, initial = _weights_of(student), _initial_of(student)
                key = self._key(student, sources, initial)
                if _take_over(Path(student.folder), folder, key):
                    continue
                to_train = self._student(student, sources, initial)
            except (ValueError, RuntimeError, OSError) as error:
                log.error("%s cannot be trained: %s", student.recipe, error)
                _write_failure(folder, str(error))
                continue
            if OBJECTIVES[student.objective].probe_labels:
                sources = self._probe()[1]
            yield _Prepared(to_train, student.architecture, key, tuple(sources))

    def _key(self, student: StudentJob, sources: Mapping[str, float], initial: str | None) -> str:
        """What a student's result depends on, as one text."""
        files = [self.files.target[name] for name in sorted(self.files.target)]
        if initial is not None:
            files.append(_file_of(initial, self.files.models, student))
        objective, lessons = OBJECTIVES[student.objective], []
        if objective.pseudo_labels:
            asked = self.files.views if objective.views else self.files.inference
            files += [_file_of(source, asked, student) for source in sources]
            # Stored pseudo-labels are what their file says, whatever head they are of.
            heads = self._heads(student, sources).items()
            if made_here := {name: head for name, head in heads if head not in STORED_HEADS}:
                lessons.append(json.dumps(made_here))
            if "features" in made_here.values():
                lessons.append(self.job.feature_scale)
        if objective.probe_labels:
            files.append(self._probe_file)
        facts = (student.recipe, student.objective, student.architecture, student.learning_rate)
        if student.lam is not None:
            facts += (student.lam,)
        made_from = (*facts, initial, student.code, *sources.items(), *map(self._checksum, files))
        return f"{derive_seed(self._common, *made_from, *lessons):016x}"

    def _student(
        self, student: StudentJob, sources: Mapping[str, float], initial: str | None
    ) -> Student:
        """A student at its start."""
        model, *own_statistics = self._model(student, initial)
        mean, std = self.job.statistics or own_statistics
        objective, pseudo = OBJECTIVES[student.objective], None
        probe = self._probe()[0] if objective.probe_labels else None
        if objective.pseudo_labels:
            heads = tuple(self._heads(student, sources).items())
            taught = self._lessons(heads, objective.views)
            weights, names = np.array(list(sources.values())), tuple(sources)
            if objective.mixed:
                probe = taught.mixed(weights.tolist())
            else:
                pseudo = PseudoLabels(taught.targets, taught.sizes, weights, names, taught.scales)
        return Student(
            student.recipe,
            student.objective,
            model,
            mean,
            std,
            pseudo,
            student.learning_rate,
            probe,
            student.lam,
        )

    def _model(self, student: StudentJob, initial: str | None) -> tuple[Classifier, list, list]:
        """A student's model at its start, and the mean and standard deviation of its inputs."""
        head_seed = derive_seed(self.job.seed, "target head")
        if initial is None:
            model = build_model(
                student.architecture,
                self.num_classes,
                seed=head_seed,
                image_size=self.job.image_size,
            )
            return model, *self._image_statistics()
        model, meta = load_model(self.files.models[initial])
        return replace_head(model, self.num_classes, seed=head_seed), meta["mean"], meta["std"]

    def _heads(self, student: StudentJob, sources: Iterable[str]) -> dict[str, str]:
        """What each source of a student teaches it by."""
        return {source: student.head or self.job.heads[source] for source in sources}

    def _read_lessons(self, heads: tuple[tuple[str, str], ...], of_views: bool) -> Lessons:
        classroom = Classroom(
            len(self.images),
            self.rows.labeled,
            self.rows.labels,
            self.meta["classes"],
            self._distilled_rows,
            seed=derive_seed(self.job.seed, self.job.target, "lessons"),
            temperature=self.job.settings.temperature,
            feature_scale=self.job.feature_scale,
        )
        if of_views:
            return read_lessons(dict(heads), self.files.views, classroom, views=self.job.views)
        return read_lessons(dict(heads), self.files.inference, classroom)

    @property
    def _probe_file(self) -> Path:
        if self.files.probe is None:
            raise ValueError("it learns the labels of a linear probe, and there is none")
        return self.files.probe

    def _read_probe(self) -> tuple[torch.Tensor, tuple[str, ...]]:
        return read_probe_labels(self._probe_file, len(self.images), self.num_classes)


def _lam(student: Student, job: CohortJob) -> float | None:
    """lambda of a student; None where its objective has none."""
    if not OBJECTIVES[student.objective].lam:
        return None
    return job.settings.lam if student.lam is None else student.lam


def _with_settings(student: StudentJob) -> StudentJob:
    """A student with the settings that were chosen for it."""
    if student.choice is None:
        return student
    rate, lam = read_settings(Path(student.choice), student.recipe)
    return replace(student, learning_rate=rate, lam=lam)


def _weights_of(student: StudentJob) -> dict[str, float]:
    """The weight vector of a student over the sources, those above 0; empty for a baseline."""
    if student.source is not None:
        return {student.source: 1.0}
    if student.weights is None:
        return {}
    weights = read_weights(Path(student.weights))
    return {source: weight for source, weight in weights.items() if weight > 0}


def _initial_of(student: StudentJob) -> str | None:
    """The model that a student starts from; None for a random start."""
    if student.start_choice is None:
        return student.initial
    weights = dict(sorted(read_weights(Path(student.start_choice)).items()))
    return max(weights, key=weights.__getitem__)


def _file_of(source: str, files: Mapping[str, Path], student: StudentJob) -> Path:
    if source not in files:
        raise ValueError(
            f"{student.weights or student.recipe} names the source '{source}', which may not "
            f"serve this target (allowed: {', '.join(files)})"
        )
    return files[source]


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
    folder: Path,
    outcome: Outcome,
    prepared: _Prepared,
    cohort: _Cohort,
    device: str,
    predictions: Iterable[tuple[str, int]],
) -> None:
    job, student = cohort.job, prepared.student
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / "predictions.csv", ("image", "predicted"), predictions)
    pd.DataFrame(outcome.history).to_csv(folder / "history.csv", index=False)
    steps = outcome.history[-1]["step"]
    seconds = max(outcome.seconds, 1e-9)
    training = {
        "key": prepared.key,
        "student": prepared.architecture,
        "selected_sources": prepared.sources,
        "learning_rate": student.learning_rate,
        "lambda": _lam(student, job),
        "steps": steps,
        "train_seconds": seconds,
        "images_per_second": steps * job.settings.images_per_step / seconds,
        "gmacs": count_macs(outcome.model, job.image_size) / 1e9,
        "parameters": count_parameters(outcome.model),
        "device": device,
        "torch": torch.__version__,
    }
    (folder / "training.json").write_text(json.dumps(training, indent=1))
    meta = {
        "target": job.target,
        "num_classes": cohort.num_classes,
        "image_size": job.image_size,
        "mean": student.mean,
        "std": student.std,
        "architecture": prepared.architecture,
        "recipe": student.recipe,
    }
    save_model(outcome.model, folder / "model.safetensors", meta)
