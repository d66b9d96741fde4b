"""Rules that choose the weights of the sources, p and k, compared over targets.

What one p would have given, nobody knows beforehand: a rule that looks at no test label is worth
what it loses against the p that turns out best, of all targets together or of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from distillweighted.analysis.methods_accuracy import (
    check_accuracy,
    nearest_students,
    require_columns,
    require_complete,
)
from distillweighted.analysis.paired_tests import half_width
from distillweighted.errors import DamagedError
from distillweighted.files.tables import read_facts

COLUMNS = (
    "rule",
    "accuracy",
    "regret_best_p",
    "half_width_best_p",
    "regret_target_p",
    "half_width_target_p",
    "students",
    "sees_test_labels",
)

OTHER_RULES = ("distill_auto_p", "distill_top_k")
"""Methods whose students are rules beside those of a fixed p."""

VALIDATED, ORACLE, NEAREST = "validated_p", "oracle_p", "distill_weighted-pinf"

EXPLANATION = (
    "Mean test accuracy over targets, in percent, and how many points it is behind: regret_best_p "
    "behind the p that does best over all targets (the one whose regret is 0, which is not known "
    "beforehand), regret_target_p behind the best p of each target; half widths are of 95% "
    "t-intervals for other targets. students: how many are trained for a target and seed, "
    "candidates of a choice included. validated_p: the p of most validation accuracy for each "
    "target and seed. oracle_p: the best p of each target by its test labels, which no rule may "
    "see."
)
"""What the columns are, for above the table."""


def choice_of_weights(
    accuracy: pd.DataFrame,
    nearest: pd.DataFrame,
    exponents: Sequence[float],
    validation: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The accuracy of each rule that chooses weights, and what it loses against the best p.

    Args:
        accuracy: One row a student, columns `methods_accuracy.ACCURACY_COLUMNS`.
        nearest: Columns target, seed, source: the source that ranks first, whose single-source
            student is that of p = inf where there is one.
        exponents: The fixed p to compare, infinity among them or not.
        validation: Columns target, seed, recipe, accuracy (of its best candidate, on validation
            images) and candidates (how many it has), for the rule `validated_p`, which of equally
            accurate p takes the smallest; None for a run without a choice.

    Returns:
        The columns `COLUMNS`, one row a rule: fixed p by size under the names of their recipes,
        distill_auto_p, distill_top_k of each k, validated_p, oracle_p. Accuracies and regrets are
        of means over seeds, in percent and points; half widths are NaN for one target.
        sees_test_labels is yes or no.

    Raises:
        ValueError: A rule lacks a target or seed, there are fewer than two exponents, or a table
            is faulty.
    """
    check_accuracy(accuracy)
    if len(exponents) < 2:
        raise ValueError(f"a choice of p needs two exponents or more, got {list(exponents)}")
    targets, seeds = list(dict.fromkeys(accuracy["target"])), sorted(set(accuracy["seed"]))
    rows = _students(accuracy, nearest, exponents)
    require_complete(rows, ["recipe"], targets, seeds)
    fixed = list(dict.fromkeys(rows.loc[rows["p"].notna(), "recipe"]))
    if len(fixed) < len(exponents):
        raise ValueError(f"of p = {sorted(exponents)}, students are there for {fixed} alone")
    cells = rows.pivot(index=["target", "seed"], columns="recipe", values="accuracy")
    cells = cells[list(dict.fromkeys(rows["recipe"]))]
    trained = dict.fromkeys(cells, 1)
    if validation is not None:
        known = _validations(validation, nearest, list(cells), targets, seeds)
        candidates = known.groupby("recipe")["candidates"].max()
        trained = {recipe: 1 + int(candidates[recipe]) for recipe in cells}
        trained[VALIDATED] = 1 + int(candidates[fixed].sum())
        scores = known.pivot(index=["target", "seed"], columns="recipe", values="accuracy")
        # Of equal ones the first, the smallest p.
        chosen = scores[fixed].idxmax(axis=1)
        cells[VALIDATED] = [cells.at[cell, chosen[cell]] for cell in cells.index]
    means = cells.groupby("target", sort=False).mean()
    best_of_target = means[fixed].max(axis=1)
    means[ORACLE] = best_of_target
    trained[ORACLE] = sum(trained[recipe] for recipe in fixed)
    best = means[means[fixed].mean().idxmax()]
    table = []
    for rule, values in means.items():
        behind, behind_target = best - values, best_of_target - values
        table.append(
            {
                "rule": rule,
                "accuracy": values.mean(),
                "regret_best_p": behind.mean(),
                "half_width_best_p": half_width(behind),
                "regret_target_p": behind_target.mean(),
                "half_width_target_p": half_width(behind_target),
                "students": trained[rule],
                "sees_test_labels": "yes" if rule == ORACLE else "no",
            }
        )
    return pd.DataFrame(table, columns=list(COLUMNS))


def read_validation(choice: Path) -> list[dict[str, Any]]:
    """What every recipe reached on validation images: rows of `choice_of_weights`'s `validation`.

    Args:
        choice: What `training.choice.choose` wrote of a target and seed.

    Raises:
        DamagedError: Where it is not so.
    """
    facts = read_facts(choice, ("target", "seed", "recipes"))
    try:
        return [
            {
                "target": facts["target"],
                "seed": facts["seed"],
                "recipe": recipe,
                "accuracy": float(chosen["accuracy"]),
                "candidates": len(chosen["candidates"]),
            }
            for recipe, chosen in facts["recipes"].items()
        ]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise DamagedError(choice, "it has no validation accuracy of every recipe") from None


def _students(
    accuracy: pd.DataFrame, nearest: pd.DataFrame, exponents: Sequence[float]
) -> pd.DataFrame:
    """Rows recipe, p, target, seed, accuracy of all that are compared, in the table's order."""
    finite = [p for p in exponents if np.isfinite(p)]
    weighted = accuracy[(accuracy["method"] == "distill_weighted") & accuracy["p"].isin(finite)]
    parts = [weighted.sort_values("p", kind="stable")]
    if len(finite) < len(exponents):
        parts.append(nearest_students(accuracy, nearest).assign(recipe=NEAREST, p=np.inf))
    parts += [accuracy[accuracy["method"] == method].assign(p=np.nan) for method in OTHER_RULES]
    columns = ["recipe", "p", "target", "seed", "accuracy"]
    return pd.concat([part[columns] for part in parts if len(part)], ignore_index=True)


def _validations(
    validation: pd.DataFrame,
    nearest: pd.DataFrame,
    recipes: Sequence[str],
    targets: Sequence[str],
    seeds: Sequence[int],
) -> pd.DataFrame:
    """The rows of `validation` of some recipes, where the nearest source's single-source student
    has the name of p = inf."""
    columns = ["target", "seed", "recipe", "accuracy", "candidates"]
    require_columns(validation, columns, "the table of validation accuracies")
    rows = validation[columns].merge(nearest[["target", "seed", "source"]], on=["target", "seed"])
    single = rows["recipe"] == "distill_single-" + rows["source"]
    rows["recipe"] = rows["recipe"].mask(single, NEAREST)
    rows = rows[rows["recipe"].isin(recipes)]
    for recipe in recipes:
        named = rows[rows["recipe"] == recipe].assign(validation_of=recipe)
        if named.empty:
            raise ValueError(f"there is no validation accuracy of {recipe}")
        require_complete(named, ["validation_of"], targets, seeds)
    return rows
