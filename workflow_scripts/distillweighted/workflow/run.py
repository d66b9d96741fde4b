"""A run: what a configuration comes to, and what each of its jobs is told.

    from pathlib import Path
    from distillweighted.workflow.run import Run

    run = Run.read(Path("configs/paper.yaml"))
    len(run.students)                                # 372
    [model.name for model in run.admissible("cub200")]
    run.cohort("cub200", "0", "distill_single-0").settings

It reads no file but the configuration, and loads neither torch nor a workflow engine. Where files
of a run lie is in `Run.paths`, what students are made from in `Run.made_from`, what jobs ask for in
`Run.resources`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from distillweighted.sources.model import Model
from distillweighted.sources.origins.origin import Origin
from distillweighted.sources.origins.registry import ORIGINS
from distillweighted.sources.zoo import (
    admissible_sources,
    excluded_sources,
    initial_of,
    list_sources,
    list_starts,
    start_name,
)
from distillweighted.tasks.registry import Task, list_tasks, target_names
from distillweighted.training.cohort_job import CohortJob
from distillweighted.training.source_job import SourceSettings
from distillweighted.workflow.config import read_config
from distillweighted.workflow.config_file import read_complete_config, read_schema
from distillweighted.workflow.deployment import Deployment
from distillweighted.workflow.grid import (
    PlannedStudent,
    Replicate,
    deployable,
    list_candidates,
    list_replicates,
    list_students,
    validation_replicate,
)
from distillweighted.workflow.jobs import Jobs
from distillweighted.workflow.locations import located
from distillweighted.workflow.made_from import MadeFrom
from distillweighted.workflow.paths import Paths
from distillweighted.workflow.products import Products
from distillweighted.workflow.recipes import Recipe, weight_recipes
from distillweighted.workflow.resources import Resources
from distillweighted.workflow.subsets import drawn_sources


@dataclass(frozen=True, eq=False)
class Run:
    """A run of a complete configuration (`config.read_config`); nothing in it changes."""

    config: Mapping[str, Any]
    """The configuration."""

    gpus: int = 0
    """GPUs that a job which trains or infers has, 0 or 1."""

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Run:
        """The run of a configuration as it would stand in a file of the working directory:
        checked, and with defaults.

        Raises:
            ConfigError: Where it cannot be run; says every key that is wrong, and why.
        """
        raw = located(raw, Path.cwd()) if isinstance(raw, Mapping) else raw
        return cls(read_config(raw, read_schema()))

    @classmethod
    def read(cls, *files: Path) -> Run:
        """The run of configuration files, of which later ones complete earlier ones.

        Raises:
            ConfigError: Where they cannot be run; says every key that is wrong, and why.
        """
        return cls(read_complete_config(files))

    # What there is.

    @cached_property
    def summary(self) -> str:
        """How much it would make, in words."""
        pairs = sum(len(self.admissible(target)) for target in self.targets)
        return (
            f"{self.config['name']}: {len(self.targets)} targets, {len(self.sources)} sources "
            f"({pairs} pairs of both), {len(self.students)} students"
        )

    @cached_property
    def paths(self) -> Paths:
        """Where every file of the run lies."""
        return Paths(f"results/{self.config['name']}")

    @cached_property
    def made_from(self) -> MadeFrom:
        """What its students are made from."""
        return MadeFrom(self)

    @cached_property
    def resources(self) -> Resources:
        """What its jobs ask for."""
        return Resources(self, self.gpus)

    @cached_property
    def products(self) -> Products:
        """The tables and figures that it ends in."""
        return Products(self)

    @cached_property
    def deployment(self) -> Deployment:
        """Which student it hands over, and what that is compared with."""
        return Deployment(self)

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """Every task that it may name, by name."""
        return list_tasks(self.config)

    @cached_property
    def targets(self) -> list[str]:
        """Names of the targets, in the configuration's order."""
        return target_names(self.config)

    @cached_property
    def replicates(self) -> dict[str, Replicate]:
        """Every seed with every label fraction, by name."""
        return {replicate.name: replicate for replicate in list_replicates(self.config)}

    @cached_property
    def validation_replicates(self) -> dict[str, Replicate]:
        """The replicates that settings are chosen on, by name; none where nothing is chosen."""
        if self.config["choice"] is None:
            return {}
        held_out = [validation_replicate(self.config, r) for r in self.replicates.values()]
        return {replicate.name: replicate for replicate in held_out}

    def replicate(self, name: str) -> Replicate:
        """A replicate that counts, or one that settings are chosen on."""
        counts = name in self.replicates
        return self.replicates[name] if counts else self.validation_replicates[name]

    @cached_property
    def sources(self) -> dict[str, Model]:
        """The sources by name, sorted."""
        return {source.name: source for source in list_sources(self.config, self.tasks)}

    @cached_property
    def models(self) -> dict[str, Model]:
        """Every source, and every model that a student or a source starts from, by name, sorted."""
        fixed = {s.architecture for s in self.students if self.made_from.start(s) is not None}
        starts = {model.name: model for model in list_starts(self.config, fixed, self.tasks)}
        return dict(sorted({**starts, **self.sources}.items()))

    @cached_property
    def students(self) -> list[PlannedStudent]:
        """The grid: every student."""
        return list_students(self.config)

    @cached_property
    def candidates(self) -> list[PlannedStudent]:
        """The students that are trained only to choose settings and the method to deploy."""
        return list_candidates(self.config)

    def candidates_of(self, target: str, replicate: str) -> list[PlannedStudent]:
        """The candidates for a target's students of a replicate that counts."""
        name = validation_replicate(self.config, self.replicates[replicate]).name
        return [c for c in self.candidates if (c.target, c.replicate.name) == (target, name)]

    @cached_property
    def deployable(self) -> dict[str, Recipe]:
        """The recipes whose student may be deployed, by the name of their method."""
        return deployable(self.config)

    @cached_property
    def deployed_recipe(self) -> str | None:
        """The name of the recipe to deploy; None where validation images choose it."""
        deploy = self.config["student"]["deploy"]
        return self.deployable[deploy].name if deploy in self.deployable else None

    @cached_property
    def weight_recipes(self) -> dict[str, Recipe]:
        """The recipes whose weights are stored, by name."""
        return weight_recipes(self.config)

    def admissible(self, target: str) -> list[Model]:
        """The sources that may serve a target, sorted by name."""
        return self._admissible[target]

    def inference_of_all(self, target: str) -> list[str]:
        """The files of what every source that may serve a target says of it, sorted by name."""
        return [self.paths.inference(target, source.name) for source in self.admissible(target)]

    def drawn_sources(self, target: str, seed: int, size: int) -> list[str]:
        """Names of the sources of a random subset, sorted; larger ones hold smaller ones."""
        return drawn_sources([s.name for s in self.admissible(target)], target, seed, size)

    def excluded(self, target: str) -> dict[str, str]:
        """Names of the sources that may not serve a target, each with the reason."""
        return excluded_sources(self.config, target)

    def student(self, target: str, recipe: str, replicate: str) -> PlannedStudent:
        """The row of a student."""
        return self._rows[target, recipe, replicate]

    def members(self, target: str, replicate: str, cohort: str) -> list[PlannedStudent]:
        """The rows of the students of a cohort, which share a process."""
        return self._cohorts[target, replicate, cohort]

    def every(self, path_of: Callable[[str, str], str]) -> list[str]:
        """The path that a function of target and replicate gives, for all of them."""
        return [path_of(target, name) for target in self.targets for name in self.replicates]

    def possible_weights(self, target: str) -> list[str]:
        """Names of the recipes with weights for a target: each needs an admissible source."""
        architectures = {source.architecture for source in self.admissible(target)}
        return [
            name
            for name, recipe in self.weight_recipes.items()
            if recipe.architecture is None or recipe.architecture in architectures
        ]

    # What a ranking is made of.

    @cached_property
    def student_start(self) -> str | None:
        """The model that students of the student's own architecture start from; None for a random
        start, or if it is chosen."""
        student = self.config["student"]
        return start_name(student["architecture"], student["initialization"])

    @cached_property
    def first_replicate(self) -> str:
        """The name of the first replicate, which the ranking is made of."""
        return next(iter(self.replicates))

    def ranked_models(self, target: str) -> list[str]:
        """Names of the models whose features a ranking looks at: the sources, and what the student
        starts from."""
        sources, start = [s.name for s in self.admissible(target)], self.student_start
        return sources if start is None or start in sources else [*sources, start]

    # What its jobs are told.

    @cached_property
    def jobs(self) -> Jobs:
        """The records of all jobs."""
        return Jobs(self)

    def cohort(self, target: str, replicate: str, cohort: str) -> CohortJob:
        """What the job that trains a cohort is told."""
        return self.jobs.cohort(target, replicate, cohort)

    def source_settings(self, name: str) -> SourceSettings:
        """What a model that the workflow trains is trained with."""
        settings = self.config["training"]["sources"]
        return SourceSettings(
            settings["steps" if self.models[name].is_source else "generalist_steps"],
            *(settings[key] for key in ("batch_size", "learning_rate", "weight_decay")),
        )

    def source_inputs(self, name: str) -> dict[str, Any]:
        """The files by name that a model is trained from."""
        model = self.models[name]
        initial = initial_of(self.config, model)
        names = ("train_images.npy", "test_images.npy", "images.csv", "labels.csv", "meta.json")
        return {
            **{file.split(".")[0]: self.paths.task(model.task, file) for file in names},
            "initial": [] if initial is None else [self.paths.model(initial)],
        }

    def origin(self, name: str) -> Origin:
        """Where a model comes from."""
        return ORIGINS[self.models[name].origin]

    def checkpoint_path(self, name: str) -> Path | None:
        """The file of a model that the workflow loads, or of an outside one; it need not be there.
        None where it is nowhere on this machine."""
        return self.origin(name).locate(self.models[name], self.roots["models_root"])

    def model_files(self, name: str) -> list[Path]:
        """That file, and what belongs to it."""
        path, parts = self.checkpoint_path(name), self.origin(name).parts
        if path is None:
            return []
        return [path] if parts is None else parts(path)

    def names_of_kind(self, kind: str) -> list[str]:
        """Names of the models that are trained, loaded, or outside."""
        origins = {name: ORIGINS[model.origin] for name, model in self.models.items()}
        kinds = {
            name: "trained" if origin.trained else "outside" if origin.outside else "loaded"
            for name, origin in origins.items()
        }
        return [name for name in kinds if kinds[name] == kind]

    def inference_cohort(self, target: str, source: str) -> str:
        """The name of the cohort of sources that one is asked about a target with; a model that is
        no source, but a student's start, is asked by itself."""
        return self._inference_cohorts[target].get(source, source)

    def asked(self, target: str, cohort: str) -> list[str]:
        """Names of the models that are asked about a target in one process."""
        cohorts = self._inference_cohorts[target].items()
        return [name for name, own in cohorts if own == cohort] or [cohort]

    def cohort_inputs(self, target: str, cohort: str) -> dict[str, Any]:
        """The files by name that the outputs of a cohort of sources depend on: those of the target,
        and lists of the sources' own."""
        inputs: dict[str, Any] = self._images(target)
        for source in self.asked(target, cohort):
            for name, path in self.own_inputs(source).items():
                inputs.setdefault(f"{name}_files", []).append(path)
        return inputs

    def inference_inputs(self, target: str, source: str) -> dict[str, Any]:
        """The files by name that a source's outputs for a target depend on."""
        return self._images(target) | self.own_inputs(source)

    def own_inputs(self, source: str) -> dict[str, str]:
        """The files by name of a source alone that its outputs depend on; `model` is the user's own
        file where the source is an outside one, and `facts` its meta.json."""
        inputs = {"model": self.paths.model(source)}
        if self.origin(source).outside:
            path = self.checkpoint_path(source)
            inputs = {"model": str(path), "facts": self.paths.model_facts(source)}
            # What is missing is told all at once when work starts.
            if path is None or not path.exists():
                del inputs["model"]
        text = self.models[source].text
        if text is not None and Path(text).exists():
            inputs["text"] = text
        return inputs

    def _images(self, target: str) -> dict[str, Any]:
        """The files by name of the images that sources are asked about."""
        inputs = {
            "images": self.paths.task(target, "train_images.npy"),
            "index": self.paths.task(target, "images.csv"),
        }
        if self.tasks[target].own:
            inputs["test_images"] = self.paths.task(target, "test_images.npy")
        return inputs

    @cached_property
    def roots(self) -> dict[str, Path | None]:
        """data_root and models_root, the folders of what the workflow does not make."""
        roots = {name: self.config[name] for name in ("data_root", "models_root")}
        return {name: Path(root) if root else None for name, root in roots.items()}

    @cached_property
    def _admissible(self) -> dict[str, list[Model]]:
        return {target: admissible_sources(self.config, target) for target in self.targets}

    @cached_property
    def _inference_cohorts(self) -> dict[str, dict[str, str]]:
        """The cohort of every source that serves a target."""
        size = self.config["inference"]["cohort"]
        return {
            target: {
                source.name: source.name if size == 1 else f"{size}-sources-{i // size}"
                for i, source in enumerate(self.admissible(target))
            }
            for target in self.targets
        }

    @cached_property
    def _rows(self) -> dict[tuple[str, str, str], PlannedStudent]:
        rows = [*self.students, *self.candidates]
        return {(s.target, s.recipe.name, s.replicate.name): s for s in rows}

    @cached_property
    def _cohorts(self) -> dict[tuple[str, str, str], list[PlannedStudent]]:
        cohorts: dict[tuple[str, str, str], list[PlannedStudent]] = {}
        for student in [*self.students, *self.candidates]:
            key = (student.target, student.replicate.name, student.cohort)
            cohorts.setdefault(key, []).append(student)
        return cohorts
