"""The grid: which students a configuration asks for.

One table, one row a student, says which runs exist. Everything that needs to know (rules, weights,
tables, tests) reads it, so that no student can exist twice. A distillation method is a vector of
weights over the sources; what differs between rows is only where that vector comes from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from distillweighted.methods import METHODS, Method
from distillweighted.sources.model import Model
from distillweighted.sources.zoo import (
    CHOSEN_STARTS,
    admissible_sources,
    baseline_architectures,
)
from distillweighted.tasks.registry import target_names
from distillweighted.training.objectives.registry import OBJECTIVES

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["target", "replicate", "seed", "label_fraction"]
COLUMNS += ["recipe", "method", "p", "source", "draw", "student", "cohort"]


def format_p(p: float) -> str:
    """An exponent as it stands in a recipe's name: 12, 0.5, inf."""
    return "inf" if math.isinf(p) else repr(float(p) + 0.0).removesuffix(".0")  # no "-0"


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
class Recipe:
    """How a student is trained: a method, and which of its variants."""

    method: str
    """A name in `methods.METHODS`."""

    p: float | None = None
    """The exponent of eq. 5, 0 to infinity, where the method has one."""

    source: str | None = None
    """The source of a single-source student."""

    draw: int | None = None
    """The number of a draw of random weights."""

    architecture: str | None = None
    """The source architecture of a baseline; None for the student's."""

    learning_rate: float | None = None
    """Its own peak learning rate, of a candidate (`choice.learning_rates`)."""

    lam: float | None = None
    """Its own lambda, of a candidate (`choice.lambdas`)."""

    @property
    def name(self) -> str:
        """Its name in paths and tables."""
        name, variant = self.method, self.source or self.architecture
        if self.p is not None:
            name += f"-p{format_p(self.p)}"
        elif self.draw is not None:
            name += f"-draw{self.draw}"
        elif variant is not None:
            name += f"-{variant}"
        if self.learning_rate is not None:
            name += f"-rate{self.learning_rate:g}"
        return name if self.lam is None else f"{name}-lambda{self.lam:g}"

    @property
    def base(self) -> Recipe:
        """The recipe that a candidate is a variant of; of others, itself."""
        return replace(self, learning_rate=None, lam=None)

    @property
    def facts(self) -> Method:
        """The row of its method."""
        return METHODS[self.method]

    @property
    def has_weights_file(self) -> bool:
        """Whether its weights over the sources are computed and stored."""
        return self.facts.weights not in (None, "single")


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


def weight_recipes(config: Mapping[str, Any]) -> dict[str, Recipe]:
    """The recipes whose weights are stored for every target and seed, by name.

    `distill_weighted-pinf` is always there: it names the nearest source.
    """
    recipes = [Recipe("distill_weighted", p=math.inf)]
    for method in METHODS.values():
        if method.variants == "exponents":
            recipes += [Recipe(method.name, p=p) for p in asked(method, config)]
        elif method.weights is not None and method.variants in ("one", "default_p", "draws"):
            recipes += _variants(method, config, [])
    selecting = baseline_architectures(config)
    if config["student"]["initialization"] == "nearest_source":
        selecting = dict.fromkeys([*selecting, config["student"]["architecture"]])
    recipes += [Recipe("finetune_selected_source", architecture=name) for name in selecting]
    return {recipe.name: recipe for recipe in recipes}


def list_students(config: Mapping[str, Any]) -> list[PlannedStudent]:
    """All students of a complete configuration (see `config.read_config`), target by target."""
    student, size = config["student"]["architecture"], config["training"]["cohort"]
    replicates = list_replicates(config)
    students = [
        PlannedStudent(target, replicate, recipe, recipe.architecture or student, cohort)
        for target in target_names(config)
        for recipe, cohort in _with_cohorts(list(_recipes(config, target)), size)
        for replicate in replicates
    ]
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
    choice, architecture = config["choice"], config["student"]["architecture"]
    if choice is None:
        return []
    students, size = [], config["training"]["cohort"]
    replicates = [validation_replicate(config, r) for r in list_replicates(config)]
    for target in target_names(config):
        variants = [
            replace(recipe, learning_rate=rate, lam=lam)
            for recipe in _recipes(config, target)
            if is_chosen(recipe)
            for rate in choice["learning_rates"] or [None]
            for lam in (choice["lambdas"] if OBJECTIVES[recipe.facts.objective].lam else ())
            or [None]
        ]
        students += [
            PlannedStudent(target, replicate, recipe, architecture, cohort)
            for recipe, cohort in _with_cohorts(variants, size)
            for replicate in replicates
        ]
    return students


def is_chosen(recipe: Recipe) -> bool:
    """Whether the settings of a recipe are chosen where the configuration has a `choice`."""
    return recipe.architecture is None


def deployable(config: Mapping[str, Any]) -> dict[str, Recipe]:
    """The recipes of which a configuration may deploy a student, by the name of their method."""
    found: dict[str, Recipe] = {}
    default, architecture = config["methods"]["default_p"], config["student"]["architecture"]
    names = {default: "distill_weighted", math.inf: "distill_nearest", 0.0: "distill_equal"}
    for student in list_students({**config, "targets": config["targets"][:1]}):
        recipe = student.recipe
        if student.architecture != architecture or recipe.draw is not None:
            continue
        if recipe.method == "distill_weighted":
            if recipe.p in names:
                found[names[recipe.p]] = recipe
        elif recipe.source is None and recipe.architecture is None:
            found[recipe.method] = recipe
    return found


def student_grid(config: Mapping[str, Any]) -> pd.DataFrame:
    """The table of all students.

    Args:
        config: A complete configuration.

    Returns:
        One row a student: target, replicate (its name), seed, label_fraction, recipe, method, p
        (NaN where it has none), source (of a single-source student, else None), draw (of random
        weights, else -1), student (the architecture that is trained), cohort.
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
            student.architecture,
            student.cohort,
        )
        for student in list_students(config)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _recipes(config: Mapping[str, Any], target: str) -> Iterator[Recipe]:
    """The recipes of one target; the same for every seed."""
    sources = admissible_sources(config, target)
    for method in METHODS.values():
        if method.objective is not None and method.variants != "architectures":
            yield from _variants(method, config, sources)
    available = {source.architecture for source in sources}
    student = config["student"]
    # The student's own architecture has the methods with a fixed start already.
    fixed = student["initialization"] not in (*CHOSEN_STARTS, "weights")
    for architecture in baseline_architectures(config):
        possible = {
            "selected_source": architecture in available,
            "initialization": fixed and architecture != student["architecture"],
        }
        for method in METHODS.values():
            if method.other_architectures and possible[method.start]:
                yield Recipe(method.name, architecture=architecture)


def _variants(
    method: Method, config: Mapping[str, Any], sources: Sequence[Model]
) -> Iterator[Recipe]:
    """The students of a method that the configuration asks for, of the student's architecture."""
    wanted = asked(method, config)
    if method.variants == "sources":
        if wanted:
            yield from (Recipe(method.name, source=source.name) for source in sources)
    elif method.variants == "exponents":
        for p in wanted:
            # p = inf puts all weight on one source: that student is among the singles already,
            # where they are trained with the same objective.
            single = method.objective == METHODS["distill_single"].objective
            if not (math.isinf(p) and single and config["methods"]["distill_single"]):
                yield Recipe(method.name, p=p)
    elif method.variants == "draws":
        yield from (Recipe(method.name, draw=draw) for draw in range(wanted))
    elif method.variants == "default_p":
        if wanted:
            yield Recipe(method.name, p=config["methods"]["default_p"])
    elif wanted:
        yield Recipe(method.name)


def asked(method: Method, config: Mapping[str, Any]) -> Any:
    """What the configuration says of a method: whether, how often, or for which exponents."""
    section, key = method.switch.split(".")
    return config[section][key]


def _with_cohorts(recipes: Sequence[Recipe], size: int) -> Iterator[tuple[Recipe, str]]:
    """Each recipe with a cohort's name.

    Cohorts are cut within a method, in the configuration's order, so that a value of p at the end
    of the list moves no other student to another cohort.
    """
    seen: dict[str, int] = {}
    for recipe in recipes:
        several = recipe.facts.variants in ("sources", "exponents")
        family = recipe.method if several or recipe.facts.apart else "others"
        index = seen.get(family, 0)
        seen[family] = index + 1
        yield recipe, recipe.name if size == 1 else f"{family}-{index // size}"
