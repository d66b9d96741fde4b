"""The DAG behaves: what runs, what does not run again, and that nothing depends on order."""

import copy
import json
import os
import re

import pandas as pd
import pytest
from tiny_workflow import CONFIG, ROOT, Workflow, copy_workflow

STUDENTS = {
    "distill_single-alexnet_tiny_lesions_a",
    "distill_single-alexnet_tiny_mosaics_a",
    "distill_single-alexnet_tiny_textures_a",
    "distill_weighted-p0",
    "distill_weighted-p12",
    "distill_inverse",
    "distill_random_weights-draw0",
    "in_transfer",
    "in_fixmatch",
    "in_transfer-alexnet_tiny",
    "finetune_selected_source-alexnet_tiny",
}


def inodes(workflow):
    """Identity of every student's model file: a student that is kept keeps its file."""
    paths = (workflow.results / "students/lesions_b").glob("*/seed0/model.safetensors")
    return {path.parent.parent.name: path.stat().st_ino for path in paths}


def test_one_command_makes_every_product(finished):
    results = finished.results
    assert set(inodes(finished)) == STUDENTS
    tables = {path.stem for path in (results / "tables").glob("*.csv")}
    assert tables >= {
        "accuracy",
        "table1_accuracy",
        "table1_standard_error",
        "table1_paired",
        "table1_paired_targets",
        "all_methods",
        "table1_random_selection",
        "comparison_paired",
        "table2_correlation",
        "table2_intervals",
        "table2_other_coefficients",
        "table2_differences",
        "table2_noise_ceiling",
        "table3_relative_accuracy",
        "table3_other_k",
        "table3_regret",
        "comparison_with_paper",
    }
    figures = {path.name for path in (results / "figures").iterdir()}
    stems = "fig1_weightings fig3_single_source fig4_similarity_vs_accuracy "
    stems += "fig5_accuracy_vs_compute fig6_effect_of_p"
    assert figures == {stem + end for stem in stems.split() for end in (".png", ".pdf")}
    report = (results / "report.html").read_text()
    for item in ("Table 1", "Figure 6", "Exclusions", "Versions"):
        assert item in report
    # It opens on the answer, a picture in it, and no caption is left unfilled.
    (page,) = re.findall(r"var workflow_desc = (.*);\n", report)
    best, strength = (results / "answer.txt").read_text().splitlines()[:2]
    assert strength.startswith("One seed and one target: an illustration, no evidence.")
    assert best in json.loads(page) and strength in json.loads(page)
    assert json.loads(page).count('src="data:image/png;base64,') == 1
    # Training folders are temporary.
    assert not list((results / "students/lesions_b/.cohorts").rglob("*.safetensors"))


def test_tables_hold_what_students_measured(finished):
    results = finished.results
    accuracy = pd.read_csv(results / "tables/accuracy.csv").set_index("recipe")
    table1 = pd.read_csv(results / "tables/table1_accuracy.csv").set_index(["student", "method"])
    truth = pd.read_csv(results / "data/lesions_b/labels.csv").set_index("image")["label"]
    for recipe in STUDENTS:
        folder = results / "students/lesions_b" / recipe / "seed0"
        predictions = pd.read_csv(folder / "predictions.csv")
        right = (truth[predictions["image"]].to_numpy() == predictions["predicted"]).mean()
        metrics = json.loads((folder / "metrics.json").read_text())
        assert metrics["accuracy"] == pytest.approx(100 * right)
        assert accuracy.loc[recipe, "accuracy"] == pytest.approx(100 * right)
        assert metrics["n_labeled"] == 60 and metrics["n_unlabeled"] == 240
    cell = table1.loc[("convnet_tiny", "distill_weighted"), "lesions_b"]
    assert cell == pytest.approx(accuracy.loc["distill_weighted-p12", "accuracy"])
    weights = pd.read_csv(results / "weights/lesions_b/seed0/distill_weighted-pinf.csv")
    nearest = weights.set_index("source")["weight"].idxmax()
    assert table1.loc[("convnet_tiny", "distill_nearest"), "lesions_b"] == pytest.approx(
        accuracy.loc[f"distill_single-{nearest}", "accuracy"]
    )


def test_a_second_run_does_nothing(finished):
    assert finished.plan() == {}


def test_a_new_p_trains_only_the_new_student_and_a_removed_one_comes_out_the_same(finished):
    """Both in one: each run that ends makes the tables, figures and report anew."""
    before = inodes(finished)
    config = copy.deepcopy(CONFIG)
    config["methods"]["distill_weighted"].append(6)
    finished.configure(config)
    assert finished.plan("students")["train_students"] == 1
    finished.run("students")
    after = inodes(finished)
    new = after.pop("distill_weighted-p6")
    assert after == before
    assert new not in before.values()
    finished.configure(CONFIG)
    model = finished.results / "students/lesions_b/distill_weighted-p12/seed0/model.safetensors"
    content = model.read_bytes()
    model.unlink()
    finished.run()
    after = inodes(finished)
    assert after.pop("distill_weighted-p6") == new
    assert {name for name in before if before[name] != after[name]} == {"distill_weighted-p12"}
    assert model.read_bytes() == content
    assert finished.plan() == {}


@pytest.mark.parametrize(
    ("file", "stamp"),
    [
        ("splits/lesions_b/seed0_labeled.csv", "seed0"),
        ("inference/lesions_b/alexnet_tiny_textures_a.safetensors", "sources"),
    ],
)
def test_a_file_that_students_name_by_a_stamp_trains_them_again(finished, file, stamp):
    """Even where a kill came when the stamp had been made anew, and the students had not."""
    file, stamp = finished.results / file, finished.results / f"students/lesions_b/.stamps/{stamp}"
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (file, stamp)}
    content = bytearray(before[file][0])
    content[-1] ^= 1
    try:
        file.write_bytes(content)
        finished.run(stamp.relative_to(finished.folder))
        planned = finished.plan("students")
    finally:
        for path, (bytes_before, time) in before.items():
            path.write_bytes(bytes_before)
            os.utime(path, ns=(time, time))
    assert planned["store_student"] == len(STUDENTS)
    assert not any(rule.startswith("stamp_") for rule in planned)


def test_students_are_evaluated_where_a_kill_left_their_training_folder(finished):
    """Training is then forced; inputs that are `ancient` and there would not hand that on."""
    names = ("distill_single-0", "others-0", "others-1")
    folders = [finished.results / f"students/lesions_b/.cohorts/seed0/{name}" for name in names]
    metrics = finished.results / "students/lesions_b/in_transfer/seed0/metrics.json"
    metrics.rename(metrics.with_suffix(".aside"))
    for folder in folders:
        folder.mkdir(parents=True)
    try:
        planned = finished.plan("tables", "--forcerun", "train_students")
    finally:
        metrics.with_suffix(".aside").rename(metrics)
        for folder in folders:
            folder.rmdir()
    assert planned["train_students"] == len(folders)
    assert planned["store_student"] == len(STUDENTS)
    assert planned["collect_accuracy"] == 1


def test_a_change_trains_again_though_a_failure_left_the_evaluated_cohort(finished):
    """The folder of the training is gone then; the other one was made from old things."""
    folder = finished.results / "students/lesions_b/.cohorts/evaluated/seed0/others-0"
    folder.mkdir(parents=True)
    config = copy.deepcopy(CONFIG)
    config["training"]["lambda"] = 0.5
    finished.configure(config)
    try:
        planned = finished.plan("students")
    finally:
        finished.configure(CONFIG)
        folder.rmdir()
    assert planned["train_students"] == planned["evaluate_students"] == 3
    assert planned["store_student"] == len(STUDENTS)


def test_another_checkpoint_interval_trains_nothing_again(finished):
    config = copy.deepcopy(CONFIG)
    config["training"]["checkpoint_minutes"] = 3
    finished.configure(config)
    assert set(finished.plan()) == {"describe_run", "report", "all"}
    finished.configure(CONFIG)


def test_editing_a_module_reruns_what_depends_on_it(finished):
    library = finished.folder / "workflow_scripts/distillweighted"
    modules = ("analysis/figures/fig1_weightings.py", "weights.py", "losses.py")
    originals = {library / module: (library / module).read_text() for module in modules}

    def planned(addition, *paths):
        try:
            for path in paths:
                path.write_text(originals[path] + addition)
            return set(finished.plan())
        finally:
            for path in paths:
                path.write_text(originals[path])

    assert planned("\n# a comment\n", *originals) == set()
    figure, weights, losses = (planned("\n_ADDED = 1\n", path) for path in originals)
    assert figure == {"fig1_weightings", "answer", "report", "all"}
    assert {"compute_weights", "train_students", "collect_accuracy"} <= weights
    assert not weights & {"train_source", "infer_sources", "score_similarity", "prepare_task"}
    assert {"train_source", "train_students"} <= losses
    assert not losses & {"prepare_task", "split_target"}
    assert finished.plan() == {}


def test_labels_that_must_stay_hidden_are_no_inputs_of_training(finished):
    done = finished.snakemake(
        "students", "-n", "--configfile", "tiny.yaml", "--forcerun", "train_students"
    )
    blocks = re.findall(r"rule train_students:\n\s+input: (.*)", done.stdout + done.stderr)
    assert blocks
    for inputs in blocks:
        assert "labels.csv" not in inputs
        assert "seed0_labeled.csv" in inputs
    labeled = pd.read_csv(finished.results / "splits/lesions_b/seed0_labeled.csv")
    split = pd.read_csv(finished.results / "splits/lesions_b/seed0.csv").set_index("image")
    assert set(split.loc[labeled["image"], "split"]) == {"labeled"}
    assert len(labeled) == 60


@pytest.mark.parametrize(
    "target",
    ["splits", "sources", "inference", "similarity", "weights", "ranking", "students", "tables"],
)
def test_named_targets_stop_at_their_stage(fresh, target):
    planned = fresh.plan(target)
    later = {"students": "collect_accuracy", "tables": "fig1_weightings"}
    later |= {"splits": "train_source", "sources": "infer_sources"}
    later |= {"inference": "score_similarity", "similarity": "compute_weights"}
    later |= {"weights": "train_students", "ranking": "train_students"}
    assert later[target] not in planned
    assert planned[target] == 1


def test_a_figure_can_be_asked_for_by_name(fresh):
    planned = fresh.plan("fig6_effect_of_p")
    assert planned["fig6_effect_of_p"] == 1
    assert "fig1_weightings" not in planned and "report" not in planned


def test_growth_brings_its_students_a_table_and_a_figure(fresh):
    config = copy.deepcopy(CONFIG)
    config["methods"] = {"distill_single": False, "distill_weighted": [12, float("inf")]}
    config["methods"] |= {"distill_inverse": False, "distill_random_weights": 0}
    config["baselines"] = {"in_fixmatch": False, "source_architectures": []}
    fresh.configure(config)
    plain = fresh.plan("students")
    assert plain["store_student"] == 3  # transfer, p = 12 and p = inf
    for change, target, more in (
        (("methods", "distill_subset_sizes", [1, 2]), "growth_sources", 2),
        (("training", "other_label_fractions", [0.1, 0.5]), "growth_labels", 6),
        (("student", "other_architectures", ["convnet_tiny_x2"]), "growth_students", 3),
    ):
        section, key, value = change
        fresh.configure({**config, section: {**config.get(section, {}), key: value}})
        planned = fresh.plan(target)
        assert planned[target] == planned["collect_accuracy"] == 1
        assert planned["store_student"] == 3 + more
        # The start of another student is trained too.
        assert planned["train_source"] == 4 + (target == "growth_students")
        assert "report" not in planned


def test_cohort_one_is_a_job_a_student(fresh):
    config = copy.deepcopy(CONFIG)
    config["training"]["cohort"] = 1
    fresh.configure(config)
    planned = fresh.plan("students")
    assert planned["train_students"] == planned["store_student"] == len(STUDENTS)


def test_rules_that_choose_weights_bring_their_students_and_a_table(fresh):
    config = copy.deepcopy(CONFIG)
    config["methods"] |= {"distill_auto_p": True, "distill_top_k": [2]}
    fresh.configure(config)
    planned = fresh.plan("choice_of_weights")
    assert planned["store_student"] == len(STUDENTS) + 2 == 13
    # Of p = 0, 12 and infinity, Inverse, random weights, the fine-tuned source, and the new two.
    assert planned["compute_weights"] == 8
    assert planned["choice_of_weights"] == 1 and "choose_settings" not in planned
    # With a choice, all but the two students of source architectures have a candidate.
    config["choice"] = {}
    fresh.configure(config)
    planned = fresh.plan("choice_of_weights")
    assert planned["store_student"] == 13 + 11
    assert planned["compute_weights"] == 8 + 6  # no nearest or fine-tuned source is looked for
    assert planned["choose_settings"] == planned["choice_of_weights"] == 1


def with_views(count=4):
    config = copy.deepcopy(CONFIG)
    config["methods"]["distill_views"] = True
    config["inference"]["views"] = count
    return config


def test_sources_are_asked_about_views_where_a_student_learns_from_them(fresh):
    without = fresh.plan("students")
    assert not {rule for rule in without if "views" in rule}
    fresh.configure(with_views())
    planned = fresh.plan("students")
    # Cohorts of two of the three sources; a student more, its weights, and a cohort that it fills.
    assert (planned.pop("infer_views"), planned.pop("store_views")) == (2, 3)
    for rule in ("store_student", "compute_weights", "train_students", "evaluate_students"):
        planned[rule] -= 1
    assert planned == without
    assert fresh.plan("inference")["store_views"] == 3


def test_for_a_student_of_views_sources_are_asked_and_nothing_else_is_done_than_for_another(
    finished,
):
    config, planned = with_views(), []
    other = copy.deepcopy(CONFIG)
    other["methods"]["distill_standardized"] = True
    try:
        for changed in (config, other):
            finished.configure(changed)
            planned.append(finished.plan("students"))
    finally:
        finished.configure(CONFIG)
    assert planned[0] == {**planned[1], "infer_views": 2, "store_views": 3}
    assert planned[1]["compute_weights"] == 1 and "infer_sources" not in planned[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("training", "lambda", 1.5), "training.lambda: 1.5"),
        (("targets", None, ["lesions_x"]), "did you mean 'lesions_"),
        (("probe", "size", 4), "probe.size: 4 is smaller than the 6 classes"),
    ],
)
def test_a_bad_configuration_stops_before_any_work(fresh, change, message):
    config = copy.deepcopy(CONFIG)
    section, key, value = change
    if key is None:
        config[section] = value
    else:
        config.setdefault(section, {})[key] = value
    fresh.configure(config)
    done = fresh.snakemake("--configfile", "tiny.yaml")
    text = done.stdout + done.stderr
    assert done.returncode != 0
    assert message in text
    assert "Traceback" not in text
    assert not fresh.results.exists()


@pytest.mark.parametrize("profile", ["workstation", "slurm"])
def test_profiles_parse(fresh, profile):
    done = fresh.snakemake(
        "-n", "--quiet", "rules", "--configfile", "tiny.yaml", "--profile", f"profiles/{profile}"
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_jobs_ask_for_resources_by_the_sizes_in_the_configuration(fresh):
    def asked(config):
        fresh.configure(config)
        done = fresh.snakemake("students", "-n", "--configfile", "tiny.yaml")
        assert done.returncode == 0, done.stdout + done.stderr
        blocks = re.findall(r"(?m)^rule (\w+):\n(?:    .*\n)*?    resources: (.*)", done.stdout)
        found = {}
        for rule, text in blocks:
            values = dict(pair.split("=", 1) for pair in text.split(", "))
            if "mem_mb" in values:
                found.setdefault(rule, []).append(values)
        return {rule: max(jobs, key=lambda job: int(job["mem_mb"])) for rule, jobs in found.items()}

    small = asked(CONFIG)
    config = copy.deepcopy(CONFIG)
    config["device"] = "cuda"
    config["embedded"]["image_size"] = 56
    config["training"] |= {"steps": 1000, "labeled_batch": 32, "unlabeled_batch": 64}
    large = asked(config)
    training = large["train_students"]
    # Base, outputs of 300 images; 96 images at once and 4 students, a sixteenth of 224 x 224.
    assert int(training["mem_mb"]) == 1500 + 15 + (80 * 96 + 400 * 4) / 16
    # 20 ms on a GPU for a full image, and 150 are for testing.
    assert int(training["runtime"]) == 10 + round(4 * (1000 * 96 + 150) * 0.02 / 16 / 60)
    assert training["gpu"] == large["train_source"]["gpu"] == large["infer_sources"]["gpu"] == "1"
    assert small["train_students"]["gpu"] == "0"
    assert "gpu" not in large["store_student"]
    for rule in ("train_source", "infer_sources", "train_students"):
        assert int(small[rule]["mem_mb"]) < int(large[rule]["mem_mb"])


@pytest.mark.slow
def test_the_tables_do_not_depend_on_cores_or_cohorts(finished, tmp_path):
    config = copy.deepcopy(CONFIG)
    config["training"]["cohort"] = 1
    alone = copy_workflow(tmp_path)
    alone.configure(config)
    alone.run("tables", cores=1)
    for name in ("accuracy", "table1_accuracy", "table2_correlation", "table3_relative_accuracy"):
        path = f"tables/{name}.csv"
        assert (alone.results / path).read_bytes() == (finished.results / path).read_bytes()
    for path in (finished.results / "students").glob("*/*/seed0/model.safetensors"):
        twin = alone.results / path.relative_to(finished.results)
        assert twin.read_bytes() == path.read_bytes()


def test_the_workflow_passes_its_own_lint():
    done = Workflow(ROOT).snakemake("--lint")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_finished_run_hands_its_student_over_and_trains_nothing_for_that(finished):
    printed = finished.run("student")
    # Its page has the ranking, for which the student's start is asked too.
    jobs = ("infer_sources", "store_inference", "rank_sources")
    jobs += ("export_student", "compare_methods", "describe_student", "student")
    for rule in jobs:
        assert re.search(rf"^{rule} +1$", printed, re.MULTILINE), rule
    assert re.search(rf"^total +{len(jobs)}$", printed, re.MULTILINE)
    assert finished.plan("student") == {}
    folder = finished.results / "student/lesions_b"
    accuracy = pd.read_csv(finished.results / "tables/accuracy.csv").set_index("recipe")
    table = pd.read_csv(folder / "comparison.csv").set_index("method")
    own = table.loc["distill_weighted"]
    assert own["deployed"]
    wanted = accuracy.loc["distill_weighted-p12", "accuracy"]
    assert own["accuracy"] == pytest.approx(wanted)
    command = "- command: snakemake --cores all student --configfile tiny.yaml"
    assert command in (folder / "model_card.md").read_text()
