"""What a run shows of how distillation grows: with its sources, its labels, its student."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from distillweighted.workflow.recipes import Recipe, architecture_recipes

if TYPE_CHECKING:
    from distillweighted.workflow.run import Run


@dataclass(frozen=True)
class Growth:
    """What the tables and figures of growth are made of; each is a product of its own name."""

    run: Run
    """The run."""

    @cached_property
    def names(self) -> list[str]:
        """Those that can be made of the run; all are compared with IN+Transfer."""
        if not self.run.config["baselines"]["in_transfer"] or self.run.config["tuning"] is not None:
            return []
        has_labels = len(self.run.replicates) > len(self.run.config["seeds"])
        asked = {
            "growth_sources": bool(self.sizes),
            "growth_labels": has_labels,
            "growth_students": len(self.students) > 1,
        }
        return [name for name, wanted in asked.items() if wanted]

    @cached_property
    def sizes(self) -> dict[str, int]:
        """How many sources each recipe of a random subset has."""
        found = self.run.weight_recipes.values()
        return {r.name: r.subset for r in found if r.subset is not None}

    @cached_property
    def students(self) -> list[str]:
        """The architectures of the students, the run's own first; one where none is compared."""
        student = self.run.config["student"]
        return [student["architecture"], *student["other_architectures"]]

    @cached_property
    def student_recipes(self) -> list[str]:
        """The recipes that are distilled for the table of the student's size alone."""
        recipes = architecture_recipes(self.run.config)
        return [recipe.name for recipe in recipes if recipe.method != "in_transfer"]

    @cached_property
    def all_sources(self) -> str | None:
        """The recipe that has all sources, where every target has as many and it is trained."""
        methods = self.run.config["methods"]
        counts = {len(self.run.admissible(target)) for target in self.run.targets}
        if len(counts) > 1 or methods["default_p"] not in methods["distill_weighted"]:
            return None
        return Recipe("distill_weighted", p=methods["default_p"]).name

    @cached_property
    def subsets(self) -> list[tuple[str, int, list[str]]]:
        """Target, seed and sources of every subset, that of all where it has a student too."""
        return [
            (target, seed, self.run.drawn_sources(target, seed, size))
            for target in self.run.targets
            for seed in self.run.config["seeds"]
            for size in [
                *self.sizes.values(),
                *([len(self.run.admissible(target))] if self.all_sources else []),
            ]
        ]
