"""Which student of a target is handed over, and which methods it is compared with."""

from __future__ import annotations

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
from distillweighted.workflow.choice_checks import AUTO
from distillweighted.workflow.grid import PlannedStudent
from distillweighted.workflow.recipes import methods_of

if TYPE_CHECKING:
    from distillweighted.workflow.run import Run

NEAREST, EQUAL = "distill_nearest", "distill_equal"

DEPLOYABLE = (
    *("in_transfer", "in_fixmatch", "probe_labels", NEAREST, EQUAL, "distill_weighted"),
    *("distill_auto_p", "distill_prototypes", "distill_features", "distill_fixmatch"),
    *("distill_decoupled", "distill_standardized", "distill_views", "probe_ensemble"),
    *("distill_inverse", "finetune_selected_source"),
)
"""Methods that have one student a seed, in the order of the comparison."""

HANDED_OVER = (
    *("model.safetensors", "model.onnx", "model.pt2", "predict.py", "predictions.csv"),
    *("comparison.csv", "comparison.md", "model_card.md", "report.html"),
)
"""The files of a target's folder that a person looks for."""


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
                # A student of a probe's labels is distillation's rival, whatever trains it.
                objective = OBJECTIVES[student.recipe.facts.objective]
                distils = objective.pseudo_labels and not objective.mixed
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

    @property
    def deployed(self) -> str | None:
        """The recipe whose student is handed over; None where validation images choose it.

        Raises:
            ValueError: Where the grid lacks it; says what there is.
        """
        wanted, recipe = self.run.config["student"]["deploy"], self.run.deployed_recipe
        if recipe is None and wanted != AUTO:
            allowed = ", ".join([*self.run.deployable, AUTO])
            raise ValueError(
                f"student.deploy: '{wanted}' is not trained, so that no student can be handed over "
                f"(allowed: {allowed}; keys of `methods` and `baselines` switch on others)"
            )
        return recipe

    @property
    def candidates(self) -> list[str]:
        """Recipes of the students that may be handed over: one, or those to choose from."""
        if self.deployed is not None:
            return [self.deployed]
        # One recipe has two methods where default_p is 0 or infinite.
        return [*dict.fromkeys(recipe.name for recipe in self.run.deployable.values())]

    def choice_files(self, target: str) -> list[str]:
        """The file of the choice, which says which candidate it is; none without a choice."""
        if self.run.config["choice"] is None:
            return []
        return [self.run.paths.choice(target, self.replicate)]

    def candidate_files(self, target: str, file: str) -> list[str]:
        """This file of each candidate."""
        paths = self.run.paths
        return [paths.student(target, r, self.replicate, file) for r in self.candidates]

    def candidate_weights(self, target: str) -> dict[str, str]:
        """Files of weights over the sources of the candidates that have one, by recipe."""
        students = (self.run.student(target, r, self.replicate) for r in self.candidates)
        found = {s.recipe.name: self.run.made_from.weights_path(s) for s in students}
        return {recipe: path for recipe, path in found.items() if path is not None}

    def compared_students(self, target: str) -> list[tuple[str, str]]:
        """Recipe and replicate of every student that the comparison may read."""
        recipes: set[str] = set()
        for method in self.methods(target):
            if method.recipe is None:
                recipes |= {r.recipe.name for r in self.rows(target) if r.recipe.source is not None}
            else:
                recipes.add(method.recipe)
        return [(recipe, name) for recipe in sorted(recipes) for name in self.replicates]

    def compared_files(self, target: str, file: str) -> list[str]:
        """This file of each student that the comparison may read."""
        paths = self.run.paths
        return [paths.student(target, r, n, file) for r, n in self.compared_students(target)]

    def nearest_files(self, target: str) -> list[str]:
        """The weights that name the nearest source, one a replicate; none where none is asked."""
        if all(method.recipe is not None for method in self.methods(target)):
            return []
        return [self.run.paths.nearest(target, name) for name in self.replicates]

    def has_probe(self, target: str) -> bool:
        """Whether there is a linear probe on the nearest source that saw the test images."""
        return self.run.tasks[target].own

    def probe_files(self, target: str) -> list[str]:
        """The linear probes, one a replicate; none where there are none."""
        names = self.replicates if self.has_probe(target) else []
        return [self.run.paths.probe(target, name) for name in names]

    def source_facts(self, target: str) -> list[str]:
        """meta.json of the target's sources."""
        return [self.run.paths.model_facts(source.name) for source in self.run.admissible(target)]

    def ranking_files(self, target: str) -> list[str]:
        """The ranking of the target's sources as text and as a figure."""
        return [self.run.paths.ranking(target, ending) for ending in ("md", "png")]

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
            candidates=tuple(self.candidates),
            view=task.view(config),
            image_size=task.image_size(config),
            device=config["device"],
        )

    def comparison(self, target: str) -> ComparisonJob:
        """What the job that compares a target's methods is told."""
        return ComparisonJob(
            target=target,
            replicates=tuple(self.replicates),
            methods=tuple(self.methods(target)),
            reference=self.reference(target),
            chosen=self.deployed is None,
            probe=self.has_probe(target),
            draws=10_000,
        )

    def description(self, target: str, command: str) -> DescriptionJob:
        """What the job that writes a target's card and page is told."""
        config = self.run.config
        return DescriptionJob(
            run=config["name"],
            target=target,
            initialization=config["student"]["initialization"],
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
        names = methods_of(recipe, self.run.config["methods"]["default_p"])
        return [name for name in names if name in DEPLOYABLE]


def _label(method: str) -> str:
    """A method's name for a reader who has not read the paper."""
    labels = {"in_transfer": "Transfer", "in_fixmatch": "FixMatch"}
    return labels.get(method) or METHODS[method].label
