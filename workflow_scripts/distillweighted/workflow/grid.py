"""The grid: which students a configuration asks for.

One table, one row a student, says which runs exist. Everything that needs to know (rules, weights,
tables, tests) reads it, so that no student can exist twice. A distillation method is a vector of
weights over the sources; what differs between rows is only where that vector comes from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from distillweighted.tasks.registry import target_names
from distillweighted.training.objectives.registry import OBJECTIVES
from distillweighted.workflow.recipes import (
    Recipe,
    architecture_recipes,
    is_chosen,
    lambda_recipes,
    list_recipes,
    methods_of,
)

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["target", "replicate", "seed", "label_fraction"]
COLUMNS += ["recipe", "method", "p", "source", "draw", "keep", "subset", "student", "cohort"]


@dataclass(frozen=True)
class Replicate:
    """One labelled split of every target, and what is drawn with it."""

    name: str
    """Its name in paths: the seed, with the label fraction where that is not the first."""

    seed: int
    """The seed."""

    label_fraction: float
    """Share of the training images that are labelled."""

    validation: float | None = None
    """Share of the labelled images that are kept for choosing between students (`choice`), which
    are then tested on them; None for students that are trained on all and tested on the test
    images."""


@dataclass(frozen=True)
class PlannedStudent:
    """A row of the grid."""

    target: str
    """The target."""

    replicate: Replicate
    """Seed and labels."""

    recipe: Recipe
    """How it is trained."""

    architecture: str
    """The network that is trained."""

    cohort: str
    """Students of one target and replicate with the same cohort share a process."""


def list_replicates(config: Mapping[str, Any]) -> list[Replicate]:
    """All replicates that count: every seed, for every label fraction."""
    training = config["training"]
    replicates = [
        Replicate(str(seed), seed, training["label_fraction"]) for seed in config["seeds"]
    ]
    for fraction in training["other_label_fractions"]:
        name = f"labels{fraction:g}"
        replicates += [Replicate(f"{seed}-{name}", seed, fraction) for seed in config["seeds"]]
    return replicates


def validation_replicate(config: Mapping[str, Any], replicate: Replicate) -> Replicate:
    """The replicate on which the settings of another's students are chosen."""
    fraction = config["choice"]["validation_fraction"]
    return replace(replicate, name=f"{replicate.name}-validation", validation=fraction)


def list_students(config: Mapping[str, Any]) -> list[PlannedStudent]:
    """All students of a complete configuration (see `config.read_config`), target by target."""
    first = config["training"]["label_fraction"]

    def recipes_of(target: str, replicate: Replicate) -> list[Recipe]:
        recipes = list(list_recipes(config, target, replicate.seed))
        if config["tuning"] is not None:
            rates = config["tuning"]["learning_rates"]
            return [replace(recipe, learning_rate=r) for recipe in recipes for r in rates]
        if replicate.label_fraction == first:
            # IN+Transfer of an architecture may be a baseline too.
            recipes += [r for r in architecture_recipes(config) if r not in recipes]
            recipes += lambda_recipes(config)
        return recipes

    students = list(_plan(config, list_replicates(config), recipes_of))
    names = {(s.target, s.replicate.name, s.recipe.name) for s in students}
    if len(names) < len(students):
        raise AssertionError("a student stands in the grid twice")
    return students


def list_candidates(config: Mapping[str, Any]) -> list[PlannedStudent]:
    """The students that are trained only to choose between settings and methods (`choice`).

    Each student of the grid that has the student's own architecture has one for every learning rate
    and, where its objective has a lambda, every lambda. They learn from a part of the labelled
    images and are tested on the rest of them.
    """
    choice = config["choice"]
    if choice is None:
        return []

    def variants_of(target: str, replicate: Replicate) -> list[Recipe]:
        return [
            replace(recipe, learning_rate=rate, lam=lam)
            for recipe in list_recipes(config, target, replicate.seed)
            if is_chosen(recipe)
            for rate in choice["learning_rates"] or [None]
            for lam in (choice["lambdas"] if OBJECTIVES[recipe.facts.objective].lam else ())
            or [None]
        ]

    replicates = [validation_replicate(config, r) for r in list_replicates(config)]
    return list(_plan(config, replicates, variants_of))


def _plan(
    config: Mapping[str, Any],
    replicates: Sequence[Replicate],
    recipes_of: Callable[[str, Replicate], list[Recipe]],
) -> Iterator[PlannedStudent]:
    """The students of some recipes of every target and replicate: by target, then by recipe."""
    student, size = config["student"]["architecture"], config["training"]["cohort"]
    for target in target_names(config):
        rows: dict[Recipe, list[PlannedStudent]] = {}
        for replicate in replicates:
            for recipe, cohort in _with_cohorts(recipes_of(target, replicate), size):
                architecture = recipe.architecture or student
                row = PlannedStudent(target, replicate, recipe, architecture, cohort)
                rows.setdefault(recipe, []).append(row)
        for students in rows.values():
            yield from students


def deployable(config: Mapping[str, Any]) -> dict[str, Recipe]:
    """The recipes of which a configuration may deploy a student, by the name of their method."""
    found: dict[str, Recipe] = {}
    if config["tuning"] is not None:
        return found
    architecture, default_p = config["student"]["architecture"], config["methods"]["default_p"]
    for student in list_students({**config, "targets": config["targets"][:1]}):
        recipe = student.recipe
        if student.architecture != architecture or recipe.source or recipe.architecture:
            continue
        found |= dict.fromkeys(methods_of(recipe, default_p), recipe)
    return found


def student_grid(config: Mapping[str, Any]) -> pd.DataFrame:
    """The table of all students.

    Args:
        config: A complete configuration.

    Returns:
        One row a student: target, replicate (its name), seed, label_fraction, recipe, method, p
        (NaN where it has none), source (of a single-source student, else None), draw (of random
        weights, else -1), keep (of the nearest sources, else -1), subset (size of a random one,
        else -1), student (the architecture that is trained), cohort.
    """
    import pandas as pd

    rows = [
        (
            student.target,
            student.replicate.name,
            student.replicate.seed,
            student.replicate.label_fraction,
            student.recipe.name,
            student.recipe.method,
            math.nan if student.recipe.p is None else student.recipe.p,
            student.recipe.source,
            -1 if student.recipe.draw is None else student.recipe.draw,
            -1 if student.recipe.keep is None else student.recipe.keep,
            -1 if student.recipe.subset is None else student.recipe.subset,
            student.architecture,
            student.cohort,
        )
        for student in list_students(config)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _with_cohorts(recipes: Sequence[Recipe], size: int) -> Iterator[tuple[Recipe, str]]:
    """Each recipe with a cohort's name.

    A process takes seconds to start, so cohorts are full: those of single sources, and those of all
    other students, but for the last of each. Values of p, to which most is added, come last: one at
    the end of their list moves no other student to another cohort. Whoever is moved keeps its
    result, which does not depend on the cohort.
    """
    seen: dict[str, int] = {}
    cohorts: dict[Recipe, str] = {}
    for recipe in sorted(recipes, key=_is_exponent):
        family = recipe.method if recipe.facts.variants == "sources" else "others"
        index = seen.get(family, 0)
        seen[family] = index + 1
        cohorts[recipe] = recipe.name if size == 1 else f"{family}-{index // size}"
    for recipe in recipes:
        yield recipe, cohorts[recipe]


def _is_exponent(recipe: Recipe) -> bool:
    """Whether a recipe is one of a list of exponents."""
    plain = recipe.lam is None and recipe.architecture is None
    return recipe.facts.variants == "exponents" and plain
