"""The methods that a run will have, and the tables and figures that are planned of them."""

import copy
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from distillweighted.analysis import methods_accuracy
from distillweighted.methods import METHOD_ORDER
from distillweighted.workflow.planned_methods import planned_methods
from distillweighted.workflow.run import Run

ROOT = Path(__file__).resolve().parents[3]
DEMO = yaml.safe_load((ROOT / "config.yaml").read_text())
INF = float("inf")
SINGLES = {"distill_nearest", "distill_random_selection"}


def run_of(**changes):
    config = copy.deepcopy(DEMO)
    for key, value in changes.items():
        config[key] = {**config.get(key, {}), **value} if isinstance(value, dict) else value
    return Run.of(config)


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        ({}, {"distill_equal", "distill_weighted", *SINGLES}),
        ({"distill_single": False}, {"distill_nearest", "distill_equal", "distill_weighted"}),
        ({"distill_single": False, "distill_weighted": [1, 12]}, {"distill_weighted"}),
        (
            {"distill_weighted": [0, INF], "default_p": 0},
            {"distill_equal", "distill_weighted", *SINGLES},
        ),
        ({"distill_weighted": []}, SINGLES),
        (
            {"distill_weighted": [12], "distill_prototypes": True},
            {"distill_weighted", "distill_prototypes", *SINGLES},
        ),
        # Of several k, none stands for the method.
        (
            {
                "distill_weighted": [12],
                "distill_auto_p": True,
                "distill_top_k": [2, 3],
                "distill_subset_sizes": [2],
            },
            {"distill_weighted", "distill_auto_p", *SINGLES},
        ),
    ],
)
def test_they_are_those_that_the_accuracies_will_give(methods, expected):
    run = run_of(methods=methods)
    always = {"in_transfer", "in_fixmatch", "distill_inverse", "distill_random_weights"}
    assert set(run.products.methods) == expected | always
    assert run.products.methods == [name for name in METHOD_ORDER if name in expected | always]
    # The same from a table of the planned students, with accuracies made up.
    rows, nearest = [], []
    for student in run.students:
        recipe, seed = student.recipe, student.replicate.seed
        p = float("nan") if recipe.p is None else recipe.p
        rows.append((student.target, recipe.name, recipe.method, p, recipe.source, seed))
        rows[-1] += (student.architecture, 50.0, 50.0)
    for target in run.targets:
        nearest.append((target, 0, run.admissible(target)[0].name))
    table = methods_accuracy.method_accuracy(
        pd.DataFrame(rows, columns=list(methods_accuracy.ACCURACY_COLUMNS)),
        pd.DataFrame(nearest, columns=["target", "seed", "source"]),
        default_p=run.config["methods"]["default_p"],
    )
    own = table[table["student"] == run.config["student"]["architecture"]]
    assert set(own["method"]) == set(run.products.methods)


def test_a_method_that_a_target_lacks_is_none_of_the_run():
    students = run_of().students
    fewer = [s for s in students if (s.target, s.recipe.method) != ("cyrillic", "in_fixmatch")]
    found = planned_methods(fewer, architecture="convnet_tiny", default_p=12)
    assert "in_fixmatch" not in found and "in_transfer" in found
    # A candidate with its own rate is not the method.
    weighted = [s for s in students if s.recipe.name == "distill_weighted-p12"]
    other = [replace(s, recipe=replace(s.recipe, learning_rate=0.1)) for s in weighted]
    assert planned_methods(weighted, architecture="convnet_tiny", default_p=12) == [
        "distill_weighted"
    ]
    assert planned_methods(other, architecture="convnet_tiny", default_p=12) == []
    assert planned_methods([], architecture="convnet_tiny", default_p=12) == []


def test_what_is_planned_of_them():
    demo = run_of().products
    assert {"table1_paired", "table1_random_selection"} <= set(demo.tables)
    # Three targets are too few for mean ranks.
    assert "critical_difference" not in demo.figures
    assert {"answer", "table1_paired"} <= set(demo.captions)
    assert demo.reported == ["answer", "figures", "tables", "describe_run"]
    without = run_of(methods={"distill_weighted": []}).products
    assert "table1_paired" not in without.tables
    other = run_of(methods={"distill_weighted": []}, figures={"paired_reference": "in_transfer"})
    assert "table1_paired" in other.products.tables
    alone = run_of(
        methods={"distill_single": False, "distill_weighted": [12], "distill_inverse": False,
                 "distill_random_weights": 0},
        baselines={"in_transfer": False, "in_fixmatch": False},
    )  # fmt: skip
    assert alone.products.methods == ["distill_weighted"]
    assert not {"table1_paired", "table1_random_selection"} & set(alone.products.tables)
    lone = {"from": "trained", "architectures": ["alexnet_tiny"], "tasks": ["latin"]}
    one_source = run_of(sources=[lone], baselines={"source_architectures": []})
    assert "table1_random_selection" not in one_source.products.tables
    for name in ("configs/mini_paper.yaml", "configs/paper.yaml", "configs/vtab.yaml"):
        products = Run.read(ROOT / name).products
        assert "critical_difference" in products.figures and "table1_paired" in products.tables


@pytest.mark.parametrize(
    ("changes", "exponents"),
    [
        ({"methods": {"distill_auto_p": True}}, ["0", "1", "12", "inf"]),
        ({"methods": {"distill_top_k": [2]}}, ["0", "1", "12", "inf"]),
        ({"choice": {}}, ["0", "1", "12", "inf"]),
        ({}, []),
        ({"methods": {"distill_auto_p": True, "distill_weighted": [12]}}, []),
        ({"methods": {"distill_auto_p": True, "distill_weighted": []}}, []),
    ],
)
def test_rules_that_choose_weights_are_compared_where_there_are_several_p(changes, exponents):
    methods = {"distill_weighted": [0, 1, 12, INF], **changes.get("methods", {})}
    products = run_of(**{**changes, "methods": methods}).products
    assert products.compared_exponents == exponents
    assert ("choice_of_weights" in products.tables) == bool(exponents)
    assert ("choice_of_weights" in products.captions) == bool(exponents)
    targets = ["cyrillic", "species_b", "mosaics_b"] if "choice" in changes else []
    assert [path.split("/")[-2] for path in products.choice_files] == targets


def test_figure_1_of_the_papers_grid_is_over_the_papers_five_targets():
    run = Run.read(ROOT / "configs/paper.yaml")
    five = ["cub200", "eurosat", "isic", "oxford_pets", "stanford_dogs"]
    assert run.config["figures"]["fig1_targets"] == five
    assert run.config["figures"]["paired_reference"] == "distill_weighted"
