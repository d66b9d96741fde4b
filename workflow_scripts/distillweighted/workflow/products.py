"""What a run ends in: which tables and figures can be made of its grid, and what they say of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from distillweighted.analysis import paper_numbers
from distillweighted.analysis.ranks import MIN_METHODS, MIN_TARGETS
from distillweighted.methods import METHODS
from distillweighted.workflow.growth import Growth
from distillweighted.workflow.learning_rates import rate_name
from distillweighted.workflow.planned_methods import planned_methods
from distillweighted.workflow.recipes import format_p, lambda_recipes

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
        if self.is_tuning:
            return False
        fewest = min(len(self.run.admissible(target)) for target in self.run.targets)
        return self.run.config["methods"]["distill_single"] and fewest >= MIN_SOURCES

    @cached_property
    def has_label_fractions(self) -> bool:
        """Whether there are students for several label fractions."""
        return len(self.run.replicates) > len(self.run.config["seeds"])

    @cached_property
    def has_lambdas(self) -> bool:
        """Whether the effect of lambda was asked for, and there is what to compare with."""
        config = self.run.config
        return bool(lambda_recipes(config)) and config["baselines"]["in_transfer"]

    @cached_property
    def lambdas(self) -> dict[str, float | None]:
        """lambda of every recipe of the table of lambda's effect; None for IN+Transfer, which it is
        compared with."""
        config = self.run.config
        if not self.has_lambdas:
            return {}
        plain = replace(lambda_recipes(config)[0], lam=None)
        lambdas = {"in_transfer": None, plain.name: config["training"]["lambda"]}
        if config["controls"]["pass_through"]:
            # Another value of lambda in the configuration may be the same.
            control = METHODS["control_pass_through"]
            lambdas[replace(plain, method=control.name).name] = control.lam
        return lambdas | {recipe.name: recipe.lam for recipe in lambda_recipes(config)}

    @cached_property
    def compared_exponents(self) -> list[str]:
        """The fixed p that rules which choose the weights are compared with, as in the names of
        recipes; none where there are no such rules, or no two p."""
        methods, choice = self.run.config["methods"], self.run.config["choice"]
        exponents = methods["distill_weighted"]
        rules = methods["distill_auto_p"] or methods["distill_top_k"] or choice is not None
        return [format_p(p) for p in exponents] if rules and len(exponents) > 1 else []

    @cached_property
    def choice_files(self) -> list[str]:
        """The choice of every target and seed of the first label fraction; none without one."""
        if self.run.config["choice"] is None:
            return []
        seeds = self.run.config["seeds"]
        return [self.run.paths.choice(t, str(seed)) for t in self.run.targets for seed in seeds]

    @cached_property
    def lambda_recipes(self) -> list[str]:
        """The recipes that are trained for the effect of lambda alone."""
        return [recipe.name for recipe in lambda_recipes(self.run.config)]

    @cached_property
    def growth(self) -> Growth:
        """What it shows of how distillation grows."""
        return Growth(self.run)

    @cached_property
    def is_tuning(self) -> bool:
        """Whether it tunes learning rates, and has that table alone."""
        return self.run.config["tuning"] is not None

    @cached_property
    def tuned_names(self) -> dict[str, str]:
        """The name under which `training.learning_rates` has each recipe of a tuning run."""
        if not self.is_tuning:
            return {}
        recipes = {student.recipe for student in self.run.students}
        return {
            r.name: rate_name(r) if r.architecture is None else r.base.name
            for r in sorted(recipes, key=lambda r: r.name)
        }

    @cached_property
    def has_random_selection(self) -> bool:
        """Whether every target has single-source students enough for a spread."""
        fewest = min(len(self.run.admissible(target)) for target in self.run.targets)
        return self.run.config["methods"]["distill_single"] and fewest > 1

    @cached_property
    def has_oracle(self) -> bool:
        """Whether the best single source by the test labels is asked for, and there are any."""
        config = self.run.config
        return config["controls"]["oracle_selection"] and config["methods"]["distill_single"]

    @cached_property
    def methods(self) -> list[str]:
        """The methods of the student's architecture that Table 1 will have."""
        config = self.run.config
        architecture, default_p = config["student"]["architecture"], config["methods"]["default_p"]
        students = self.run.students
        return planned_methods(students, architecture=architecture, default_p=default_p)

    @cached_property
    def has_pairs(self) -> bool:
        """Whether there is the reference method, and another one to compare with it."""
        reference = self.run.config["figures"]["paired_reference"]
        return reference in self.methods and len(self.methods) > 1

    @cached_property
    def is_comparable(self) -> bool:
        """Whether a target is one of the paper's."""
        return bool(set(self.run.targets) & set(paper_numbers.TARGETS))

    @cached_property
    def tables(self) -> list[str]:
        """Names of the tables, for each of which there is a rule."""
        if self.is_tuning:
            return ["tuning"]
        names = ["table1_accuracy", "comparison_with_paper"]
        if self.has_pairs:
            names += ["table1_paired", "all_methods"]
        if self.has_random_selection:
            names.append("table1_random_selection")
        if self.has_lambdas:
            names.append("effect_of_lambda")
        if self.compared_exponents:
            names.append("choice_of_weights")
        if self.has_label_fractions:
            names.append("table_label_fractions")
        if self.run.config["figures"]["target_groups"]:
            names.append("table_target_groups")
        if self.has_correlations:
            names += ["table2_correlation", "table3_relative_accuracy"]
        return names + self.growth.names

    @cached_property
    def figures(self) -> list[str]:
        """Names of the figures, for each of which there is a rule."""
        if self.is_tuning:
            return []
        names = ["fig1_weightings", "fig5_accuracy_vs_compute"]
        if self.has_correlations:
            names += ["fig3_single_source", "fig4_similarity_vs_accuracy"]
        config = self.run.config
        if config["methods"]["distill_weighted"] and config["baselines"]["in_transfer"]:
            names.append("fig6_effect_of_p")
        if self.has_lambdas:
            names.append("effect_of_lambda")
        if len(self.methods) >= MIN_METHODS and len(self.run.targets) >= MIN_TARGETS:
            names.append("critical_difference")
        return names + self.growth.names

    @cached_property
    def captions(self) -> list[str]:
        """What the report shows with a caption: tables, figures and facts of the run."""
        facts = ["sources", "exclusions", "versions"]
        if self.has_answer:
            facts.insert(0, "answer")
        if self.has_correlations:
            facts += ["table2_differences", "table2_noise_ceiling", "table3_regret"]
        shown = [*dict.fromkeys([*self.tables, *self.figures]), *facts]
        return [name for name in shown if self.is_comparable or name != "comparison_with_paper"]

    @cached_property
    def has_answer(self) -> bool:
        """Whether there is Table 1, of which the run says something in sentences."""
        return "table1_accuracy" in self.tables

    @cached_property
    def reported(self) -> list[str]:
        """The rules whose results the report shows."""
        return [*(["answer"] if self.has_answer else []), "figures", "tables", "describe_run"]

    @cached_property
    def metrics(self) -> list[str]:
        """metrics.json of every student."""
        return [
            self.run.paths.student(s.target, s.recipe.name, s.replicate.name, "metrics.json")
            for s in self.run.students
        ]

    @cached_property
    def view_files(self) -> list[str]:
        """What sources say of fixed views of images; none where no student learns from such."""
        made_from = self.run.made_from
        of_targets = {s.target: s for s in self.run.students if made_from.views([s])}
        return [path for student in of_targets.values() for path in made_from.view_files([student])]

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
        seeds = ", ".join(map(str, config["seeds"]))
        for key, what in (
            (config["methods"]["distill_single_seeds"], "single sources"),
            (config["baselines"]["source_architecture_seeds"], "source architectures"),
        ):
            if key is not None and key < len(config["seeds"]):
                seeds += f" ({what}: the first {key})"
        return (
            f"Run {config['name']}: seeds {seeds}; {generated}"
            f"{len(self.run.sources)} sources; {', '.join(labels)}; lambda = "
            f"{training['lambda']:g}, p = {config['methods']['default_p']:g}; "
            f"{training['steps']} steps."
        )
