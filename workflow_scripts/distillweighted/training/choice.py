"""Choosing the settings of every method, and the method to deploy, on validation images.

The candidates were trained on a part of the labelled images and tested on the rest of them, so that
the test images stay unseen. Each recipe gets the learning rate and the lambda of its most accurate
candidate (of equal ones the first); the recipe to deploy, where none is asked for, is the one with
the most accurate candidate.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from distillweighted.errors import DamagedError
from distillweighted.files.tables import read_facts
from distillweighted.jobs import Job


@dataclass(frozen=True)
class Candidate:
    """A student that was trained to be chosen from."""

    recipe: str
    """The recipe that it is a variant of."""

    learning_rate: float
    """Its peak learning rate."""

    lam: float | None
    """Its lambda; None where its objective has none."""

    metrics: str
    """Its metrics.json."""


@dataclass(frozen=True)
class ChoiceJob(Job):
    """What a job that chooses is told."""

    target: str
    """The target."""

    seed: int
    """The seed of its replicate."""

    deploy: str | None
    """The recipe to deploy; None to choose it."""

    deployable: tuple[str, ...]
    """The recipes to choose it from."""

    candidates: tuple[Candidate, ...]
    """The candidates of all recipes."""

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Self:
        candidates = tuple(Candidate(**candidate) for candidate in params["candidates"])
        return super().of({**params, "candidates": candidates})


class Settings(NamedTuple):
    """What was chosen for a recipe."""

    learning_rate: float
    lam: float | None


def choose(job: ChoiceJob, output: Path) -> None:
    """Write the choice: `deploy`, a recipe, and `recipes`: for each the learning_rate and lambda,
    the validation accuracy (percent) that they gave with its standard error, and all candidates.

    Raises:
        DamagedError: Where the metrics of a candidate are not as they were written.
    """
    recipes: dict[str, dict[str, Any]] = {}
    images = 0
    for candidate in job.candidates:
        path = Path(candidate.metrics)
        metrics = read_facts(path, ("accuracy", "n_test"))
        accuracy, images = metrics["accuracy"], metrics["n_test"]
        if not (isinstance(accuracy, float) and isinstance(images, int) and images > 0):
            raise DamagedError(path, "its accuracy or its number of images is no number")
        tried = {
            "learning_rate": candidate.learning_rate,
            "lambda": candidate.lam,
            "accuracy": accuracy,
        }
        recipes.setdefault(candidate.recipe, {"candidates": []})["candidates"].append(tried)
    for facts in recipes.values():
        best = max(facts["candidates"], key=lambda tried: tried["accuracy"])
        share = best["accuracy"] / 100
        facts |= {**best, "standard_error": 100 * math.sqrt(share * (1 - share) / images)}
    deploy = job.deploy or max(
        (name for name in recipes if name in job.deployable),
        key=lambda name: recipes[name]["accuracy"],
    )
    choice = {
        "target": job.target,
        "seed": job.seed,
        "deploy": deploy,
        "validation_images": images,
        "recipes": recipes,
    }
    output.write_text(json.dumps(choice, indent=1), encoding="utf-8")


def read_settings(path: Path, recipe: str) -> Settings:
    """What was chosen for a recipe.

    Raises:
        DamagedError: Where the file is not as `choose` wrote it.
    """
    recipes = read_facts(path, ("recipes",))["recipes"]
    try:
        facts = recipes[recipe]
        rate, lam = float(facts["learning_rate"]), facts["lambda"]
        return Settings(rate, None if lam is None else float(lam))
    except (KeyError, TypeError, ValueError):
        raise DamagedError(path, f"it has no settings of '{recipe}'") from None


def read_deployed(path: Path) -> str:
    """The recipe to deploy.

    Raises:
        DamagedError: Where the file is not as `choose` wrote it.
    """
    return str(read_facts(path, ("deploy",))["deploy"])
