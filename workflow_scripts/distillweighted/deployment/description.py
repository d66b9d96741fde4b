"""Describing a student: everything that its card and its page say, read from files and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from distillweighted.deployment.evaluation import Evaluation
from distillweighted.deployment.jobs import DescriptionJob
from distillweighted.errors import DamagedError
from distillweighted.files.tables import read_facts
from distillweighted.files.tensors import load_tensors
from distillweighted.similarity.tables import read_weights
from distillweighted.tasks.prepared import read_image_names, read_labels, read_meta


@dataclass(frozen=True)
class DescriptionFiles:
    """What a description is read from."""

    folder: Path
    """The folder of the student that is handed over: export.json, probabilities.safetensors,
    comparison.csv and verdict.json."""

    task: Path
    """The folder of the prepared target."""

    metrics: Mapping[str, Path]
    """metrics.json of each candidate, by recipe."""

    weights: Mapping[str, Path]
    """Weights over the sources of the candidates that have them, by recipe."""

    sources: Mapping[str, Path]
    """meta.json of the sources, by name."""

    ranking: Path | None = None
    """The ranking of the sources as text, with a figure beside it; None for none."""


@dataclass(frozen=True)
class Source:
    """A source that taught the student."""

    name: str
    """Its name."""

    weight: float
    """Its weight, 0 to 1."""

    architecture: str
    """Its network."""

    licence: str
    """Its licence, or that it is unknown."""

    gmacs: float | None
    """10^9 multiply-accumulates; None if unknown."""


@dataclass(frozen=True)
class Description:
    """A student that is handed over, and what is known of it."""

    job: DescriptionJob
    """What the job was told."""

    export: Mapping[str, Any]
    """export.json."""

    metrics: Mapping[str, Any]
    """The student's metrics.json."""

    meta: Mapping[str, Any]
    """The target's meta.json."""

    evaluation: Evaluation
    """The student on the test part."""

    comparison: pd.DataFrame
    """Every method on the test part."""

    verdict: Mapping[str, str]
    """verdict, intervals and reference."""

    sources: tuple[Source, ...]
    """The sources that taught it, by falling weight; those with a weight above 0."""

    probabilities: Mapping[str, np.ndarray]
    """test [m, C], unlabeled [u, C] and unlabeled_rows [u]."""

    labels: np.ndarray
    """Labels of the test images [m]."""

    names: Mapping[str, list[str]]
    """Image names, by pool."""

    ranking: Path | None
    """The ranking of the sources as text, with a figure beside it; None for none."""

    @property
    def recipe(self) -> str:
        """Its recipe."""
        return self.export["recipe"]

    @property
    def label(self) -> str:
        """Its method for a reader."""
        handed = self.comparison[self.comparison["deployed"]]
        return handed["label"].iloc[0] if len(handed) else self.recipe

    @classmethod
    def read(cls, job: DescriptionJob, files: DescriptionFiles) -> Description:
        """All that is known of a student.

        Raises:
            DamagedError: Where a file is not as it was written, or they do not belong together.
        """
        folder = files.folder
        export = read_facts(folder / "export.json", ("recipe", "classes", "latency_ms"))
        recipe = export["recipe"]
        path = folder / "probabilities.safetensors"
        probabilities, facts = load_tensors(path)
        if facts["recipe"] != recipe:
            raise DamagedError(path, f"it is of '{facts['recipe']}', export.json of '{recipe}'")
        index = files.task / "images.csv"
        names = {pool: read_image_names(index, pool) for pool in ("train", "test")}
        labels = read_labels(files.task / "labels.csv", names["test"])
        if len(probabilities["test"]) != len(labels):
            raise DamagedError(path, f"it has not {len(labels)} rows, one a test image")
        return cls(
            job=job,
            export=export,
            metrics=json.loads(files.metrics[recipe].read_text()),
            meta=read_meta(files.task),
            evaluation=Evaluation.of(probabilities["test"], labels, export["classes"]),
            comparison=pd.read_csv(folder / "comparison.csv"),
            verdict=read_facts(folder / "verdict.json", ("verdict", "intervals")),
            sources=_sources(files, recipe),
            probabilities=probabilities,
            labels=labels,
            names=names,
            ranking=files.ranking,
        )


def _sources(files: DescriptionFiles, recipe: str) -> tuple[Source, ...]:
    if recipe in files.weights:
        weights = read_weights(files.weights[recipe])
    else:
        facts = read_facts(files.metrics[recipe], ("selected_sources",))
        weights = dict.fromkeys(facts["selected_sources"], 1.0)
    sources = []
    for name, weight in sorted(weights.items(), key=lambda item: (-item[1], item[0])):
        if weight > 0 and name in files.sources:
            meta = json.loads(files.sources[name].read_text())
            sources.append(
                Source(
                    name,
                    weight,
                    meta.get("architecture") or "–",
                    meta.get("licence") or "unknown: check",
                    meta.get("gmacs"),
                )
            )
    return tuple(sources)
