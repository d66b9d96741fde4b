"""Which student of a target is handed over, and which methods it is compared with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from distillweighted.deployment.jobs import (
    ComparedMethod,
    ComparisonJob,
    DescriptionJob,
    ExportJob,
)
from distillweighted.methods import METHODS
from distillweighted.training.objectives.registry import OBJECTIVES
from distillweighted.workflow.grid import PlannedStudent

if TYPE_CHECKING:
    from distillweighted.workflow.run import Run

AUTO = "auto"
"""The value of `student.deploy` that leaves the choice to validation data."""

NEAREST, EQUAL = "distill_nearest", "distill_equal"

DEPLOYABLE = (
    *("in_transfer", "in_fixmatch", "probe_labels", NEAREST, EQUAL, "distill_weighted"),
    *("distill_prototypes", "distill_inverse", "finetune_selected_source"),
)
"""Methods that have one student a seed, in the order of the comparison."""

EXPORTED = ("model.safetensors", "model.onnx", "model.pt2", "predict.py", "predictions.csv")
"""What is handed over; `export_student` makes it."""


@dataclass(frozen=True)
class Deployment:
    """What a run hands over."""

    run: Run
    """The run."""

    @cached_property
    def replicates(self) -> list[str]:
        """The replicates that are compared: every seed, with the first label fraction."""
        return [str(seed) for seed in self.run.config["seeds"]]

    @property
    def replicate(self) -> str:
        """The replicate whose student is handed over: the first."""
        return self.replicates[0]

    def rows(self, target: str) -> list[PlannedStudent]:
        """The students of the replicate that is handed over."""
        return [
            student
            for student in self.run.students
            if student.target == target and student.replicate.name == self.replicate
        ]

    def methods(self, target: str) -> list[ComparedMethod]:
        """The methods that are compared: those with one student a seed, of any network."""
        found: dict[str, tuple[str, ComparedMethod]] = {}
        for student in self.rows(target):
            for method in self._names(student):
                distils = OBJECTIVES[student.recipe.facts.objective].pseudo_labels
                label = _label(method)
                if student.architecture != self._architecture:
                    label = f"{label} ({student.architecture})"
                    name = f"{method}-{student.architecture}"
                else:
                    name = method
                recipe = student.recipe.name
                # Which single-source student it is, is known once similarity is measured.
                if method == NEAREST and student.recipe.source is not None:
                    recipe = None
                found[name] = (method, ComparedMethod(name, label, recipe, distils))
        order = {method: i for i, method in enumerate(DEPLOYABLE)}
        own = [(order[method], "-" in name, name) for name, (method, _) in found.items()]
        return [found[name][1] for _, _, name in sorted(own, key=lambda o: (o[1], o[0], o[2]))]

    def reference(self, target: str) -> str | None:
        """Transfer from the same start; None where the grid lacks it."""
        names = {method.method for method in self.methods(target)}
        chosen = self.run.config["student"]["initialization"] == "nearest_source"
        name = "finetune_selected_source" if chosen else "in_transfer"
        return name if name in names else None

    def deployed(self, target: str) -> ComparedMethod | None:
        """The method whose student is handed over; None where validation data choose.

        Raises:
            ValueError: Where the grid lacks it; says what there is.
        """
        wanted = self.run.config["student"]["deploy"]
        if wanted == AUTO:
            return None
        methods = [m for m in self.methods(target) if m.method in DEPLOYABLE]
        for method in methods:
            if method.method == wanted:
                return method
        raise ValueError(
            f"student.deploy: '{wanted}' is not trained for target '{target}' (allowed: "
            f"{', '.join([*(m.method for m in methods), AUTO])}; methods and baselines switch on "
            "others)"
        )

    def candidates(self, target: str) -> list[str]:
        """Recipes of the students that may be handed over: one, or those of a choice to come."""
        method = self.deployed(target)
        own = [row for row in self.rows(target) if row.architecture == self._architecture]
        if method is None:
            return sorted(row.recipe.name for row in own)
        if method.recipe is None:
            return sorted(row.recipe.name for row in own if row.recipe.source is not None)
        return [method.recipe]

    def choice_kind(self, target: str) -> str:
        """What chooses among the candidates: fixed, nearest or chosen."""
        method = self.deployed(target)
        if method is None:
            return "chosen"
        return "nearest" if method.recipe is None else "fixed"

    def choice_files(self, target: str) -> list[str]:
        """The file that says which candidate it is; none where there is one."""
        paths = self.run.paths
        return {
            "fixed": [],
            "nearest": [paths.nearest(target, self.replicate)],
            "chosen": [paths.choice(target, self.replicate)],
        }[self.choice_kind(target)]

    def compared_students(self, target: str) -> list[tuple[str, str]]:
        """Recipe and replicate of every student that the comparison may read."""
        recipes: set[str] = set()
        for method in self.methods(target):
            if method.recipe is None:
                recipes |= {r.recipe.name for r in self.rows(target) if r.recipe.source is not None}
            else:
                recipes.add(method.recipe)
        return [(recipe, name) for recipe in sorted(recipes) for name in self.replicates]

    def needs_nearest(self, target: str) -> bool:
        """Whether the comparison has to know the nearest source."""
        return any(method.recipe is None for method in self.methods(target))

    def files(self, *names: str) -> list[str]:
        """These files of every target's student."""
        return [self.run.paths.handed_over(t, name) for t in self.run.targets for name in names]

    # What the jobs are told.

    def export(self, target: str) -> ExportJob:
        """What the job that exports a target's student is told."""
        task, config = self.run.tasks[target], self.run.config
        return ExportJob(
            run=config["name"],
            target=target,
            replicate=self.replicate,
            candidates=tuple(self.candidates(target)),
            choice=self.choice_kind(target),
            view=task.view(config),
            image_size=task.image_size(config),
            device=config["device"],
        )

    def comparison(self, target: str, *, probe: bool) -> ComparisonJob:
        """What the job that compares a target's methods is told."""
        deployed = self.deployed(target)
        return ComparisonJob(
            target=target,
            replicates=tuple(self.replicates),
            methods=tuple(self.methods(target)),
            reference=self.reference(target),
            deployed=None if deployed is None else deployed.method,
            probe=probe,
            draws=10_000,
        )

    def description(self, target: str, command: str) -> DescriptionJob:
        """What the job that writes a target's card and page is told."""
        config = self.run.config
        return DescriptionJob(
            run=config["name"],
            target=target,
            initialization=config["student"]["initialization"],
            lam=config["training"]["lambda"],
            steps=config["training"]["steps"],
            command=command,
        )

    @property
    def _architecture(self) -> str:
        return self.run.config["student"]["architecture"]

    def _names(self, student: PlannedStudent) -> list[str]:
        """The methods whose student this is, of those that are compared."""
        recipe = student.recipe
        if recipe.source is not None:
            return [NEAREST]
        names = [recipe.method] if recipe.draw is None else []
        if recipe.method == "distill_weighted":
            default = self.run.config["methods"]["default_p"]
            names = ["distill_weighted"] if recipe.p == default else []
            names += [EQUAL] if recipe.p == 0 else []
            names += [NEAREST] if math.isinf(recipe.p) else []
        return [name for name in names if name in DEPLOYABLE]


def _label(method: str) -> str:
    """A method's name for a reader who has not read the paper."""
    labels = {"in_transfer": "Transfer", "in_fixmatch": "FixMatch"}
    return labels.get(method) or METHODS[method].label
