"""Which learning rate a recipe has."""

import math

import pytest

from distillweighted.workflow.config import ConfigError
from distillweighted.workflow.learning_rates import learning_rate_of, rate_name
from distillweighted.workflow.recipes import Recipe
from distillweighted.workflow.run import Run

SOURCES = [{"from": "trained", "architectures": ["resnet18_tiny"], "tasks": ["latin", "species_a"]}]
CONFIG = {"name": "rates", "targets": ["greek"], "sources": SOURCES}


def run_with(**training) -> Run:
    """A run with these training settings, and sources trained at 0.004."""
    return Run.of({**CONFIG, "training": {"learning_rate": 0.01, **training}})


def test_a_recipe_has_its_methods_rate_or_the_default():
    rates = {"in_fixmatch": 0.002, "distill_single": 0.003, "distill_weighted": 0.006}
    config = run_with(learning_rates=rates).config
    of = {
        Recipe("in_fixmatch"): 0.002,
        Recipe("in_transfer"): 0.01,
        Recipe("distill_single", source="resnet18_tiny_latin"): 0.003,
        # DistillNearest is one of the single-source students.
        Recipe("distill_weighted", p=math.inf): 0.003,
        Recipe("distill_weighted", p=12.0): 0.006,
        Recipe("distill_weighted", p=4.0, lam=0.5): 0.006,
        Recipe("distill_weighted", p=0.0): 0.006,
        Recipe("control_shuffled_labels", p=12.0): 0.006,
        Recipe("distill_auto_p"): 0.006,
        Recipe("distill_top_k", keep=3): 0.006,
        Recipe("distill_subset", p=12.0, subset=3): 0.006,
        Recipe("distill_inverse"): 0.01,
        Recipe("in_fixmatch", learning_rate=0.5): 0.5,
        Recipe("in_transfer", architecture="resnet18_tiny"): 0.004,
        # Of another student's architecture too.
        Recipe("distill_weighted", p=12.0, architecture="resnet18_tiny"): 0.006,
        Recipe("distill_weighted", p=math.inf, architecture="resnet18_tiny"): 0.003,
    }
    assert {recipe: learning_rate_of(config, recipe) for recipe in of} == of


def test_equal_and_architectures_may_have_rates_of_their_own():
    rates = {
        "distill_weighted": 0.006,
        "distill_equal": 0.001,
        "in_transfer": 0.02,
        "finetune_selected_source": 0.03,
        "in_transfer-resnet18_tiny": 0.04,
    }
    config = run_with(learning_rates=rates).config
    assert learning_rate_of(config, Recipe("distill_weighted", p=0.0)) == 0.001
    assert learning_rate_of(config, Recipe("in_transfer")) == 0.02
    tuned = Recipe("in_transfer", architecture="resnet18_tiny")
    assert learning_rate_of(config, tuned) == 0.04
    selected = Recipe("finetune_selected_source", architecture="resnet18_tiny")
    assert learning_rate_of(config, selected) == 0.03


def test_the_jobs_are_told():
    run = run_with(learning_rates={"in_fixmatch": 0.002})
    told = {
        student.recipe: student.learning_rate
        for cohort in {s.cohort for s in run.students}
        for student in run.cohort("greek", "0", cohort).students
    }
    assert told["in_fixmatch"] == 0.002 and told["in_transfer"] == 0.01


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("fixmatch", "in_fixmatch"),
        ("distill_nearest", "distill_single"),
        ("in_transfer-resnet18_tyni", "in_transfer-resnet18_tiny"),
    ],
)
def test_a_name_that_no_method_has_is_told(name, hint):
    with pytest.raises(ConfigError) as caught:
        run_with(learning_rates={name: 0.1})
    assert f"training.learning_rates.{name}: unknown method" in str(caught.value)
    assert hint in str(caught.value)


def test_a_rate_is_a_number_above_0():
    with pytest.raises(ConfigError, match=r"training\.learning_rates\.in_fixmatch: 0"):
        run_with(learning_rates={"in_fixmatch": 0})
    with pytest.raises(ConfigError, match="a mapping of names to a number above 0 to 10"):
        run_with(learning_rates=[0.1])


def test_names_of_rates():
    assert rate_name(Recipe("distill_weighted", p=math.inf)) == "distill_single"
    assert rate_name(Recipe("distill_weighted", p=0.0)) == "distill_equal"
    assert rate_name(Recipe("distill_weighted", p=1.0)) == "distill_weighted"
    assert rate_name(Recipe("in_fixmatch")) == "in_fixmatch"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"choice": {"learning_rates": [0.1]}}, "choice: tuning and choice"),
        ({"training": {"other_lambdas": [0.5]}}, "training.other_lambdas: tuning is of"),
        (
            {"student": {"other_architectures": ["resnet18_tiny"]}},
            "student.other_architectures: tuning is of",
        ),
    ],
)
def test_tuning_stands_alone(changes, message):
    with pytest.raises(ConfigError) as caught:
        Run.of({**CONFIG, "tuning": {}, **changes})
    assert message in str(caught.value)


def test_a_tuning_run_has_one_table_and_no_figure():
    run = Run.of({**CONFIG, "tuning": {}, "methods": {"distill_single": False}})
    assert run.products.tables == ["tuning"] and run.products.figures == []
    names = run.products.tuned_names
    assert names["distill_weighted-pinf-rate0.001"] == "distill_single"
    assert names["in_transfer-resnet18_tiny-rate0.016"] == "in_transfer-resnet18_tiny"
    assert len(names) == len(run.students)


def test_the_recipes_of_the_effect_of_lambda():
    run = Run.of({**CONFIG, "training": {"other_lambdas": [0.5, 1.0]}})
    assert run.products.lambdas == {
        "in_transfer": None,
        "distill_weighted-p12": 0.8,
        "distill_weighted-p12-lambda0.5": 0.5,
        "distill_weighted-p12-lambda1": 1.0,
    }
    assert "effect_of_lambda" in run.products.tables
    run = Run.of(
        {
            **CONFIG,
            "training": {"other_lambdas": [0.5, 1.0]},
            "controls": {"pass_through": True},
        }
    )
    assert run.products.lambdas["control_pass_through-p12"] == 1.0
    assert run.products.lambda_recipes == ["distill_weighted-p12-lambda0.5"]
    assert "effect_of_lambda" not in Run.of(CONFIG).products.tables
