"""Checks of fixed views: whom nobody can ask about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from distillweighted.methods import METHODS
from distillweighted.sources.origins.registry import ORIGINS
from distillweighted.training.objectives.registry import OBJECTIVES
from distillweighted.workflow.problems import Problem
from distillweighted.workflow.recipes import asked


def view_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Sources that are answers, which are of images as they are and of no view of them."""
    switches = [
        method.switch
        for method in METHODS.values()
        if method.objective is not None
        and OBJECTIVES[method.objective].views
        and asked(method, config)
    ]
    for i, group in enumerate(config["sources"]):
        # Answers are checked against the names of images.
        if switches and ORIGINS[group["from"]].check is not None:
            text = (
                f"{group['from']} has answers for the images as they are, and {switches[0]} asks "
                "sources about augmented views (allowed: other sources, or false there)"
            )
            yield Problem(f"sources.{i}.from", text)
