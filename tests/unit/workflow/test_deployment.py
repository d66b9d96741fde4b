"""Which student is handed over, and what it is compared with."""

import json
import math

import pytest

from distillweighted.deployment.jobs import ComparisonJob, ExportJob
from distillweighted.workflow.run import Run

CONFIG = {
    "name": "plan",
    "seeds": [3, 1],
    "targets": ["lesions_b"],
    "sources": [
        {"from": "trained", "architectures": ["alexnet_tiny"], "tasks": ["latin", "textures_a"]}
    ],
    "methods": {"distill_weighted": [0, 4, 12, math.inf], "distill_random_weights": 2},
    "training": {"other_label_fractions": [0.5]},
}


def deployment(**changes):
    methods = {**CONFIG["methods"], **changes.pop("methods", {})}
    return Run.of({**CONFIG, **changes, "methods": methods}).deployment


def test_methods_with_one_student_a_seed_are_compared_the_other_networks_last():
    methods = deployment().methods("lesions_b")
    assert [(m.method, m.label, m.recipe, m.distils) for m in methods] == [
        ("in_transfer", "Transfer", "in_transfer", False),
        ("in_fixmatch", "FixMatch", "in_fixmatch", False),
        ("distill_nearest", "DistillNearest", None, True),
        ("distill_equal", "DistillEqual", "distill_weighted-p0", True),
        ("distill_weighted", "DistillWeighted", "distill_weighted-p12", True),
        ("distill_inverse", "Inverse", "distill_inverse", True),
        (
            "in_transfer-alexnet_tiny",
            "Transfer (alexnet_tiny)",
            "in_transfer-alexnet_tiny",
            False,
        ),
        (
            "finetune_selected_source-alexnet_tiny",
            "Fine-tuned selected source (alexnet_tiny)",
            "finetune_selected_source-alexnet_tiny",
            False,
        ),
    ]


def test_without_single_sources_the_nearest_is_a_recipe():
    planned = deployment(methods={"distill_single": False})
    recipes = {m.method: m.recipe for m in planned.methods("lesions_b")}
    assert recipes["distill_nearest"] == "distill_weighted-pinf"
    assert planned.nearest_files("lesions_b") == []


def test_the_nearest_of_single_sources_is_known_from_its_weights():
    planned = deployment()
    folder = "results/plan/weights/lesions_b"
    assert planned.nearest_files("lesions_b") == [
        f"{folder}/seed3/distill_weighted-pinf.csv",
        f"{folder}/seed1/distill_weighted-pinf.csv",
    ]
    students = planned.compared_students("lesions_b")
    assert ("distill_single-alexnet_tiny_latin", "3") in students
    # Neither random weights, nor another p, nor another label fraction.
    assert {replicate for _, replicate in students} == {"3", "1"}
    assert not {r for r, _ in students if "random" in r or r == "distill_weighted-p4"}


def test_the_first_seeds_student_is_handed_over():
    job = deployment().export("lesions_b")
    assert (job.candidates, job.replicate) == (("distill_weighted-p12",), "3")
    assert deployment().candidate_files("lesions_b", "model.safetensors") == [
        "results/plan/students/lesions_b/distill_weighted-p12/seed3/model.safetensors"
    ]
    assert deployment().choice_files("lesions_b") == []


def test_any_trained_method_may_be_handed_over():
    assert deployment(student={"deploy": "in_fixmatch"}).candidates == ["in_fixmatch"]
    assert deployment(student={"deploy": "distill_equal"}).candidates == ["distill_weighted-p0"]


def test_validation_images_may_choose():
    planned = deployment(student={"deploy": "auto"}, choice={})
    assert set(planned.candidates) == {
        *("in_transfer", "in_fixmatch", "distill_inverse"),
        *("distill_weighted-p0", "distill_weighted-p12"),
    }
    assert planned.choice_files("lesions_b") == ["results/plan/choices/lesions_b/seed3.json"]
    assert planned.comparison("lesions_b").chosen
    assert not deployment().comparison("lesions_b").chosen


def test_a_default_that_is_not_trained_is_told_only_where_a_student_is_asked_for():
    planned = deployment(methods={"distill_weighted": []})
    assert len(planned.run.students) > 0
    said = r"^student.deploy: 'distill_weighted' is not trained, .*\(allowed: .*in_fixmatch.*auto"
    with pytest.raises(ValueError, match=said):
        planned.export("lesions_b")


def test_transfer_from_the_same_start_is_the_reference():
    assert deployment().reference("lesions_b") == "in_transfer"
    assert deployment(baselines={"in_transfer": False}).reference("lesions_b") is None
    chosen = deployment(
        student={"architecture": "alexnet_tiny", "initialization": "nearest_source"},
        baselines={"in_transfer": False, "in_fixmatch": False},
    )
    assert chosen.reference("lesions_b") == "finetune_selected_source"


@pytest.mark.parametrize(("kind", "record"), [("export", ExportJob), ("comparison", ComparisonJob)])
def test_what_jobs_are_told_comes_back(kind, record):
    job = getattr(deployment(), kind)("lesions_b")
    assert record.of(json.loads(json.dumps(job.as_params()))) == job
