"""The paper's grid without its data: a plan can be made, work cannot start."""

import pytest
from tiny_workflow import ROOT, copy_workflow

from distillweighted.workflow.run import Run

TARGETS = ("cifar10", "cub200", "chestx", "eurosat", "isic", "nabird", "oxford_pets")
TARGETS += ("stanford_dogs",)


@pytest.fixture(scope="module")
def workflow(tmp_path_factory):
    return copy_workflow(tmp_path_factory.mktemp("paper"))


def test_the_plan_has_the_papers_counts(workflow):
    jobs = workflow.plan(configfiles=["configs/paper.yaml"])
    # 28 sources and 5 initialisations; 5 targets x 24 sources + 3 x 28.
    assert jobs["load_source"] == 33
    assert jobs["infer_source"] == 204
    assert jobs["prepare_data_set"] == jobs["split_target"] == jobs["score_similarity"] == 8
    # For each target: 204 singles in all; 7 values of p (infinity is a single), Inverse, 3 random
    # draws, transfer and FixMatch, and transfer and fine-tuning of 4 source architectures.
    assert jobs["evaluate_student"] == 204 + 8 * (7 + 1 + 3 + 2 + 2 * 4)
    assert "train_source" not in jobs and "prepare_task" not in jobs


@pytest.mark.parametrize(
    ("addition", "singles", "others"),
    [
        # Its own architecture's transfer is the student's; fine-tuning is that of one architecture.
        ("resnet50", 204, 8 * (7 + 1 + 3 + 2 + 1)),
        ("resnet50_nearest", 204, 8 * (7 + 1 + 3 + 1)),
    ],
)
def test_the_supplements_plans(workflow, addition, singles, others):
    files = ["configs/paper.yaml", f"configs/supplement/{addition}.yaml"]
    jobs = workflow.plan(configfiles=files)
    assert jobs["evaluate_student"] == singles + others
    assert jobs["infer_source"] == 204


def test_less_memory_trains_the_same_students_one_by_one_and_fewer_labels_thrice_as_many(workflow):
    """Each alone as the library plans it, and both in one plan of Snakemake's, which takes long."""
    students = 204 + 8 * (7 + 1 + 3 + 2 + 2 * 4)
    more, little = (f"configs/supplement/{name}.yaml" for name in ("fewer_labels", "less_memory"))
    files = {name: [ROOT / "configs/paper.yaml", ROOT / name] for name in (more, little)}
    fewer_labels, less_memory = (Run.read(*files[name]).students for name in (more, little))
    cohorts = {(s.target, s.replicate.name, s.cohort) for s in less_memory}
    assert len(cohorts) == len(less_memory) == students
    assert len(fewer_labels) == 3 * students
    jobs = workflow.plan(configfiles=["configs/paper.yaml", more, little])
    assert jobs["train_students"] == jobs["evaluate_student"] == 3 * students
    assert jobs["infer_source"] == 204  # label fractions share the sources' outputs


def test_trained_sources_start_from_imagenet(workflow):
    files = ["configs/paper.yaml", "configs/supplement/trained_sources.yaml"]
    jobs = workflow.plan(configfiles=files)
    # Caltech-101 and VOC2007 are now needed too; ImageNet weights of 5 architectures.
    assert (jobs["train_source"], jobs["load_source"], jobs["prepare_data_set"]) == (28, 5, 10)


def test_vtab_has_eleven_targets_and_a_table_of_its_groups(workflow):
    jobs = workflow.plan(configfiles=["configs/vtab.yaml"])
    assert jobs["infer_source"] == 11 * 28 - 2 * 4
    assert jobs["table_target_groups"] == 1


def test_what_is_missing_is_one_error_before_any_work(workflow):
    # These need all data and models; the students, of which there are hundreds, need no more.
    done = workflow.snakemake("ranking", "splits", "--configfile", "configs/paper.yaml")
    text = done.stdout + done.stderr
    assert done.returncode != 0
    for place in ("data/cifar-10-batches-py", "data/nabirds", "data/stanford_dogs/Images"):
        assert place in text
    assert "checkpoints/models/resnet50/resnet50_voc2007.pth" in text
    assert "checkpoints/torchvision/mobilenet_v3_large.pth" in text
    assert "docs/data.md" in text and "Traceback" not in text
    assert not (workflow.folder / "results/paper/logs").exists()
