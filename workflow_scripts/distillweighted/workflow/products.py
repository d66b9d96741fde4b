"""What a run ends in: which tables and figures can be made of its grid, and what they say of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from distillweighted.analysis import paper_numbers

if TYPE_CHECKING:
    from distillweighted.workflow.run import Run

MIN_SOURCES = 3
"""Sources of a target from which a correlation is worth the name."""


@dataclass(frozen=True)
class Products:
    """The tables and figures of a run."""

    run: Run
    """The run."""

    @cached_property
    def has_correlations(self) -> bool:
        """Whether there are single-source students enough for Tables 2 and 3."""
        fewest = min(len(self.run.admissible(target)) for target in self.run.targets)
        return self.run.config["methods"]["distill_single"] and fewest >= MIN_SOURCES

    @cached_property
    def has_label_fractions(self) -> bool:
        """Whether there are students for several label fractions."""
        return len(self.run.replicates) > len(self.run.config["seeds"])

    @cached_property
    def is_comparable(self) -> bool:
        """Whether a target is one of the paper's."""
        return bool(set(self.run.targets) & set(paper_numbers.TARGETS))

    @cached_property
    def tables(self) -> list[str]:
        """Names of the tables, for each of which there is a rule."""
        names = ["table1_accuracy", "comparison_with_paper"]
        if self.has_label_fractions:
            names.append("table_label_fractions")
        if self.run.config["figures"]["target_groups"]:
            names.append("table_target_groups")
        if self.has_correlations:
            names += ["table2_correlation", "table3_relative_accuracy"]
        return names

    @cached_property
    def figures(self) -> list[str]:
        """Names of the figures, for each of which there is a rule."""
        names = ["fig1_weightings", "fig5_accuracy_vs_compute"]
        if self.has_correlations:
            names += ["fig3_single_source", "fig4_similarity_vs_accuracy"]
        config = self.run.config
        if config["methods"]["distill_weighted"] and config["baselines"]["in_transfer"]:
            names.append("fig6_effect_of_p")
        return names

    @cached_property
    def captions(self) -> list[str]:
        """What the report shows with a caption: tables, figures and facts of the run."""
        facts = ["sources", "exclusions", "versions"]
        shown = [*self.tables, *self.figures, *facts]
        return [name for name in shown if self.is_comparable or name != "comparison_with_paper"]

    def files_of_students(self, *names: str) -> list[str]:
        """These files of every student."""
        paths, students = self.run.paths, self.run.students
        return [
            paths.student(student.target, student.recipe.name, student.replicate.name, name)
            for name in names
            for student in students
        ]

    @cached_property
    def cells(self) -> list[tuple[str, int, float | None]]:
        """Target, seed and label fraction (None where labels are given) of every labelled split."""
        tasks = self.run.tasks
        return [
            (target, replicate.seed, None if tasks[target].own else replicate.label_fraction)
            for target in self.run.targets
            for replicate in self.run.replicates.values()
        ]

    @cached_property
    def sources_by_task(self) -> list[dict[str, str]]:
        """source, architecture and task of every source."""
        return [
            {"source": source.name, "architecture": source.architecture, "task": source.task}
            for source in self.run.sources.values()
        ]

    @cached_property
    def exclusions(self) -> list[dict[str, str]]:
        """target, source and reason of every exclusion in force."""
        return [
            {"target": target, "source": name, "reason": reason}
            for target in self.run.targets
            for name, reason in self.run.excluded(target).items()
        ]

    @cached_property
    def caption(self) -> str:
        """What a table was made with, in one line."""
        config = self.run.config
        training, embedded = config["training"], config["embedded"]
        generated, images = "", "the training images"
        own = [target for target in self.run.targets if self.run.tasks[target].own]
        if all(self.run.tasks[target].generated for target in self.run.targets):
            generated = f"benchmark seed {embedded['seed']}; "
            images = f"{embedded['target_images']} training images"
        labels = [f"labels of {', '.join(own)} as given"] if own else []
        if len(own) < len(self.run.targets):
            labels.append(f"{training['label_fraction']:.0%} of {images} labelled")
        return (
            f"Run {config['name']}: seeds {', '.join(map(str, config['seeds']))}; {generated}"
            f"{len(self.run.sources)} sources; {', '.join(labels)}; lambda = "
            f"{training['lambda']:g}, p = {config['methods']['default_p']:g}; "
            f"{training['steps']} steps."
        )
