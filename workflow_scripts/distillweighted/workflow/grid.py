"""The grid: which sources, students and weight vectors a configuration asks for.

One table, one row a student, says which runs exist. Everything that needs to know (rules, weights,
tables, tests) reads it, so that no student can exist twice. A distillation method is a vector of
weights over the sources; what differs between rows is only where that vector comes from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from typing import Any

import pandas as pd

COLUMNS = ["target", "replicate", "seed", "label_fraction"]
COLUMNS += ["recipe", "method", "p", "source", "draw", "student", "cohort"]

WEIGHTED_METHODS = ("distill_weighted", "distill_inverse", "distill_random_weights")
"""Methods whose weights are computed from scores (or drawn) and stored in a file of their own."""


@dataclass(frozen=True)
class SourceModel:
    """A source: an architecture trained on a task.

    Attributes:
        origin: "trained", by the workflow, or "bank", a checkpoint.
        multi_label_outputs: See the configuration key of that name.
    """

    name: str
    architecture: str
    task: str
    origin: str = "trained"
    multi_label_outputs: str = "softmax"


def list_sources(config: Mapping[str, Any]) -> list[SourceModel]:
    """All sources of a configuration, sorted by name (ties in similarity go to the first)."""
    sources = [
        SourceModel(
            f"{architecture}_{task}",
            architecture,
            task,
            group["from"],
            group["multi_label_outputs"],
        )
        for group in config["sources"]
        for architecture in group["architectures"]
        for task in group["tasks"]
    ]
    return sorted(sources, key=lambda source: source.name)


@dataclass(frozen=True)
class Replicate:
    """One labelled split of every target, and what is drawn with it.

    Attributes:
        name: Its name in paths: the seed, with the label fraction where that is not the first.
        seed: The seed.
        label_fraction: Share of the training images that are labelled.
    """

    name: str
    seed: int
    label_fraction: float


def list_replicates(config: Mapping[str, Any]) -> list[Replicate]:
    """All replicates: every seed, for every label fraction."""
    training = config["training"]
    replicates = [
        Replicate(str(seed), seed, training["label_fraction"]) for seed in config["seeds"]
    ]
    for fraction in training["other_label_fractions"]:
        name = f"labels{fraction:g}"
        replicates += [Replicate(f"{seed}-{name}", seed, fraction) for seed in config["seeds"]]
    return replicates


def excluded_sources(config: Mapping[str, Any], target: str) -> dict[str, str]:
    """Names of the sources that may not serve a target, each with the reason."""
    excluded = {}
    for source in list_sources(config):
        if source.task == target:
            excluded[source.name] = "trained on the target's own task"
        elif any(
            entry["target"] == target
            and (source.name in entry["sources"] or source.task in entry["sources"])
            for entry in config["exclude"]
        ):
            excluded[source.name] = "listed under `exclude`"
    return excluded


def admissible_sources(config: Mapping[str, Any], target: str) -> list[SourceModel]:
    """The sources that may serve a target, sorted by name."""
    excluded = excluded_sources(config, target)
    return [source for source in list_sources(config) if source.name not in excluded]


def format_p(p: float) -> str:
    """An exponent as it stands in a recipe's name: 12, 0.5, inf."""
    return "inf" if math.isinf(p) else repr(float(p) + 0.0).removesuffix(".0")  # no "-0"


def baseline_architectures(config: Mapping[str, Any]) -> list[str]:
    """The source architectures for which baselines are trained, in the configuration's order."""
    chosen = config["baselines"]["source_architectures"]
    if chosen is not None:
        return list(chosen)
    return list(dict.fromkeys(a for group in config["sources"] for a in group["architectures"]))


def weight_recipes(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The recipes whose weights are stored for every target and seed.

    Returns:
        For each recipe its method, p (a number, "inf", or None), draw, and the architecture that
        it is limited to (None: all). `distill_weighted-pinf` is always there: it names the
        nearest source.
    """
    methods = config["methods"]

    def recipe(method: str, p: Any = None, draw: int = -1, architecture: str | None = None):
        return {"method": method, "p": p, "draw": draw, "architecture": architecture}

    recipes = {}
    for p in [*methods["distill_weighted"], math.inf]:
        # Infinity as text: JSON and rerun checks have no other safe way to carry it.
        value = "inf" if math.isinf(p) else p
        recipes[f"distill_weighted-p{format_p(p)}"] = recipe("distill_weighted", p=value)
    if methods["distill_inverse"]:
        recipes["distill_inverse"] = recipe("distill_inverse")
    for i in range(methods["distill_random_weights"]):
        recipes[f"distill_random_weights-draw{i}"] = recipe("distill_random_weights", draw=i)
    selecting = baseline_architectures(config)
    if config["student"]["initialization"] == "nearest_source":
        selecting = dict.fromkeys([*selecting, config["student"]["architecture"]])
    for name in selecting:
        recipes[f"finetune_selected_source-{name}"] = recipe(
            "finetune_selected_source", architecture=name
        )
    return recipes


def student_grid(config: Mapping[str, Any]) -> pd.DataFrame:
    """The table of all students.

    Args:
        config: A complete configuration (see `config.read_config`).

    Returns:
        One row a student: target, replicate (its name), seed, label_fraction, recipe, method, p
        (NaN where it has none), source (of a single-source student, else None), draw (of random
        weights, else -1), student (the architecture that is trained), cohort (students of one
        target and replicate with the same cohort share a process).
    """
    rows = [
        dict(zip(COLUMNS, (target, *astuple(replicate), *row), strict=True))
        for target in config["targets"]
        for row in _with_cohorts(list(_recipes(config, target)), config["training"]["cohort"])
        for replicate in list_replicates(config)
    ]
    grid = pd.DataFrame(rows, columns=COLUMNS)
    if grid.duplicated(["target", "replicate", "recipe"]).any():
        raise AssertionError("a student stands in the grid twice")
    return grid


def _recipes(config: Mapping[str, Any], target: str) -> Iterator[tuple]:
    """Yields (recipe, method, p, source, draw, student) of one target; the same for every seed."""
    methods, baselines = config["methods"], config["baselines"]
    student = config["student"]["architecture"]
    nothing = math.nan
    if methods["distill_single"]:
        for source in admissible_sources(config, target):
            yield (
                f"distill_single-{source.name}",
                "distill_single",
                nothing,
                source.name,
                -1,
                student,
            )
    for p in methods["distill_weighted"]:
        # p = inf puts all weight on one source: that student is among the singles already.
        if not (math.isinf(p) and methods["distill_single"]):
            yield f"distill_weighted-p{format_p(p)}", "distill_weighted", p, None, -1, student
    if methods["distill_inverse"]:
        yield "distill_inverse", "distill_inverse", nothing, None, -1, student
    for i in range(methods["distill_random_weights"]):
        recipe = f"distill_random_weights-draw{i}"
        yield recipe, "distill_random_weights", nothing, None, i, student
    if baselines["in_transfer"]:
        yield "in_transfer", "in_transfer", nothing, None, -1, student
    if baselines["in_fixmatch"]:
        yield "in_fixmatch", "in_fixmatch", nothing, None, -1, student
    available = {source.architecture for source in admissible_sources(config, target)}
    for architecture in baseline_architectures(config):
        started = config["student"]["initialization"] not in ("random", "nearest_source")
        if architecture != student and started:
            recipe = f"in_transfer-{architecture}"
            yield recipe, "in_transfer", nothing, None, -1, architecture
        if architecture in available:
            recipe = f"finetune_selected_source-{architecture}"
            yield recipe, "finetune_selected_source", nothing, None, -1, architecture


def _with_cohorts(recipes: list[tuple], size: int) -> Iterator[tuple]:
    """Append a cohort's name to each recipe.

    Cohorts are cut within a method, in the configuration's order, so that a value of p at the end
    of the list moves no other student to another cohort.
    """
    seen: dict[str, int] = {}
    for recipe in recipes:
        method = recipe[1]
        family = method if method in ("distill_single", "distill_weighted") else "others"
        index = seen.get(family, 0)
        seen[family] = index + 1
        yield (*recipe, recipe[0] if size == 1 else f"{family}-{index // size}")
