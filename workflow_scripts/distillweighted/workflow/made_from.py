"""What students are made from: settings, models, weights, and files.

run = Run.read(Path("configs/paper.yaml"))
student = run.student("cub200", "distill_weighted-p12", "0")
run.made_from.files([student])["weights"]
run.made_from.used_sources([student])
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from distillweighted.sources.zoo import start_name
from distillweighted.training.objectives.registry import OBJECTIVES
from distillweighted.training.settings import StudentSettings
from distillweighted.workflow.grid import PlannedStudent
from distillweighted.workflow.learning_rates import learning_rate_of
from distillweighted.workflow.recipes import Recipe, is_chosen

if TYPE_CHECKING:
    from distillweighted.workflow.run import Run


@dataclass(frozen=True, eq=False)
class MadeFrom:
    """What the students of a run are made from."""

    run: Run
    """The run."""

    @cached_property
    def settings(self) -> StudentSettings:
        """What all students are trained with."""
        training, baselines = self.run.config["training"], self.run.config["baselines"]
        return StudentSettings(
            steps=training["steps"],
            labeled_batch=training["labeled_batch"],
            unlabeled_batch=training["unlabeled_batch"],
            lam=training["lambda"],
            temperature=training["temperature"],
            learning_rate=training["learning_rate"],
            weight_decay=training["weight_decay"],
            fixmatch_threshold=baselines["fixmatch_threshold"],
            fixmatch_weight=baselines["fixmatch_weight"],
        )

    def learning_rate(self, student: PlannedStudent) -> float:
        """The peak learning rate of a student."""
        return learning_rate_of(self.run.config, student.recipe)

    def chooses_start(self, student: PlannedStudent) -> bool:
        """Whether a student starts from the most similar source of its architecture."""
        chosen = self.run.config["student"]["initialization"] == "nearest_source"
        return chosen or student.recipe.facts.start == "selected_source"

    def start(self, student: PlannedStudent) -> str | None:
        """The model that a student starts from; None for a random start, or if it is chosen."""
        if self.chooses_start(student):
            return None
        return start_name(student.architecture, self.run.config["student"]["initialization"])

    def settings_choice(self, student: PlannedStudent) -> str | None:
        """The file with the settings that were chosen for a student; None where the configuration
        says them."""
        if self.run.config["choice"] is None or student.replicate.validation is not None:
            return None
        if not is_chosen(student.recipe):
            return None
        return self.run.paths.choice(student.target, student.replicate.name)

    def start_choice(self, student: PlannedStudent) -> str | None:
        """The file of weights whose largest names the source that a student starts from; None if
        its start is fixed."""
        if not self.chooses_start(student):
            return None
        recipe = Recipe("finetune_selected_source", architecture=student.architecture)
        return self.run.paths.weights(student.target, student.replicate.name, recipe.name)

    def weights_path(self, student: PlannedStudent) -> str | None:
        """The file of a student's weights over the sources; None if it has none."""
        name = student.recipe.weights_name
        if name not in self.run.weight_recipes:
            return None
        return self.run.paths.weights(student.target, student.replicate.name, name)

    def used_sources(self, students: Iterable[PlannedStudent]) -> list[str]:
        """Names of the sources whose outputs some students are distilled from, sorted."""
        used: set[str] = set()
        for student in students:
            if student.recipe.source is not None:
                used.add(student.recipe.source)
            elif student.recipe.subset is not None:
                seed, size = student.replicate.seed, student.recipe.subset
                used |= {*self.run.drawn_sources(student.target, seed, size)}
            elif OBJECTIVES[student.recipe.facts.objective].pseudo_labels:
                used |= {source.name for source in self.run.admissible(student.target)}
        return sorted(used)

    def used_models(self, students: Iterable[PlannedStudent]) -> list[str]:
        """Names of the models that some students may start from, sorted."""
        used: set[str] = set()
        for student in students:
            if self.chooses_start(student):
                sources = self.run.admissible(student.target)
                used |= {s.name for s in sources if s.architecture == student.architecture}
            elif (start := self.start(student)) is not None:
                used.add(start)
        return sorted(used)

    def learns_probe(self, students: Iterable[PlannedStudent]) -> bool:
        """Whether any of some students learns the labels of a linear probe."""
        return any(OBJECTIVES[s.recipe.facts.objective].probe_labels for s in students)

    def views(self, students: Iterable[PlannedStudent]) -> int | None:
        """How many fixed views of an image some students learn from; None where none does."""
        learn = any(OBJECTIVES[s.recipe.facts.objective].views for s in students)
        return self.run.config["inference"]["views"] if learn else None

    def view_files(self, students: Iterable[PlannedStudent]) -> list[str]:
        """What sources say of the fixed views that some students of one target learn from."""
        learning = [s for s in students if self.views([s])]
        return [
            self.run.paths.views(learning[0].target, self.views(learning), name)
            for name in self.used_sources(learning)
        ]

    def heads(self, students: Sequence[PlannedStudent]) -> dict[str, str]:
        """What each source that some students may be distilled from teaches by, by name."""
        used = self.used_sources(students)
        return {name: self.run.sources[name].head for name in used}

    def files(self, students: Sequence[PlannedStudent]) -> dict[str, Any]:
        """The files by name that determine the results of students of one target and replicate."""
        return {
            **self.of_all(students[0].target, students[0].replicate.name),
            "inference": self._inference(students),
            **self._own(students),
        }

    def of_all(self, target: str, replicate: str) -> dict[str, str]:
        """Those of every student of a target and replicate."""
        paths = self.run.paths
        return {
            "train_images": paths.task(target, "train_images.npy"),
            "test_images": paths.task(target, "test_images.npy"),
            "index": paths.task(target, "images.csv"),
            "meta": paths.task(target, "meta.json"),
            "split": paths.split(target, replicate),
            "labeled": paths.labeled(target, replicate),
        }

    def stamped(self, students: Sequence[PlannedStudent]) -> dict[str, Any]:
        """`files`, with stamps in place of those that a target's students share.

        A stamp is as new as the newest file that it stands for. A plan takes time for every file of
        every job: thousands of students name four or five in place of sixteen.
        """
        target, paths = students[0].target, self.run.paths
        inference = self._inference(students)
        if len(inference) > 1 and inference == self.run.inference_of_all(target):
            inference = [paths.sources_stamp(target)]
        return {
            "task": paths.task_stamp(target, students[0].replicate.name),
            "inference": inference,
            **self._own(students),
        }

    def _inference(self, students: Sequence[PlannedStudent]) -> list[str]:
        """What the sources say that some students of one target are distilled from."""
        used, paths = self.used_sources(students), self.run.paths
        return [paths.inference(students[0].target, name) for name in used]

    def _own(self, students: Sequence[PlannedStudent]) -> dict[str, Any]:
        """Those that each student has for itself."""
        target, replicate, paths = students[0].target, students[0].replicate.name, self.run.paths
        files = [f(student) for student in students for f in (self.weights_path, self.start_choice)]
        choices = {self.settings_choice(student) for student in students} - {None}
        return {
            "models": [paths.model(name) for name in self.used_models(students)],
            "views": self.view_files(students),
            "probe": [paths.probe(target, replicate)] if self.learns_probe(students) else [],
            "weights": sorted({path for path in files if path is not None}),
            "choices": sorted(choices),
        }
