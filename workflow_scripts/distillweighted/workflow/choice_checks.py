"""Checks of what a configuration says of choosing settings and of the student to deploy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from distillweighted.workflow.grid import deployable, list_candidates
from distillweighted.workflow.problems import Problem, unknown_name

AUTO = "auto"
"""The value of student.deploy that leaves the method to the validation images."""


def choice_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """A choice between nothing, or a student to deploy that is not trained."""
    deploy, allowed = config["student"]["deploy"], deployable(config)
    if deploy == AUTO:
        if config["choice"] is None:
            yield Problem(
                "student.deploy",
                "'auto' needs validation images; give the key `choice` (`choice: {}` for its "
                f"defaults), or name a method (allowed: {', '.join(allowed)})",
            )
        elif not allowed:
            yield Problem("student.deploy", "no method is switched on that could be deployed")
    elif deploy not in allowed and (deploy != "distill_weighted" or config["choice"] is not None):
        # The default is not asked for by a grid without DistillWeighted.
        yield unknown_name("student.deploy", deploy, [*allowed, AUTO], "trained method")
    if config["choice"] is not None and not list_candidates(config):
        yield Problem("choice", "there is no student to choose settings for (allowed: null)")
