"""A target of a user's own, through the rules: its folder, its configuration, what is redone."""

import copy
import os
import shutil

import yaml
from quirky import write, write_task
from tiny_workflow import CONFIG, ROOT, Workflow

SNAKEFILE = str(ROOT / "Snakefile")
OWN = copy.deepcopy(CONFIG)
OWN["targets"] = [{"name": "mine", "labeled": "my photos/labeled", "unlabeled": "my photos/new"}]
OWN["images"] = {"size": 32}


def prepared(folder):
    """A workflow's folder with a configuration in conf/, and images beside that file."""
    photos = folder / "conf/my photos"
    write_task(photos, per_class=6, unlabeled=4)
    (photos / "unlabeled").rename(photos / "new")
    (folder / "conf/own.yaml").write_text(yaml.safe_dump(OWN))
    (folder / "work").mkdir()
    return Workflow(folder)


def asked(workflow, *arguments):
    """What a run prints that is told the configuration, from another working directory."""
    where = ["-s", SNAKEFILE, "-d", "work", "--configfile", "conf/own.yaml"]
    return workflow.snakemake(*arguments, *where)


def test_an_own_target_is_prepared_and_split_and_redone_where_its_images_change(tmp_path):
    workflow = prepared(tmp_path)
    done = asked(workflow, "splits")
    assert done.returncode == 0, done.stdout + done.stderr
    results = tmp_path / "work/results/tiny"
    split = (results / "splits/mine/seed0.csv").read_text()
    assert [split.count(part) for part in ('"labeled"', '"unlabeled"', '"test"')] == [10, 4, 2]
    assert len((results / "splits/mine/seed0_labeled.csv").read_text().splitlines()) == 11

    def planned(*arguments):
        done = asked(workflow, "splits", "-n", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    # A system's own files change nothing, a changed image does.
    (tmp_path / "conf/my photos/labeled/.DS_Store").write_text("x")
    assert "Nothing to be done" in planned()
    os.utime(tmp_path / "conf/my photos/labeled/a/0.png", (1, 1))
    assert "rule prepare_own_task:" in planned()
    # What --config says is relative to the working directory.
    write_task(tmp_path / "work/others", per_class=4)
    others = "targets=[{name: mine, labeled: others/labeled, unlabeled: others/unlabeled}]"
    assert "rule prepare_own_task:" in planned("--config", others)


def test_the_whole_run_is_planned_and_a_flaw_stops_it_before_any_work(tmp_path):
    workflow = prepared(tmp_path)
    done = asked(workflow, "-n")
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    for rule in ("prepare_own_task", "split_target", "infer_sources", "train_students", "report"):
        assert f"rule {rule}:" in text
    assert "results/tiny/students/mine/in_transfer/seed0/metrics.json" in text
    write(tmp_path / "conf/my photos/labeled/stray.png", 1)
    (tmp_path / "conf/my photos/labeled/rose").mkdir()
    done = asked(workflow)
    text = done.stdout + done.stderr
    assert done.returncode != 0 and "Traceback" not in text
    assert "targets.0.labeled: 1 image without a class directly in " in text
    assert "targets.0.labeled: class folders without an image: 'rose'; put images there" in text
    assert not (tmp_path / "work/results").exists()


def test_a_student_without_unlabelled_images_is_planned_or_says_what_to_do(tmp_path):
    """Nothing is made here: training and handing over such a student is for the rules' tests."""
    workflow = prepared(tmp_path)
    shutil.rmtree(tmp_path / "conf/my photos/new")
    alone = copy.deepcopy(OWN) | {"targets": [{"name": "mine", "labeled": "my photos/labeled"}]}
    configuration = tmp_path / "conf/own.yaml"
    configuration.write_text(yaml.safe_dump(alone))
    done = asked(workflow, "student")
    text = done.stdout + done.stderr
    assert done.returncode != 0 and "Traceback" not in text
    assert (
        "training.distill_labeled: target 'mine' has no unlabelled images to distil on; give some, "
        "or set this to true, which distils on the labelled ones" in text
    )
    assert "baselines.in_fixmatch: FixMatch needs unlabelled images, and target 'mine' has" in text
    assert not (tmp_path / "work/results").exists()
    alone["training"]["distill_labeled"], alone["baselines"] = True, {"in_fixmatch": False}
    configuration.write_text(yaml.safe_dump(alone))
    done = asked(workflow, "student", "-n")
    assert done.returncode == 0, done.stdout + done.stderr
    for rule in ("train_students", "export_student", "compare_methods", "describe_student"):
        assert f"rule {rule}:" in done.stdout + done.stderr


def test_broken_images_stop_the_preparation_by_name(tmp_path):
    workflow = prepared(tmp_path)
    for name in ("labeled/a/0.png", "new/1.png"):
        (tmp_path / "conf/my photos" / name).write_bytes(b"")
    done = asked(workflow, "splits")
    text = done.stdout + done.stderr
    assert done.returncode != 0
    assert "mine: 2 images cannot be read:" in text and "'unlabeled/1.png': it is empty" in text
    assert "set `broken: leave_out`" in text
