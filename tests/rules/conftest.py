"""A tiny results tree, made by the rules' own scripts: one target, one seed, three sources.

Every test that writes works on a copy.
"""

import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

import compute_weights
import evaluate_student
import infer_source
import score_similarity
import split_target
import train_students
from distillweighted.batches.target_batches import TargetBatches
from distillweighted.networks.classifier import build_model
from distillweighted.networks.model_files import save_model
from distillweighted.tasks.prepared import write_task

SOURCES = {"alexnet_tiny_a": "alexnet_tiny", "convnet_tiny_b": "convnet_tiny"}
SOURCES["resnet50_tiny_c"] = "resnet50_tiny"
INITIAL = "convnet_tiny_general"
SETTINGS = {
    "steps": 3,
    "labeled_batch": 6,
    "unlabeled_batch": 6,
    "lam": 0.8,
    "temperature": 1.0,
    "learning_rate": 0.003,
    "weight_decay": 0.01,
    "fixmatch_threshold": 0.3,
    "fixmatch_weight": 1.0,
}
VIEW = {"kind": "padded_crop", "padding": 2}
WEIGHTING = {"metric": "parc", "representation": "features", "random_sources": None}
WEIGHT_RECIPES = {
    "distill_weighted-p0": {
        "method": "distill_weighted",
        "p": 0,
        "draw": -1,
        "architecture": None,
    },
    "finetune_selected_source-alexnet_tiny": {
        "method": "finetune_selected_source",
        "p": None,
        "draw": -1,
        "architecture": "alexnet_tiny",
    },
}
CONVNET = ("convnet_tiny", INITIAL)
# recipe: method, objective, architecture, initial, source
STUDENTS = {
    "distill_single-alexnet_tiny_a": ("distill_single", "distill", *CONVNET, "alexnet_tiny_a"),
    "distill_weighted-p0": ("distill_weighted", "distill", *CONVNET, None),
    "in_transfer": ("in_transfer", "transfer", *CONVNET, None),
    "in_fixmatch": ("in_fixmatch", "fixmatch", *CONVNET, None),
    "finetune_selected_source-alexnet_tiny": (
        "finetune_selected_source",
        "transfer",
        "alexnet_tiny",
        "alexnet_tiny_general",
        None,
    ),
}


@dataclass
class World:
    """Paths of a results tree, and calls of the scripts on them."""

    root: Path
    settings: ClassVar[dict] = SETTINGS

    @property
    def data(self) -> dict[str, Path]:
        task = self.root / "data" / "fruit"
        return {
            "train_images": task / "train_images.npy",
            "test_images": task / "test_images.npy",
            "index": task / "images.csv",
            "meta": task / "meta.json",
            "split": self.root / "splits" / "seed0.csv",
            "labeled": self.root / "splits" / "seed0_labeled.csv",
        }

    @property
    def labels(self) -> Path:
        return self.root / "data" / "fruit" / "labels.csv"

    @property
    def similarity(self) -> Path:
        return self.root / "similarity.csv"

    def model(self, name: str) -> Path:
        return self.root / "sources" / name / "model.safetensors"

    def inference(self, source: str) -> Path:
        return self.root / "inference" / f"{source}.safetensors"

    def weights(self, recipe: str) -> Path:
        return self.root / "weights" / f"{recipe}.csv"

    def folder(self, recipe: str) -> Path:
        return self.root / "students" / recipe / "seed0"

    def member(self, recipe: str) -> dict:
        method, objective, architecture, initial, source = STUDENTS[recipe]
        return {
            "recipe": recipe,
            "method": method,
            "objective": objective,
            "architecture": architecture,
            "learning_rate": 0.003,
            "source": source,
            "weights": str(self.weights(recipe)) if recipe in WEIGHT_RECIPES else None,
            "initial": initial,
            "initial_weights": str(self.weights(recipe)) if recipe.startswith("fine") else None,
            "folder": str(self.folder(recipe)),
        }

    def infer(self, source: str, output: Path, **changes) -> None:
        """Run infer_source with a source's model; writes `output`."""
        infer_source.main(
            self.data["train_images"],
            self.data["index"],
            self.model(source),
            output,
            source=source,
            target="fruit",
            view=VIEW,
            statistics=None,
            activation="softmax",
            device="cpu",
            threads=1,
            **changes,
        )

    def train(self, output: str, recipes=tuple(STUDENTS), *, members=None, **changes) -> Path:
        """Run train_students on some of `STUDENTS`; returns its output folder."""
        options = {
            "target": "fruit",
            "seed": 0,
            "image_size": 16,
            "settings": SETTINGS,
            "view": VIEW,
            "distill_labeled": False,
            "code": "0123",
            "device": "cpu",
            "threads": 1,
        }
        train_students.main(
            self.data,
            {source: self.inference(source) for source in SOURCES},
            {name: self.model(name) for name in (*SOURCES, INITIAL)},
            [self.member(recipe) for recipe in recipes] if members is None else members,
            self.root / output,
            **{**options, **changes},
        )
        return self.root / output

    def evaluate(self, trained: Path, recipe: str, **changes) -> Path:
        """Run evaluate_student; returns the student's folder."""
        method, _, architecture, _, source = STUDENTS[recipe]
        student = {
            "target": "fruit",
            "recipe": recipe,
            "method": method,
            "p": "0" if method == "distill_weighted" else None,
            "source": source,
            "seed": 0,
            "student": architecture,
        }
        evaluate_student.main(
            trained / recipe,
            self.labels,
            self.data["split"],
            self.folder(recipe),
            student={**student, **changes},
        )
        return self.folder(recipe)

    def weigh(self, name: str, similarity: Path | None = None, **changes) -> Path:
        """Run compute_weights for one of `WEIGHT_RECIPES`, or for the `recipe` in `changes`."""
        options = {"recipe": WEIGHT_RECIPES.get(name), "target": "fruit", "seed": 0}
        options |= {**WEIGHTING, "fallback": "error", "architectures": SOURCES, **changes}
        compute_weights.main(similarity or self.similarity, self.weights(name), **options)
        return self.weights(name)


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
    folder = world.root / "data" / "fruit"
    write_task(folder, task="fruit", classes=["fig", "lime", "plum"], seed=1, pools=pools)
    for name in ("splits", "inference", "weights"):
        (world.root / name).mkdir()
    for seed, (name, architecture) in enumerate({**SOURCES, INITIAL: "convnet_tiny"}.items()):
        world.model(name).parent.mkdir(parents=True)
        meta = {"architecture": architecture, "num_classes": 4 + seed}
        meta |= {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
        save_model(build_model(architecture, 4 + seed, seed=seed), world.model(name), meta)
    data = world.data
    split_target.main(
        data["index"],
        world.labels,
        data["split"],
        data["labeled"],
        target="fruit",
        fraction=0.3,
        seed=0,
    )
    for source in SOURCES:
        world.infer(source, world.inference(source))
    score_similarity.main(
        {source: world.inference(source) for source in SOURCES},
        data["index"],
        data["split"],
        data["labeled"],
        world.similarity,
        target="fruit",
        seed=0,
        probe_size=15,
        metrics=["parc", "cka"],
        representations=["pseudo_labels", "features"],
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
