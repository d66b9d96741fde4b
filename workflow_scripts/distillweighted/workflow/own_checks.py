"""Checks of targets that are a user's own tasks: where they lie, and what is found there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from distillweighted.tasks.own.scan import scan_own_task
from distillweighted.tasks.own.spec import OwnTaskSpec
from distillweighted.tasks.registry import KNOWN_TASKS, own_specs, target_names
from distillweighted.training.objectives.registry import OBJECTIVES
from distillweighted.workflow.grid import PlannedStudent, list_students
from distillweighted.workflow.problems import Problem, show


def own_target_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Own tasks that are not described well, or whose images cannot be used; looks at them anew."""
    scan_own_task.cache_clear()
    names = target_names(config)
    for place, spec in own_specs(config).items():
        problems = list(_description_problems(spec))
        if spec.name in KNOWN_TASKS:
            text = f"'{spec.name}' is a known task; give your own another name"
            problems.append(Problem("name", text))
        elif spec.name in names[:place]:
            text = f"'{spec.name}' is another target already (allowed: every name once)"
            problems.append(Problem("name", text))
        if not problems:
            problems = [Problem(*flaw) for flaw in scan_own_task(spec).flaws]
        yield from (Problem(f"targets.{place}.{key}", text) for key, text in problems)


def own_training_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Training settings that the labels of own tasks do not allow."""
    training = config["training"]
    specs = own_specs(config).values()
    if specs and training["other_label_fractions"]:
        text = f"the labels of '{next(iter(specs)).name}' are given, and are the same for every"
        yield Problem("training.other_label_fractions", f"{text} label fraction (allowed: [])")


def own_distillation_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Own tasks without the unlabelled images that the run's methods need."""
    specs = own_specs(config).values()
    alone = [spec for spec in specs if not scan_own_task(spec).of("unlabeled")]
    if not alone:
        return
    distilling = {s.target for s in list_students(config) if _distils(s)}
    for spec in alone:
        if spec.name in distilling and not config["training"]["distill_labeled"]:
            yield Problem(
                "training.distill_labeled",
                f"target '{spec.name}' has no unlabelled images to distil on; give some, or set "
                "this to true, which distils on the labelled ones",
            )
        if config["baselines"]["in_fixmatch"]:
            yield Problem(
                "baselines.in_fixmatch",
                f"FixMatch needs unlabelled images, and target '{spec.name}' has none (allowed: "
                "false)",
            )


def _distils(student: PlannedStudent) -> bool:
    objective = OBJECTIVES[student.recipe.facts.objective]
    return objective.pseudo_labels or objective.probe_labels


def _description_problems(spec: OwnTaskSpec) -> Iterator[Problem]:
    if spec.labeled is None and spec.table is None:
        text = "missing (needed: the folder of the labelled images; or else `table`, a list of all)"
        yield Problem("labeled", text)
    if spec.table is not None:
        for key in ("labeled", "unlabeled", "test"):
            if getattr(spec, key) is not None:
                text = f"the task has a table, which lists all its images (allowed: null, or {key}"
                yield Problem(key, f"{text} without table)")
    if not _is_colour(spec.background):
        text = f"{show(spec.background)} is no colour (allowed: a name of CSS such as white, or "
        yield Problem("background", f"{text}'#rrggbb')")


def _is_colour(text: str) -> bool:
    from PIL import ImageColor

    return bool(re.fullmatch("#[0-9a-fA-F]{6}", text)) or text.lower() in ImageColor.colormap
