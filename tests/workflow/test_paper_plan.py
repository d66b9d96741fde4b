"""The paper's grid without its data: a plan can be made, work cannot start.

Plans of hundreds of students take long. Their counts are those of golden_plan.json, which
`test_golden_plan.py` compares with what Snakemake plans: some in every run of the tests, the others
in those of `make test-slow`. What the library plans is compared with all of them here.
"""

import json
from pathlib import Path

import pytest
from tiny_workflow import ROOT

from distillweighted.workflow.run import Run

GOLDEN = json.loads((Path(__file__).parent / "golden_plan.json").read_text())


def planned(*configs):
    """How many jobs of each rule Snakemake plans."""
    return {rule: int(jobs.split()[0]) for rule, jobs in GOLDEN[" ".join(configs)].items()}


@pytest.mark.parametrize("configs", GOLDEN)
def test_the_library_plans_as_many_jobs_as_snakemake(configs):
    run, jobs = Run.read(*(ROOT / path for path in configs.split())), planned(*configs.split())
    students = [*run.students, *run.candidates]
    assert jobs["store_student"] == len(students)
    cohorts = {(s.target, s.replicate.name, s.cohort) for s in students}
    assert jobs["train_students"] == len(cohorts)
    assert jobs["store_inference"] == sum(len(run.admissible(target)) for target in run.targets)
    trained, loaded = (len(run.names_of_kind(kind)) for kind in ("trained", "loaded"))
    assert (jobs.get("train_source", 0), jobs.get("load_source", 0)) == (trained, loaded)


def test_the_demo_and_the_mini_paper_have_the_sizes_that_the_readme_states():
    assert planned("config.yaml")["store_student"] == 51
    # 11 targets x 28 sources + 1 x 24, and 8 baselines of source architectures, with 3 seeds; in
    # the 7 other seeds the nearest source alone.
    singles = 11 * 28 + 24
    expected = 3 * (singles + 12 * 8) + 7 * 12
    # Finite p, inverse, random weights, baselines, controls, another lambda: 10 seeds.
    expected += 10 * 12 * (7 + 1 + 1 + 3 + 4 + 1)
    assert expected == 3408
    assert planned("configs/mini_paper.yaml")["store_student"] == expected


def test_the_plan_has_the_papers_counts():
    jobs = planned("configs/paper.yaml")
    # 28 sources and 5 initialisations; 5 targets x 24 sources + 3 x 28.
    assert jobs["load_source"] == 33
    assert jobs["store_inference"] == 204
    assert jobs["prepare_data_set"] == jobs["split_target"] == jobs["score_similarity"] == 8
    # For each target: 204 singles in all; 7 values of p (infinity is a single), Inverse, 3 random
    # draws, transfer and FixMatch, and transfer and fine-tuning of 4 source architectures.
    assert jobs["store_student"] == 204 + 8 * (7 + 1 + 3 + 2 + 2 * 4)
    assert "train_source" not in jobs and "prepare_task" not in jobs


@pytest.mark.parametrize(
    ("addition", "singles", "others"),
    [
        # Its own architecture's transfer is the student's; fine-tuning is that of one architecture.
        ("resnet50", 204, 8 * (7 + 1 + 3 + 2 + 1)),
        ("resnet50_nearest", 204, 8 * (7 + 1 + 3 + 1)),
        ("fewer_labels", 3 * 204, 3 * 8 * (7 + 1 + 3 + 2 + 2 * 4)),
    ],
)
def test_the_supplements_plans(addition, singles, others):
    jobs = planned("configs/paper.yaml", f"configs/supplement/{addition}.yaml")
    assert jobs["store_student"] == singles + others
    assert jobs["store_inference"] == 204  # label fractions share the sources' outputs


def test_less_memory_trains_the_same_students_one_by_one():
    jobs = planned("configs/paper.yaml", "configs/supplement/less_memory.yaml")
    assert jobs["train_students"] == jobs["store_student"] == 372


def test_trained_sources_start_from_imagenet():
    jobs = planned("configs/paper.yaml", "configs/supplement/trained_sources.yaml")
    # Caltech-101 and VOC2007 are now needed too; ImageNet weights of 5 architectures.
    assert (jobs["train_source"], jobs["load_source"], jobs["prepare_data_set"]) == (28, 5, 10)


def test_vtab_has_eleven_targets_and_a_table_of_its_groups():
    jobs = planned("configs/vtab.yaml")
    assert jobs["store_inference"] == 11 * 28 - 2 * 4
    assert jobs["table_target_groups"] == 1


def test_what_is_missing_is_one_error_before_any_work(fresh):
    # These need all data and models; the students, of which there are hundreds, need no more.
    done = fresh.snakemake("ranking", "splits", "--configfile", "configs/paper.yaml")
    text = done.stdout + done.stderr
    assert done.returncode != 0
    for place in ("data/cifar-10-batches-py", "data/nabirds", "data/stanford_dogs/Images"):
        assert place in text
    assert "checkpoints/models/resnet50/resnet50_voc2007.pth" in text
    assert "checkpoints/torchvision/mobilenet_v3_large.pth" in text
    assert "docs/data.md" in text and "Traceback" not in text
    assert not (fresh.folder / "results/paper/logs").exists()
