"""Choosing settings, and the method to deploy, on validation images."""

import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillweighted.errors import DamagedError, DataError
from distillweighted.tasks.pools import as_pool
from distillweighted.tasks.splits import split_validation
from distillweighted.training.choice import (
    Candidate,
    ChoiceJob,
    choose,
    read_deployed,
    read_settings,
)
from distillweighted.workflow.config import ConfigError
from distillweighted.workflow.run import Run

CONFIG = {
    "name": "choice",
    "seeds": [0, 3],
    "targets": ["cyrillic", "species_b"],
    "sources": [
        {"from": "trained", "architectures": ["resnet18_tiny"], "tasks": ["latin", "species_a"]}
    ],
    "methods": {
        "distill_single": False,
        "distill_weighted": [12, ".inf"],
        "distill_inverse": False,
        "distill_random_weights": 0,
    },
    "baselines": {"source_architectures": ["resnet18_tiny"]},
    "choice": {"learning_rates": [0.003, 0.01], "lambdas": [0.5, 0.8]},
    "student": {"deploy": "auto"},
}
CONFIG["methods"]["distill_weighted"][1] = math.inf


def run_of(**changes: Any) -> Run:
    return Run.of({**copy.deepcopy(CONFIG), **changes})


def make_job(tmp_path: Path, accuracies: dict[tuple[str, float], float], **facts: Any) -> ChoiceJob:
    candidates = []
    for i, ((recipe, rate), accuracy) in enumerate(accuracies.items()):
        path = tmp_path / f"{i}.json"
        path.write_text(json.dumps({"accuracy": accuracy, "n_test": 50}))
        candidates.append(Candidate(recipe, rate, 0.8 if recipe == "w" else None, str(path)))
    defaults = {"deploy": None, "deployable": ("w", "t")}
    return ChoiceJob(
        target="cyrillic", seed=0, candidates=tuple(candidates), **{**defaults, **facts}
    )


def test_the_most_accurate_candidate_wins_and_of_equal_ones_the_first(tmp_path: Path) -> None:
    tried = {("w", 0.1): 40.0, ("w", 0.2): 64.0, ("w", 0.3): 64.0, ("t", 0.2): 60.0, ("x", 1): 90.0}
    choose(make_job(tmp_path, tried), tmp_path / "choice.json")
    chosen = json.loads((tmp_path / "choice.json").read_text())
    assert chosen["validation_images"] == 50
    assert read_settings(tmp_path / "choice.json", "w") == (0.2, 0.8)
    assert read_settings(tmp_path / "choice.json", "t") == (0.2, None)
    # x is better, and may not be deployed.
    assert read_deployed(tmp_path / "choice.json") == "w"
    facts = chosen["recipes"]["w"]
    assert [c["accuracy"] for c in facts["candidates"]] == [40.0, 64.0, 64.0]
    assert facts["standard_error"] == pytest.approx(100 * math.sqrt(0.64 * 0.36 / 50))
    with pytest.raises(DamagedError, match="no settings of 'other'"):
        read_settings(tmp_path / "choice.json", "other")


def test_a_method_that_was_asked_for_is_deployed_whatever_its_accuracy(tmp_path: Path) -> None:
    tried = {("w", 0.1): 40.0, ("t", 0.2): 60.0}
    choose(make_job(tmp_path, tried, deploy="w"), tmp_path / "choice.json")
    assert read_deployed(tmp_path / "choice.json") == "w"


def test_metrics_that_are_damaged_are_named(tmp_path: Path) -> None:
    job = make_job(tmp_path, {("w", 0.1): 40.0})
    Path(job.candidates[0].metrics).write_text('{"accuracy": "high", "n_test": 5}')
    with pytest.raises(DamagedError, match=r"0\.json.*no number"):
        choose(job, tmp_path / "choice.json")
    assert not (tmp_path / "choice.json").exists()


def test_every_method_has_a_candidate_for_each_rate_and_each_lambda_that_it_has() -> None:
    run = run_of()
    found = run.candidates_of("cyrillic", "3")
    assert [candidate.recipe.name for candidate in found] == [
        *(
            f"distill_weighted-p{p}-rate{rate}-lambda{lam}"
            for p in (12, "inf")
            for rate in (0.003, 0.01)
            for lam in (0.5, 0.8)
        ),
        "in_transfer-rate0.003",
        "in_transfer-rate0.01",
        "in_fixmatch-rate0.003",
        "in_fixmatch-rate0.01",
    ]
    assert {candidate.replicate.name for candidate in found} == {"3-validation"}
    assert len(run.candidates) == 2 * 2 * len(found)
    # They are in no table: the grid is what it was.
    assert {student.replicate.validation for student in run.students} == {None}
    plain = run_of(choice=None, student={})
    assert [s.recipe for s in run.students] == [s.recipe for s in plain.students]
    assert plain.candidates == []


def test_students_are_told_where_their_settings_were_chosen() -> None:
    run = run_of()
    for student in run.students:
        (job,) = (
            told
            for told in run.cohort(student.target, "0", student.cohort).students
            if told.recipe == student.recipe.name
        )
        # Those of a source's architecture are trained as their sources were.
        own = student.recipe.architecture is None
        assert job.choice == (run.paths.choice(student.target, "0") if own else None)
        assert job.lam is None
    first = run.candidates[0]
    told = run.cohort("cyrillic", "0-validation", first.cohort).students[0]
    assert (told.learning_rate, told.lam, told.choice) == (0.003, 0.5, None)
    # The weights are those of the recipe that it is a candidate for.
    assert told.weights == run.paths.weights("cyrillic", "0-validation", "distill_weighted-p12")
    job = run.jobs.choice("cyrillic", "0")
    assert ChoiceJob.of(job.as_params()) == job
    assert job.deploy is None and job.candidates[0].lam == 0.5
    assert {c.lam for c in job.candidates if c.recipe == "in_fixmatch"} == {None}
    assert run.jobs.split("cyrillic", "0-validation").validation == 0.25
    assert run.jobs.split("cyrillic", "0").validation is None


def test_what_can_be_deployed() -> None:
    run = run_of()
    assert {method: recipe.name for method, recipe in run.deployable.items()} == {
        "distill_weighted": "distill_weighted-p12",
        "distill_nearest": "distill_weighted-pinf",
        "in_transfer": "in_transfer",
        "in_fixmatch": "in_fixmatch",
    }
    assert run_of(student={"deploy": "in_fixmatch"}).deployed_recipe == "in_fixmatch"
    assert run.deployed_recipe is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"choice": None}, "student.deploy: 'auto' needs validation images"),
        ({"student": {"deploy": "distil_weighted"}}, "did you mean 'distill_weighted'"),
        (
            {"student": {"deploy": "distill_inverse"}},
            "student.deploy: unknown trained method 'distill_inverse'",
        ),
        ({"choice": {"validation_fraction": 1}}, "choice.validation_fraction: 1"),
        ({"choice": {"lambda": [1]}}, "choice.lambda: unknown key; did you mean 'lambdas'"),
    ],
)
def test_messages(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        run_of(**changes)
    assert message in str(raised.value)


def test_validation_takes_its_share_of_every_class() -> None:
    labels = np.repeat([0, 1, 2], [8, 4, 1])
    kept = split_validation(labels, 0.25, seed=0)
    assert np.bincount(labels[kept], minlength=3).tolist() == [2, 1, 0]
    assert (split_validation(labels, 0.25, seed=0) == kept).all()
    assert (split_validation(labels, 0.25, seed=1) != kept).any()
    with pytest.raises(DataError, match="none can be kept for validation"):
        split_validation(np.arange(5), 0.5, seed=0)


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=8).filter(lambda c: max(c) > 2),
    st.floats(0.3, 0.9),
    st.integers(0, 5),
)
def test_validation_leaves_every_class_an_image(
    counts: list[int], fraction: float, seed: int
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    kept = split_validation(labels, fraction, seed=seed)
    assert (np.bincount(labels[~kept], minlength=len(counts)) >= 1).all()
    assert 0 < kept.sum() <= round(len(labels) * fraction) or kept.sum() == 1


def test_a_part_of_a_pool_reads_its_rows_in_their_order() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3)).astype(np.uint8)
    part = as_pool(images).part([4, 1])
    assert len(part) == 2
    np.testing.assert_array_equal(part.stack([1, 0]), images[[1, 4]])
    np.testing.assert_array_equal(part.load([0])[0], images[4])
    mean, std = part.channel_statistics()
    pixels = images[[4, 1]].reshape(-1, 3) / 255
    assert mean == pytest.approx(pixels.mean(axis=0).tolist())
    assert std == pytest.approx(pixels.std(axis=0).tolist())
