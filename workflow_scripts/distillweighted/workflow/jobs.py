"""What each job of a run is told, as a typed record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillweighted.similarity.ensembles import is_ensemble
from distillweighted.similarity.jobs import ProbeJob, RankingJob, ScoreJob, WeightsJob
from distillweighted.similarity.metrics.registry import METRICS
from distillweighted.sources.jobs import FetchJob, InferenceJob, LoadJob, ViewsJob
from distillweighted.tasks.jobs import GenerationJob, OwnPreparationJob, PreparationJob, SplitJob
from distillweighted.tasks.own.scan import scan_own_task
from distillweighted.training.choice import Candidate, ChoiceJob
from distillweighted.training.cohort_job import STORED_HEADS, CohortJob, StudentJob
from distillweighted.training.evaluation_job import EvaluationJob
from distillweighted.training.objectives.registry import OBJECTIVES
from distillweighted.training.source_job import SourceJob
from distillweighted.workflow.fingerprint import code_of
from distillweighted.workflow.grid import PlannedStudent, Replicate
from distillweighted.workflow.recipes import Recipe, format_p
from distillweighted.workflow.states import data_set_state, files_state

if TYPE_CHECKING:
    from distillweighted.workflow.run import Run


HALF_SAMPLES = 100
"""Halves of the probe that the intervals of a ranking are made of."""


@dataclass(frozen=True)
class Jobs:
    """The records of a run's jobs, each made when it is asked for."""

    run: Run
    """The run."""

    def generation(self, task: str) -> GenerationJob:
        """What the job that generates a task is told."""
        embedded = self.run.config["embedded"]
        return GenerationJob(
            task,
            embedded["seed"],
            embedded["image_size"],
            **self.run.tasks[task].sizes(self.run.config),
        )

    def preparation(self, task: str) -> PreparationJob:
        """What the job that prepares a data set is told; looks at the state of its files."""
        root = self.run.config["data_root"]
        state = data_set_state(self.run.tasks[task].data_set, Path(root) if root else None)
        return PreparationJob(task, str(root), state, self.run.config["images"]["check_counts"])

    def own_preparation(self, task: str) -> OwnPreparationJob:
        """What the job that prepares an own task is told; looks at the state of its images."""
        spec = self.run.tasks[task].spec
        return OwnPreparationJob(spec.as_mapping(), scan_own_task(spec).state())

    def split(self, target: str, replicate: str) -> SplitJob:
        """What the job that chooses labelled images is told."""
        chosen = self.run.replicate(replicate)
        fraction = self._label_fraction(target, chosen)
        return SplitJob(target, chosen.seed, fraction, chosen.validation)

    def source(self, name: str) -> SourceJob:
        """What the job that trains a model is told."""
        model = self.run.models[name]
        task = self.run.tasks[model.task]
        return SourceJob(
            name=name,
            architecture=model.architecture,
            seed=self.run.config["embedded"]["seed"],
            settings=self.run.source_settings(name),
            view=task.view(self.run.config),
            image_size=task.image_size(self.run.config),
            device=self.run.config["device"],
            checkpoint=self.run.paths.saved_training("train_source", name),
        )

    def load(self, name: str) -> LoadJob:
        """What the job that loads a model is told; looks at the state of its file."""
        model, path = self.run.models[name], self.run.checkpoint_path(name)
        size = self.run.config["images"]["size"]
        if model.is_source and self.run.origin(name).own_input:
            size = model.input_size
        return LoadJob(
            name=name,
            architecture=model.architecture,
            task=model.task,
            origin=model.origin,
            num_classes=model.num_outputs,
            image_size=size,
            checkpoint=str(path),
            file=None if path is None else files_state(self.run.model_files(name)),
            reference=model.reference,
            head=model.head,
            mean=model.mean,
            std=model.std,
            settings=model.settings,
        )

    def fetch(self, tasks: Iterable[str]) -> FetchJob:
        """What the job that downloads data sets and models is told."""
        names = [*self.run.names_of_kind("loaded"), *self.run.names_of_kind("outside")]
        models = tuple(self.run.models[name] for name in sorted(names))
        roots = (self.run.config["data_root"], self.run.config["models_root"])
        return FetchJob(tuple(tasks), models, *roots)

    def inference(self, target: str, source: str) -> InferenceJob:
        """What the job that runs a source over a target's images is told."""
        task, model = self.run.tasks[target], self.run.models[source]
        origin = self.run.origin(source)
        # A user's images have no size that all sources are made for.
        own_view = (origin.own_input or task.own) and model.is_source
        files = [] if model.text is None else [Path(model.text)]
        if origin.outside:
            files += self.run.model_files(source)
        return InferenceJob(
            target=target,
            source=source,
            view=None if own_view else task.view(self.run.config),
            statistics=None if own_view else task.shared_statistics(self.run.config),
            activation=model.activation,
            device=self.run.config["device"],
            origin=model.origin,
            head=model.head,
            text=model.text,
            files=files_state(files) if files else None,
            test_images=task.own,
            settings=model.settings,
        )

    def views(self, target: str, source: str, count: int) -> ViewsJob:
        """What the job that asks a source about fixed views of a target's images is told."""
        seen = self.run.tasks[target].view(self.run.config)
        # Students learn from training images alone.
        asked = replace(self.inference(target, source), test_images=False)
        return ViewsJob(asked, count, seen)

    def scores(self, target: str, replicate: str) -> ScoreJob:
        """What the job that scores a target's sources is told."""
        similarity = self.run.config["similarity"]
        return ScoreJob(
            target=target,
            seed=self.run.replicate(replicate).seed,
            sources=tuple(source.name for source in self.run.admissible(target)),
            probe_size=self.run.config["probe"]["size"],
            metrics=tuple(similarity["metrics"]),
            representations=tuple(similarity["representations"]),
        )

    def probe(self, target: str, replicate: str) -> ProbeJob:
        """What the job that fits the nearest source's linear probe is told."""
        sources = tuple(source.name for source in self.run.admissible(target))
        return ProbeJob(target, self.run.replicate(replicate).seed, sources)

    def ranking(self, target: str) -> RankingJob:
        """What the job that ranks a target's sources is told."""
        weighting = self.run.config["similarity"]["weighting"]
        return RankingJob(
            scores=self.scores(target, self.run.first_replicate),
            metric=weighting["metric"],
            representation=weighting["representation"],
            start=self.run.student_start,
            half_samples=HALF_SAMPLES,
        )

    def weights(self, target: str, replicate: str, recipe: str) -> WeightsJob:
        """What the job that computes a recipe's weights is told."""
        what, weighting = (
            self.run.weight_recipes[recipe],
            self.run.config["similarity"]["weighting"],
        )
        auto = what.facts.weights == "auto"
        return WeightsJob(
            target=target,
            seed=self.run.replicate(replicate).seed,
            weighting=what.facts.weights,
            p=what.p,
            draw=what.draw,
            architecture=what.architecture,
            metric=weighting["metric"],
            representation=weighting["representation"],
            fallback=weighting["fallback"],
            keep=weighting["keep"] if what.keep is None else what.keep,
            random_sources=self.run.config["methods"]["random_weights_sources"],
            architectures={s.name: s.architecture for s in self.run.admissible(target)},
            transform=weighting["transform"],
            sources=self._drawn_sources(target, replicate, what),
            spread=weighting["spread"] if auto else None,
            effective_sources=weighting["effective_sources"] if auto else None,
        )

    def cohort(self, target: str, replicate: str, cohort: str) -> CohortJob:
        """What the job that trains a cohort is told."""
        students, task = self.run.members(target, replicate, cohort), self.run.tasks[target]
        return CohortJob(
            target=target,
            seed=self.run.replicate(replicate).seed,
            students=tuple(map(self._student, students)),
            sources=tuple(self.run.made_from.used_sources(students)),
            heads=self.run.made_from.heads(students),
            models=tuple(self.run.made_from.used_models(students)),
            image_size=task.image_size(self.run.config),
            settings=self.run.made_from.settings,
            view=task.view(self.run.config),
            statistics=task.shared_statistics(self.run.config),
            distill_labeled=self.run.config["training"]["distill_labeled"],
            feature_scale=self.run.config["training"]["feature_scale"],
            device=self.run.config["device"],
            checkpoint=self.run.paths.saved_training(
                "train_students", f"{target}-seed{replicate}-{cohort}"
            ),
            views=self.run.made_from.views(students),
        )

    def choice(self, target: str, replicate: str) -> ChoiceJob:
        """What the job that chooses settings and the method to deploy is told."""
        paths = self.run.paths
        return ChoiceJob(
            target=target,
            seed=self.run.replicate(replicate).seed,
            deploy=self.run.deployed_recipe,
            deployable=tuple(recipe.name for recipe in self.run.deployable.values()),
            candidates=tuple(
                Candidate(
                    recipe=c.recipe.base.name,
                    learning_rate=self.run.made_from.learning_rate(c),
                    lam=self._lam(c),
                    metrics=paths.student(
                        c.target, c.recipe.name, c.replicate.name, "metrics.json"
                    ),
                )
                for c in self.run.candidates_of(target, replicate)
            ),
        )

    def evaluation(self, student: PlannedStudent) -> EvaluationJob:
        """What the job that evaluates a student is told."""
        recipe, replicate = student.recipe, student.replicate
        return EvaluationJob(
            target=student.target,
            recipe=recipe.name,
            method=recipe.method,
            p=None if recipe.p is None else format_p(recipe.p),
            source=recipe.source,
            seed=replicate.seed,
            label_fraction=self._label_fraction(student.target, replicate),
            student=student.architecture,
            benchmark_seed=self.run.config["embedded"]["seed"],
        )

    def training_facts(self, student: PlannedStudent) -> list[Any]:
        """What a student is trained with, as plain values: it is redone where they change."""
        config, task = self.run.config, self.run.tasks[student.target]
        statistics = task.shared_statistics(config)
        facts = [
            asdict(self.run.made_from.settings),
            self.run.made_from.learning_rate(student),
            task.view(config),
            None if statistics is None else list(map(list, statistics)),
            config["training"]["distill_labeled"],
        ]
        # Only what is made in training, so that what learns stored pseudo-labels is not redone.
        heads = self.run.made_from.heads([student])
        heads = {name: student.recipe.facts.head or head for name, head in heads.items()}
        if made := {name: head for name, head in heads.items() if head not in STORED_HEADS}:
            facts.append(made)
        if "features" in made.values():
            facts.append(config["training"]["feature_scale"])
        if (lam := self._own_lam(student)) is not None:
            facts.append(lam)
        return facts

    def metric_modules(self) -> dict[str, list[str]]:
        """The modules and facts of the metrics that it computes, for `fingerprint.code_of`."""
        # An ensemble's own metrics are among them.
        names = self.run.config["similarity"]["metrics"]
        metrics = [METRICS[name] for name in names if not is_ensemble(name)]
        return {
            "uses": [metric.path for metric in metrics],
            "facts": [metric.computation for metric in metrics],
        }

    def inference_modules(self, *sources: str) -> list[str]:
        """The modules that answer for outside sources, for `fingerprint.code_of`."""
        origins = map(self.run.origin, sources)
        return sorted({origin.module for origin in origins if origin.outside})

    def objective_modules(self, student: PlannedStudent) -> list[str]:
        """The modules that a student's objective lies in, for `fingerprint.code_of`."""
        return [OBJECTIVES[student.recipe.facts.objective].path]

    def _drawn_sources(self, target: str, replicate: str, recipe: Recipe) -> tuple[str, ...] | None:
        """The sources of a recipe of a random subset of them; None of others."""
        if recipe.subset is None:
            return None
        seed = self.run.replicate(replicate).seed
        return tuple(self.run.drawn_sources(target, seed, recipe.subset))

    def _label_fraction(self, target: str, replicate: Replicate) -> float | None:
        """The label fraction of a target; None where its labels are given."""
        return None if self.run.tasks[target].own else replicate.label_fraction

    def _lam(self, student: PlannedStudent) -> float | None:
        """lambda of a student; None where its objective has none."""
        if not OBJECTIVES[student.recipe.facts.objective].lam:
            return None
        own = self._own_lam(student)
        return self.run.config["training"]["lambda"] if own is None else own

    def _own_lam(self, student: PlannedStudent) -> float | None:
        """lambda of a student where it is not that of the configuration."""
        recipe = student.recipe
        return recipe.facts.lam if recipe.lam is None else recipe.lam

    def _student(self, student: PlannedStudent) -> StudentJob:
        return StudentJob(
            recipe=student.recipe.name,
            objective=student.recipe.facts.objective,
            architecture=student.architecture,
            learning_rate=self.run.made_from.learning_rate(student),
            lam=self._own_lam(student),
            choice=self.run.made_from.settings_choice(student),
            source=student.recipe.source,
            weights=self.run.made_from.weights_path(student),
            initial=self.run.made_from.start(student),
            start_choice=self.run.made_from.start_choice(student),
            folder=self.run.paths.student(
                student.target, student.recipe.name, student.replicate.name
            ),
            head=student.recipe.facts.head,
            code=code_of("train_students", uses=self.objective_modules(student)),
        )
