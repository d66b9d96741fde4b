"""Which of the paper's methods a run will have results of, known before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from distillweighted.methods import METHODS, method_rank
from distillweighted.workflow.grid import PlannedStudent, list_students
from distillweighted.workflow.problems import Problem, unknown_name
from distillweighted.workflow.recipes import Recipe

DEFAULT_REFERENCE = "distill_weighted"
"""The default of figures.paired_reference, which a run need not have."""


def planned_methods(
    students: Iterable[PlannedStudent], *, architecture: str, default_p: float
) -> list[str]:
    """The methods that `analysis.methods_accuracy.method_accuracy` will find for the student.

    Args:
        students: The students of the grid.
        architecture: The student's architecture.
        default_p: The p of DistillWeighted.

    Returns:
        Names in the order of Table 1. Of several targets, those that every target has.
    """
    by_target: dict[str, set[str]] = {}
    for student in students:
        found = by_target.setdefault(student.target, set())
        if student.architecture == architecture:
            found |= _methods_of(student.recipe, default_p)
    common = set.intersection(*by_target.values()) if by_target else set()
    return sorted(common, key=method_rank)


def reference_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """A reference of the paired comparison that is none of the run's methods."""
    reference, known = config["figures"]["paired_reference"], set(METHODS) - {"distill_single"}
    methods = planned_methods(
        list_students(config),
        architecture=config["student"]["architecture"],
        default_p=config["methods"]["default_p"],
    )
    # The default is not asked for by a grid without DistillWeighted, which has no such table.
    if reference not in (*methods, DEFAULT_REFERENCE):
        what = "method of this run" if reference in known else "method"
        yield unknown_name("figures.paired_reference", reference, methods, what)


def _methods_of(recipe: Recipe, default_p: float) -> set[str]:
    if recipe != recipe.base:
        # Of a lambda or learning rate of its own: it is not read as the method.
        return set()
    if recipe.method == "distill_single":
        return {"distill_random_selection", "distill_nearest"}
    if recipe.facts.variants in ("keeps", "subsets"):
        return set()
    if recipe.facts.variants != "exponents":
        return {recipe.method}
    found = {recipe.method} if recipe.p == default_p else set()
    if recipe.method == "distill_weighted" and recipe.p == 0:
        found.add("distill_equal")
    if recipe.method == "distill_weighted" and recipe.p is not None and math.isinf(recipe.p):
        found.add("distill_nearest")
    return found
