"""What a configuration's check says of a user's own targets, before any work."""

import pytest
from quirky import write, write_task

from distillweighted.workflow.config import ConfigError
from distillweighted.workflow.run import Run

SOURCES = [{"from": "trained", "architectures": ["alexnet_tiny"], "tasks": ["latin"]}]
MINE = {"name": "mine", "labeled": "labeled", "unlabeled": "unlabeled"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working directory, with an own task in it."""
    write_task(tmp_path, per_class=5)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_of(*targets, **changes):
    return Run.of({"name": "run", "targets": list(targets), "sources": SOURCES, **changes})


def problems_of(*targets, **changes):
    with pytest.raises(ConfigError) as caught:
        run_of(*targets, **changes)
    _, *lines = str(caught.value).split("\n")
    return [line.removeprefix("  - ") for line in lines]


def test_a_run_of_own_and_known_targets(folder):
    run = run_of(MINE, "cyrillic", probe={"size": 100})
    assert run.targets == ["mine", "cyrillic"]
    task = run.tasks["mine"]
    assert (task.num_classes, task.own, task.generated) == (2, True, False)
    assert task.sizes(run.config) == {"train_images": 11, "test_images": 2}
    assert task.view(run.config)["kind"] == "resized_crop" and task.image_size(run.config) == 224
    job = run.jobs.own_preparation("mine")
    assert job.spec["labeled"] == f"{folder}/labeled" and len(job.files) == 64
    assert type(job).of(job.as_params()) == job
    assert run.jobs.split("mine", "0").fraction is None
    assert run.jobs.split("cyrillic", "0").fraction == 0.2
    assert run.products.cells == [("mine", 0, None), ("cyrillic", 0, 0.2)]
    for target, fraction in (("mine", None), ("cyrillic", 0.2)):
        told = run.jobs.evaluation(run.student(target, "in_transfer", "0"))
        assert told.label_fraction == fraction and type(told).of(told.as_params()) == told
    assert "labels of mine as given, 20% of the training images labelled" in run.products.caption


def test_a_run_looks_at_the_images_anew(folder):
    before = run_of(MINE).jobs.own_preparation("mine").files
    write(folder / "labeled/c/1.png", 1)
    (line,) = problems_of(MINE)
    assert line.startswith("targets.0.labeled: 1 class has too few labelled images, 'c' (1), where")
    write(folder / "labeled/c/2.png", 2)
    write(folder / "labeled/c/3.png", 3)
    run = run_of(MINE)
    assert run.tasks["mine"].num_classes == 3
    assert run.jobs.own_preparation("mine").files != before


WRONG = {
    "neither": ({"name": "mine"}, "targets.0.labeled: missing (needed: the folder of the labelled"),
    "both": (
        {"name": "mine", "table": "t.csv", "unlabeled": "unlabeled"},
        "targets.0.unlabeled: the task has a table, which lists all its images (allowed: null, or",
    ),
    "known": ({**MINE, "name": "latin"}, "targets.0.name: 'latin' is a known task; give your own"),
    "no name": ({"labeled": "labeled"}, "targets.0.name: missing (needed: What the task is called"),
    "bad name": ({**MINE, "name": "a/b"}, "targets.0.name: 'a/b' is not allowed (allowed: What"),
    "colour": (
        {**MINE, "background": "whte"},
        "targets.0.background: 'whte' is no colour (allowed: a name of CSS such as white, or "
        "'#rrggbb')",
    ),
    "short colour": ({**MINE, "background": "#fff"}, "targets.0.background: '#fff' is no colour"),
    "unknown key": (
        {**MINE, "labelled": "x"},
        "targets.0.labelled: unknown key; did you mean 'lab",
    ),
    "broken": (
        {**MINE, "broken": "skip"},
        "targets.0.broken: 'skip' is not allowed (allowed: error, leave_out)",
    ),
    "side": (
        {**MINE, "side": 16},
        "targets.0.side: 16 is not allowed (allowed: a whole number from",
    ),
    "no folder": ({**MINE, "labeled": "none"}, "targets.0.labeled: '{}/none' is no folder"),
    "a number": (
        7,
        "targets.0: 7 is not allowed (allowed: text or a mapping with the keys name, la",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_an_own_target_is_told_by_its_key(name, folder):
    target, start = WRONG[name]
    (line,) = problems_of(target)
    assert line.startswith(start.format(folder)), line


def test_two_targets_of_one_name():
    (line,) = problems_of(MINE, {**MINE, "side": 64})
    assert line == "targets.1.name: 'mine' is another target already (allowed: every name once)"


def test_the_problems_of_several_targets_are_told_at_once(folder):
    (folder / "labeled/rose").mkdir()
    lines = problems_of(MINE, {"name": "other", "table": "none.csv"}, "nothing")
    keys = [line.split(": ")[0] for line in lines]
    assert keys == ["targets.2", "targets.0.labeled", "targets.1.table"]


def test_own_tasks_are_targets_and_nothing_else():
    sources = [{"from": "trained", "architectures": ["alexnet_tiny"], "tasks": ["mine"]}]
    (line,) = problems_of(MINE, sources=sources)
    assert line.startswith("sources.0.tasks.0: unknown task 'mine'")
    (line,) = problems_of(MINE, student={"initialization": "mine"})
    assert line.startswith("student.initialization: unknown start 'mine'")


def test_labels_that_are_given_have_no_other_fractions():
    (line,) = problems_of(MINE, training={"other_label_fractions": [0.5]})
    assert line == (
        "training.other_label_fractions: the labels of 'mine' are given, and are the same for "
        "every label fraction (allowed: [])"
    )
    # Nor does a fraction count that would leave nothing of them.
    assert run_of(MINE, training={"label_fraction": 0.01}).targets == ["mine"]


def test_without_unlabelled_images_distilling_needs_the_labelled_ones():
    alone = {"name": "mine", "labeled": "labeled"}
    assert problems_of(alone) == [
        "training.distill_labeled: target 'mine' has no unlabelled images to distil on; give some, "
        "or set this to true, which distils on the labelled ones",
        "baselines.in_fixmatch: FixMatch needs unlabelled images, and target 'mine' has none "
        "(allowed: false)",
    ]
    training, baselines = {"distill_labeled": True}, {"in_fixmatch": False}
    run = run_of(alone, training=training, baselines=baselines)
    assert run.tasks["mine"].sizes(run.config) == {"train_images": 8, "test_images": 2}


def test_without_unlabelled_images_transfer_alone_needs_no_more():
    alone = {"name": "mine", "labeled": "labeled"}
    off = {"distill_single": False, "distill_inverse": False, "distill_random_weights": 0}
    off |= {"distill_weighted": []}
    baselines = {"in_fixmatch": False, "source_architectures": []}
    student = {"deploy": "in_transfer"}
    run = run_of(alone, methods=off, baselines=baselines, student=student)
    assert [s.recipe.name for s in run.students] == ["in_transfer"]
    # A student on a linear probe's labels is distilled too.
    (line,) = problems_of(
        alone, methods=off, baselines={**baselines, "probe_labels": True}, student=student
    )
    assert line.startswith("training.distill_labeled: target 'mine' has no unlabelled images")


def test_a_probe_holds_every_class_of_an_own_target(folder):
    for label in "cdef":
        for n in range(3):
            write(folder / "labeled" / label / f"{n}.png", 1)
    (line,) = problems_of(MINE, probe={"size": 4})
    assert line.startswith("probe.size: 4 is smaller than the 6 classes of target 'mine'")
