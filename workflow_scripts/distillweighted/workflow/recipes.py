"""Recipes: how a student is trained, and which recipes a configuration asks for.

A distillation method is a vector of weights over the sources; what differs between recipes is only
where that vector comes from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from distillweighted.methods import METHODS, Method
from distillweighted.sources.model import Model
from distillweighted.sources.zoo import (
    CHOSEN_STARTS,
    admissible_sources,
    baseline_architectures,
)

STORED = ("one", "default_p", "draws", "keeps", "subsets")
"""Variants whose weights are stored, where there are any, for just the recipes of the grid."""


def format_p(p: float) -> str:
    """An exponent as it stands in a recipe's name: 12, 0.5, inf."""
    return "inf" if math.isinf(p) else repr(float(p) + 0.0).removesuffix(".0")  # no "-0"


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

    keep: int | None = None
    """How many of the nearest sources it has, of equal weights."""

    subset: int | None = None
    """How many sources, drawn at random, it has (`subsets.drawn_sources`)."""

    architecture: str | None = None
    """The network that is trained where it is not the student's: a source's, of a baseline, or
    another student's (`student.other_architectures`)."""

    learning_rate: float | None = None
    """Its own peak learning rate, of a candidate (`choice.learning_rates`) or where rates are tuned
    (`tuning`)."""

    lam: float | None = None
    """Its own lambda, of a candidate (`choice.lambdas`) or where its effect is measured
    (`training.other_lambdas`)."""

    @property
    def name(self) -> str:
        """Its name in paths and tables."""
        name = self.method
        if self.subset is not None:
            name += f"-n{self.subset}"
        elif self.p is not None:
            name += f"-p{format_p(self.p)}"
        elif self.draw is not None:
            name += f"-draw{self.draw}"
        elif self.keep is not None:
            name += f"-k{self.keep}"
        elif self.source is not None:
            name += f"-{self.source}"
        if self.architecture is not None:
            name += f"-{self.architecture}"
        if self.learning_rate is not None:
            name += f"-rate{self.learning_rate:g}"
        return name if self.lam is None else f"{name}-lambda{self.lam:g}"

    @property
    def base(self) -> Recipe:
        """The recipe that it is a variant of by its rate or lambda; of others, itself."""
        return replace(self, learning_rate=None, lam=None)

    @property
    def facts(self) -> Method:
        """The row of its method."""
        return METHODS[self.method]

    @property
    def weights_name(self) -> str:
        """The name under which its weights are stored, where there are any: whatever student is
        trained with them, but that of a selected source has its own."""
        if self.facts.variants == "architectures":
            return self.base.name
        return replace(self.base, architecture=None).name

    @property
    def has_weights_file(self) -> bool:
        """Whether its weights over the sources are computed and stored."""
        return self.facts.weights not in (None, "single")


def weight_recipes(config: Mapping[str, Any]) -> dict[str, Recipe]:
    """The recipes whose weights are stored for every target and seed, by name.

    `distill_weighted-pinf` is always there: it names the nearest source.
    """
    recipes = [Recipe("distill_weighted", p=math.inf)]
    for method in METHODS.values():
        if method.variants == "exponents":
            recipes += [Recipe(method.name, p=p) for p in asked(method, config)]
        elif method.weights is not None and method.variants in STORED:
            recipes += _variants(method, config, [], single=False)
    selecting = baseline_architectures(config)
    if config["student"]["initialization"] == "nearest_source":
        selecting = dict.fromkeys([*selecting, config["student"]["architecture"]])
    recipes += [Recipe("finetune_selected_source", architecture=name) for name in selecting]
    return {recipe.name: recipe for recipe in recipes}


def lambda_recipes(config: Mapping[str, Any]) -> list[Recipe]:
    """The recipes that measure the effect of lambda: DistillWeighted at `methods.default_p` with
    each of `training.other_lambdas`.

    At lambda = 1 the control that distils nothing is the same student, and stands for it.
    """
    methods = config["methods"]
    if methods["default_p"] not in methods["distill_weighted"]:
        return []
    plain = Recipe("distill_weighted", p=methods["default_p"])
    control = METHODS["control_pass_through"]
    trained = {config["training"]["lambda"]} | ({control.lam} if asked(control, config) else set())
    others = [lam for lam in config["training"]["other_lambdas"] if lam not in trained]
    return [replace(plain, lam=lam) for lam in others]


def architecture_recipes(config: Mapping[str, Any]) -> list[Recipe]:
    """The recipes of students of `student.other_architectures`: IN+Transfer, DistillWeighted at
    `methods.default_p` and, where p = inf is asked for, DistillNearest."""
    methods = config["methods"]
    exponents = [p for p in methods["distill_weighted"] if p in (methods["default_p"], math.inf)]
    plain = [Recipe("in_transfer")] if config["baselines"]["in_transfer"] else []
    plain += [Recipe("distill_weighted", p=p) for p in exponents]
    names = config["student"]["other_architectures"]
    return [replace(recipe, architecture=name) for name in names for recipe in plain]


def is_chosen(recipe: Recipe) -> bool:
    """Whether the settings of a recipe are chosen where the configuration has a `choice`."""
    return recipe.architecture is None and recipe.lam is None and recipe.facts.control is None


def methods_of(recipe: Recipe, default_p: float) -> list[str]:
    """The methods of which a recipe, not of a single source, gives the one student a seed; none
    where it is one of several, or a control.

    Args:
        recipe: The recipe.
        default_p: The exponent of DistillWeighted.
    """
    variant_of = (recipe.draw, recipe.keep, recipe.subset, recipe.lam)
    if any(value is not None for value in variant_of) or recipe.facts.control is not None:
        return []
    if recipe.method != "distill_weighted":
        return [recipe.method]
    exponents = {"distill_weighted": default_p, "distill_equal": 0.0, "distill_nearest": math.inf}
    return [name for name, p in exponents.items() if recipe.p == p]


def list_recipes(config: Mapping[str, Any], target: str, seed: int) -> Iterator[Recipe]:
    """The recipes of one target and seed, each with the configuration's learning rate and lambda.

    Args:
        config: A complete configuration.
        target: The target.
        seed: One of `seeds`. Only the first of them may have single sources or source architectures
            (`methods.distill_single_seeds`, `baselines.source_architecture_seeds`).
    """
    sources = admissible_sources(config, target)
    position = config["seeds"].index(seed)
    for method in METHODS.values():
        if method.objective is not None and method.variants != "architectures":
            yield from _variants(method, config, sources, single=has_singles(config, seed))
    if _counts(config["baselines"]["source_architecture_seeds"], position):
        yield from _of_architectures(config, sources)


def has_singles(config: Mapping[str, Any], seed: int) -> bool:
    """Whether there are single-source students of a seed."""
    methods = config["methods"]
    counts = _counts(methods["distill_single_seeds"], config["seeds"].index(seed))
    return methods["distill_single"] and counts


def _counts(first: int | None, position: int) -> bool:
    return first is None or position < first


def _of_architectures(config: Mapping[str, Any], sources: Sequence[Model]) -> Iterator[Recipe]:
    """The baselines of source architectures."""
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
    method: Method, config: Mapping[str, Any], sources: Sequence[Model], *, single: bool
) -> Iterator[Recipe]:
    """The students of a method that the configuration asks for, of the student's architecture."""
    wanted = asked(method, config)
    if method.variants == "sources":
        if single:
            yield from (Recipe(method.name, source=source.name) for source in sources)
    elif method.variants == "exponents":
        for p in wanted:
            # p = inf puts all weight on one source: that student is among the singles already,
            # where they are trained with the same objective.
            same = method.objective == METHODS["distill_single"].objective
            if not (math.isinf(p) and same and single):
                yield Recipe(method.name, p=p)
    elif method.variants == "draws":
        yield from (Recipe(method.name, draw=draw) for draw in range(wanted))
    elif method.variants == "keeps":
        yield from (Recipe(method.name, keep=k) for k in wanted)
    elif method.variants == "subsets":
        p = config["methods"]["default_p"]
        for size in wanted:
            # One source has all the weight: that student is among the singles already.
            if not (size == 1 and single):
                yield Recipe(method.name, p=p, subset=size)
    elif method.variants == "default_p":
        if wanted:
            yield Recipe(method.name, p=config["methods"]["default_p"])
    elif wanted:
        yield Recipe(method.name)


def asked(method: Method, config: Mapping[str, Any]) -> Any:
    """What the configuration says of a method: whether, how often, or for which p, k or sizes."""
    section, key = method.switch.split(".")
    return config[section][key]
