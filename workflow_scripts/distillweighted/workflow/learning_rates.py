"""The learning rate of each recipe: `training.learning_rates` by name, then the defaults."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from distillweighted.methods import BASELINES_OF_ANY_ARCHITECTURE, METHODS
from distillweighted.networks.architectures import is_known
from distillweighted.sources.zoo import list_sources
from distillweighted.workflow.problems import Problem, unknown_name
from distillweighted.workflow.recipes import Recipe

SHARING = ("distill_equal", "distill_auto_p", "distill_top_k", "distill_subset")
"""What has the learning rate of distill_weighted unless it has its own: these differ from its p in
weights alone."""


def rate_name(recipe: Recipe) -> str:
    """The name under which a recipe's learning rate stands, beside its own: its method's.

    DistillNearest is the single-source student of the nearest source, so that students of p = inf
    have the rate of single sources; DistillEqual may have one of its own.
    """
    if recipe.method == "distill_weighted" and recipe.p is not None:
        if math.isinf(recipe.p):
            return "distill_single"
        if recipe.p == 0:
            return "distill_equal"
    return recipe.method


def learning_rate_of(config: Mapping[str, Any], recipe: Recipe) -> float:
    """The peak learning rate of a recipe.

    Its own, of a candidate; else the first that `training.learning_rates` has of: the recipe's
    name (in_transfer-resnet18), its method's (see `rate_name`), and for DistillEqual, controls and
    other choices of weights (`SHARING`) that of DistillWeighted. Else the default, which for
    baselines of other architectures is that of sources.
    """
    if recipe.learning_rate is not None:
        return recipe.learning_rate
    training = config["training"]
    names, distilled = [recipe.base.name], recipe.method == "distill_weighted"
    if recipe.architecture is None:
        names.append(rate_name(recipe))
        if names[-1] in SHARING or recipe.facts.control is not None:
            names.append("distill_weighted")
    elif recipe.method == "finetune_selected_source":
        # IN+Transfer's is that of the student's own architecture.
        names.append(recipe.method)
    elif distilled:
        names += [rate_name(recipe), recipe.method]
    for name in names:
        if name in training["learning_rates"]:
            return training["learning_rates"][name]
    if recipe.architecture in (None, config["student"]["architecture"]) or distilled:
        return training["learning_rate"]
    return training["sources"]["learning_rate"]


def rate_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Learning rates of methods that there are not."""
    rates = config["training"]["learning_rates"]
    if not rates:
        return
    methods = [method.name for method in METHODS.values() if method.objective is not None]
    architectures = {source.architecture for source in list_sources(config)} - {""}
    allowed = [*methods, "distill_equal"]
    allowed += [f"{m}-{a}" for m in BASELINES_OF_ANY_ARCHITECTURE for a in architectures]
    for name in rates:
        # Of any architecture, so that other sources, or none of its baselines, are no mistake.
        method, _, architecture = name.partition("-")
        of_architecture = method in BASELINES_OF_ANY_ARCHITECTURE and is_known(architecture)
        if name not in allowed and not of_architecture:
            yield unknown_name(f"training.learning_rates.{name}", name, allowed, "method")


def tuning_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Tuning beside what it cannot go with."""
    if config["tuning"] is None:
        return
    if config["choice"] is not None:
        text = "tuning and choice both say which learning rates are tried (allowed: null)"
        yield Problem("choice", text)
    only = "tuning is of learning rates alone (allowed: [])"
    for key in ("other_label_fractions", "other_lambdas"):
        if config["training"][key]:
            yield Problem(f"training.{key}", only)
    if config["student"]["other_architectures"]:
        yield Problem("student.other_architectures", only)
