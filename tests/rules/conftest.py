"""A tiny results tree, made by the rules' own scripts: one target, one seed, three sources.

Every test that writes works on a copy.
"""

import json
import os
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import compute_weights
import evaluate_students
import infer_sources
import score_similarity
import split_target
import train_students
from distillweighted.batches.target_batches import TargetBatches
from distillweighted.networks.classifier import build_model
from distillweighted.networks.model_files import save_model
from distillweighted.tasks.prepared import write_task
from distillweighted.training.cohort_job import CohortJob, StudentJob
from distillweighted.workflow.paths import Paths
from distillweighted.workflow.run import Run

TARGET = "lesions_b"
CONFIG = {
    "name": "world",
    "device": "cpu",
    "embedded": {"image_size": 16, "target_images": 60, "test_images": 150},
    "targets": [TARGET],
    "sources": [
        {"from": "trained", "architectures": [architecture], "tasks": [task]}
        for architecture, task in (
            ("alexnet_tiny", "latin"),
            ("convnet_tiny", "mosaics_a"),
            ("resnet50_tiny", "textures_a"),
        )
    ],
    "probe": {"size": 15},
    "similarity": {"metrics": ["parc", "cka"]},
    "methods": {"distill_weighted": [0, 12], "distill_inverse": False, "distill_random_weights": 0},
    "baselines": {"source_architectures": ["alexnet_tiny"], "fixmatch_threshold": 0.3},
    "training": {
        "label_fraction": 0.3,
        "steps": 3,
        "labeled_batch": 6,
        "unlabeled_batch": 6,
        "learning_rate": 0.003,
        "cohort": 16,
        "sources": {"learning_rate": 0.003},
    },
}
RUN = Run.of(CONFIG)
"""What the jobs of these tests are told comes from here; the images are not those of the task."""

SOURCES = {source.name: source.architecture for source in RUN.admissible(TARGET)}
INITIAL = "convnet_tiny_generalist"
WEIGHT_RECIPES = ("distill_weighted-p0", "finetune_selected_source-alexnet_tiny")
STUDENTS = (
    "distill_single-alexnet_tiny_latin",
    "distill_weighted-p0",
    "in_transfer",
    "in_fixmatch",
    "finetune_selected_source-alexnet_tiny",
)


@dataclass
class World:
    """Paths of a results tree, and calls of the scripts on them."""

    root: Path

    @property
    def paths(self) -> Paths:
        return Paths(str(self.root))

    @property
    def data(self) -> dict[str, Path]:
        files = RUN.made_from.files([RUN.student(TARGET, "in_transfer", "0")])
        names = ("train_images", "test_images", "index", "meta", "split", "labeled")
        return {name: Path(self.moved(files[name])) for name in names}

    def moved(self, told: Any) -> Any:
        """What the run says, with this tree's paths."""
        return json.loads(json.dumps(told).replace(RUN.paths.results, str(self.root)))

    @property
    def labels(self) -> Path:
        return Path(self.paths.task(TARGET, "labels.csv"))

    @property
    def similarity(self) -> Path:
        return Path(self.paths.similarity(TARGET, "0"))

    def model(self, name: str) -> Path:
        return Path(self.paths.model(name))

    def inference(self, source: str) -> Path:
        return Path(self.paths.inference(TARGET, source))

    def weights(self, recipe: str) -> Path:
        return Path(self.paths.weights(TARGET, "0", recipe))

    def folder(self, recipe: str) -> Path:
        return Path(self.paths.student(TARGET, recipe, "0"))

    def cohort(self, recipes: Sequence[str] = STUDENTS) -> CohortJob:
        """The run's job, of some of the students alone, with the code "0123"."""
        told = {}
        for recipe in recipes:
            row = RUN.student(TARGET, recipe, "0")
            job = CohortJob.of(self.moved(RUN.cohort(TARGET, "0", row.cohort).as_params()))
            (told[recipe],) = (s for s in job.students if s.recipe == recipe)
        students = tuple(replace(student, code="0123") for student in told.values())
        models = (*SOURCES, INITIAL)
        heads = dict.fromkeys(SOURCES, "own")
        return replace(job, students=students, sources=tuple(SOURCES), heads=heads, models=models)

    def member(self, recipe: str) -> StudentJob:
        """What the job is told of one student."""
        return self.cohort([recipe]).students[0]

    def infer(self, source: str, output: Path, **changes) -> None:
        """Run infer_sources with a source's model; writes `output`."""
        infer_sources.infer(
            RUN.jobs.inference(TARGET, source),
            self.data["train_images"],
            self.data["index"],
            self.model(source),
            output,
            threads=1,
            **changes,
        )

    def train(self, output: str, recipes=STUDENTS, *, members=None, **changes) -> Path:
        """Run train_students on some of `STUDENTS`; returns its output folder."""
        job = self.cohort(recipes)
        if members is not None:
            job = replace(job, students=tuple(members))
        if "code" in changes:
            code = changes.pop("code")
            job = replace(job, students=tuple(replace(s, code=code) for s in job.students))
        if "settings" in changes:
            changes["settings"] = replace(job.settings, **changes["settings"])
        of_call = {"threads", "scratch", "checkpoint_minutes", "probe"}
        told = {name: value for name, value in changes.items() if name not in of_call}
        train_students.main(
            replace(job, **told),
            self.data,
            {source: self.inference(source) for source in SOURCES},
            {name: self.model(name) for name in (*SOURCES, INITIAL)},
            self.root / output,
            **{"threads": 1, **{n: v for n, v in changes.items() if n in of_call}},
        )
        return self.root / output

    def evaluate(self, trained: Path, recipe: str, **changes) -> Path:
        """Evaluate a student of a trained cohort; returns the finished student's folder."""
        job = RUN.jobs.evaluation(RUN.student(TARGET, recipe, "0"))
        truth = evaluate_students.Truth.read(self.labels, self.data["split"])
        self.folder(recipe).mkdir(parents=True, exist_ok=True)
        evaluate_students.evaluate(
            replace(job, **changes), trained / recipe, truth, self.folder(recipe)
        )
        return self.folder(recipe)

    def evaluate_cohort(self, trained: Path, recipes, output: str) -> Path:
        """Run evaluate_students; returns its output folder."""
        evaluate_students.main(
            [RUN.jobs.evaluation(RUN.student(TARGET, recipe, "0")) for recipe in recipes],
            trained,
            self.labels,
            self.data["split"],
            self.root / output,
        )
        return self.root / output

    def weigh(self, recipe: str, similarity: Path | None = None, **changes) -> Path:
        """Run compute_weights for a recipe of the run, with changes to what it is told."""
        job = replace(RUN.jobs.weights(TARGET, "0", recipe), **changes)
        self.weights(recipe).parent.mkdir(parents=True, exist_ok=True)
        compute_weights.main(job, similarity or self.similarity, self.weights(recipe))
        return self.weights(recipe)


def fruit(n, seed):
    """Three classes by brightness, with noise."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % 3)
    images = rng.integers(0, 140, (n, 16, 16, 3)) + 40 * labels[:, None, None, None]
    return images.astype(np.uint8), labels


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> World:
    torch.set_num_threads(1)
    world = World(tmp_path_factory.mktemp("world"))
    pools = {"train": fruit(60, 1), "test": fruit(30, 2)}
    folder = world.labels.parent
    write_task(folder, task=TARGET, classes=["fig", "lime", "plum"], seed=1, pools=pools)
    for path in (world.data["split"], world.similarity, world.inference("any")):
        path.parent.mkdir(parents=True)
    for seed, (name, architecture) in enumerate({**SOURCES, INITIAL: "convnet_tiny"}.items()):
        world.model(name).parent.mkdir(parents=True)
        meta = {"architecture": architecture, "num_classes": 4 + seed}
        meta |= {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
        save_model(build_model(architecture, 4 + seed, seed=seed), world.model(name), meta)
    data = world.data
    tables = (data["index"], world.labels, data["split"], data["labeled"])
    split_target.main(RUN.jobs.split(TARGET, "0"), *tables)
    for source in SOURCES:
        world.infer(source, world.inference(source))
    score_similarity.main(
        RUN.jobs.scores(TARGET, "0"),
        {source: world.inference(source) for source in SOURCES},
        data["index"],
        data["split"],
        data["labeled"],
        world.similarity,
    )
    for recipe in WEIGHT_RECIPES:
        world.weigh(recipe)
    return world


@pytest.fixture
def world(prepared, tmp_path) -> World:
    root = tmp_path / "results"
    shutil.copytree(prepared.root, root)
    return World(root)


@pytest.fixture(scope="session")
def trained(prepared, tmp_path_factory) -> World:
    """The world with all of `STUDENTS` trained (in cohort0) and evaluated, all together."""
    root = tmp_path_factory.mktemp("trained") / "results"
    shutil.copytree(prepared.root, root)
    world = World(root)
    output = world.train("cohort0")
    for recipe in STUDENTS:
        world.evaluate(output, recipe)
    return world


@pytest.fixture
def finished(trained, tmp_path) -> World:
    """A copy of `trained`: its students may be taken over."""
    root = tmp_path / "results"
    shutil.copytree(trained.root, root)
    return World(root)


@dataclass
class Steps:
    """Counts the steps of trainings; in step `stop` this process gets a SIGTERM."""

    count: int = 0
    stop: int | None = None

    def next(self) -> None:
        self.count += 1
        if self.count == self.stop:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def steps(monkeypatch) -> Steps:
    counted, next_step = Steps(), TargetBatches.next_step
    monkeypatch.setattr(TargetBatches, "next_step", lambda self: counted.next() or next_step(self))
    return counted
