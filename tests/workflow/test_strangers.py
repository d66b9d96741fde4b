"""The real workflow on data sets and checkpoints with hostile names, and what a change redoes."""

import copy
import csv
import json
import os
import re

import pytest
import yaml
from miniature.bank import write_bank
from miniature.pictures import make_picture, save_jpeg
from tiny_workflow import Workflow, copy_workflow

pytestmark = pytest.mark.slow

NAMES = [
    "plain",
    'it\'s "quoted" and `touch pwned`',
    "; touch pwned;",
    "$(touch pwned) ${HOME} $x_1^2 100% & #{}~",
    "new\nline",
    "carriage\rreturn",
    "<script>alert(1)<script>",
    "<img src=x onerror=alert(1)>",
    "=1+1",
    "-rf",
    "a,b",
    "{wildcards.task} {0} %s %(x)d",
    "日本 ünïcode 😀",
    "NA",
    " blank ",
    "*?[x]|>y",
]
ROOT_NAME = 'it\'s a "root"; $(touch pwned) & é'
GROUP = "Wälder & 100% (a, b) 'c'"
SHUFFLENET = "shufflenet_v2_x0_5"
CONFIG = {
    "name": "strangers",
    "seeds": [0],
    "device": "cpu",
    "data_root": f"{ROOT_NAME}/data",
    "models_root": f"{ROOT_NAME}/models",
    "embedded": {"seed": 5, "image_size": 32, "source_images": 150, "test_images": 150},
    "images": {"size": 32, "check_counts": False},
    "targets": ["eurosat"],
    "sources": [
        {
            "from": "trained",
            "architectures": ["alexnet_tiny"],
            "tasks": ["caltech101", "textures_a"],
        },
        {"from": "bank", "architectures": [SHUFFLENET], "tasks": ["cub200"]},
    ],
    "similarity": {"weighting": {"fallback": "equal"}},
    "methods": {"distill_weighted": [0, 12], "distill_random_weights": 0, "distill_inverse": False},
    "baselines": {"source_architectures": [], "in_fixmatch": False},
    "student": {"initialization": "random"},
    "figures": {"target_groups": [{"name": GROUP, "targets": ["eurosat"]}], "bootstrap": 20},
    "training": {
        "label_fraction": 0.5,
        "steps": 6,
        "labeled_batch": 8,
        "unlabeled_batch": 16,
        "sources": {"steps": 6, "batch_size": 16, "generalist_steps": 6},
    },
}


def write_class_folders(folder, task):
    for label, name in enumerate(NAMES):
        for index in range(8):
            pixels = make_picture(task, label, index, height=40, width=40, seed=0)
            save_jpeg(folder / name / f"{name}_{index}.jpg", pixels)


@pytest.fixture(scope="module")
def strangers(tmp_path_factory) -> Workflow:
    """A finished run; tests that change it leave it finished."""
    workflow = copy_workflow(tmp_path_factory.mktemp("strangers"))
    workflow.configure(CONFIG)
    root = workflow.folder / ROOT_NAME
    write_class_folders(root / "data/eurosat/2750", "eurosat")
    write_class_folders(root / "data/caltech101/101_ObjectCategories", "caltech101")
    write_bank(root / "models", architectures=[SHUFFLENET], class_counts={"cub200": 200})
    workflow.run()
    return workflow


def column(path, name):
    with open(path, encoding="utf-8", newline="") as file:
        return [row[name] for row in csv.DictReader(file)]


def test_hostile_names_come_out_right_and_nothing_runs_them(strangers):
    results = strangers.folder / "results/strangers"
    assert not list(strangers.folder.rglob("pwned*"))
    for task, start in (("eurosat", "2750"), ("caltech101", "101_ObjectCategories")):
        meta = json.loads((results / f"data/{task}/meta.json").read_text(encoding="utf-8"))
        assert meta["classes"] == sorted(NAMES)
        images = column(results / f"data/{task}/labels.csv", "image")
        labels = column(results / f"data/{task}/labels.csv", "label")
        assert len(images) == 8 * len(NAMES)
        for image, label in zip(images, labels):
            folder, name, file = image.split("/")
            assert folder == start and re.fullmatch(re.escape(name) + r"_\d\.jpg", file)
            assert name == sorted(NAMES)[int(label)]
        assert column(results / f"data/{task}/images.csv", "image") == images
    tested = [
        image
        for image, pool in zip(
            column(results / "data/eurosat/images.csv", "image"),
            column(results / "data/eurosat/images.csv", "pool"),
        )
        if pool == "test"
    ]
    students = list((results / "students/eurosat").glob("*/seed0/predictions.csv"))
    assert len(students) == 3 + 2 + 1
    for path in students:
        assert column(path, "image") == tested
    model = json.loads((results / "sources/alexnet_tiny_caltech101/meta.json").read_text())
    assert model["classes"] == sorted(NAMES)


def test_tables_and_the_report_show_hostile_text_as_text(strangers):
    results = strangers.folder / "results/strangers"
    table = results / "tables/table_target_groups"
    with open(table.with_suffix(".csv"), encoding="utf-8", newline="") as file:
        assert any(GROUP in cell for row in csv.reader(file) for cell in row)
    assert r"| Wälder \& 100% (a, b) 'c' |" in table.with_suffix(".md").read_text(encoding="utf-8")
    assert r"Wälder \& 100\% (a, b) 'c'" in table.with_suffix(".tex").read_text(encoding="utf-8")
    report = (results / "report.html").read_text(encoding="utf-8")
    assert "W\\u00e4lder &amp; 100% (a, b) 'c': eurosat." in report
    assert "alert(1)" not in report
    config = yaml.safe_load((results / "config.yaml").read_text(encoding="utf-8"))
    assert config["figures"]["target_groups"][0]["name"] == GROUP


def plan_after(workflow, section, key, value):
    config = copy.deepcopy(CONFIG)
    config.setdefault(section, {})[key] = value
    workflow.configure(config)
    try:
        return workflow.plan()
    finally:
        workflow.configure(CONFIG)


MAKES_DATA = {"prepare_task", "prepare_data_set", "split_target"}
MAKES_SOURCES = {"train_source", "load_source"}
STUDENTS = {"train_students", "store_student", "collect_accuracy"}


@pytest.mark.parametrize(
    ("section", "key", "value", "redone", "kept"),
    [
        # How images are seen: by the source that is trained on a data set, and in every inference.
        ("images", "min_scale", 0.5, {"train_source": 1, "infer_sources": 3},
         MAKES_DATA | {"load_source"}),
        ("images", "transforms", "parc", {"train_source": 1, "infer_sources": 3},
         MAKES_DATA | {"load_source"}),
        ("images", "size", 48, {"train_source": 1, "load_source": 1, "infer_sources": 3},
         MAKES_DATA),
        ("images", "check_counts", True, {"prepare_data_set": 2}, {"prepare_task", "load_source"}),
        ("training", "crop_padding", 3, {"train_source": 1, "infer_sources": 1},
         MAKES_DATA | {"load_source"}),
        ("embedded", "image_size", 24, {"prepare_task": 1, "train_source": 1, "infer_sources": 1},
         {"prepare_data_set", "split_target", "load_source"}),
        ("probe", "size", 40, {"score_similarity": 1, "compute_weights": 3},
         MAKES_DATA | MAKES_SOURCES | {"infer_sources"}),
        ("training", "lambda", 0.5, {"train_students": 2, "store_student": 6},
         MAKES_DATA | MAKES_SOURCES | {"infer_sources", "score_similarity", "compute_weights"}),
        ("training", "label_fraction", 0.4, {"split_target": 1, "score_similarity": 1},
         MAKES_SOURCES | {"prepare_task", "prepare_data_set", "infer_sources"}),
    ],
)  # fmt: skip
def test_a_setting_redoes_what_it_makes(strangers, section, key, value, redone, kept):
    planned = plan_after(strangers, section, key, value)
    assert {rule: planned.get(rule) for rule in redone} == redone
    assert not planned.keys() & kept
    assert planned.keys() >= (STUDENTS if "compute_weights" not in redone else {"compute_weights"})


def test_a_finished_run_stays_finished(strangers):
    assert strangers.plan() == {}


@pytest.fixture
def put_back():
    """Changes a file, keeps its size, and gives it a time of years ago; undone after the test."""
    changed = []

    def change(path):
        stat = path.stat()
        changed.append((path, path.read_bytes(), stat))
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(bytes(data))
        os.utime(path, (1e9, 1e9))

    yield change
    for path, data, stat in changed:
        path.write_bytes(data)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_an_older_checkpoint_in_its_place_is_loaded_again(strangers, put_back):
    models = strangers.folder / CONFIG["models_root"] / "models"
    put_back(models / SHUFFLENET / f"{SHUFFLENET}_cub200.pth")
    planned = strangers.plan()
    assert (planned["load_source"], planned["infer_sources"]) == (1, 1)
    assert planned.keys() >= {"score_similarity", "compute_weights", *STUDENTS}
    assert not planned.keys() & (MAKES_DATA | {"train_source"})


@pytest.mark.parametrize(
    ("task", "more"), [("eurosat", "split_target"), ("caltech101", "train_source")]
)
def test_an_older_image_in_its_place_prepares_that_data_set_again(strangers, put_back, task, more):
    folder = strangers.folder / CONFIG["data_root"] / task
    put_back(sorted(path for path in folder.rglob("*.jpg"))[0])
    planned = strangers.plan()
    assert (planned["prepare_data_set"], planned[more]) == (1, 1)
    assert not planned.keys() & {"prepare_task", "load_source"}
    assert planned["infer_sources"] == (3 if task == "eurosat" else 1)
    assert planned.keys() >= STUDENTS


def test_damage_that_a_job_meets_is_told_by_the_workflow(strangers):
    """A bit of a source's outputs, as a disk may flip it: the file is named; removing it helps."""
    results = strangers.folder / "results/strangers"
    tables = {p: p.read_bytes() for p in (results / "tables").glob("*.csv") if p.stem != "compute"}
    path = results / "inference/eurosat/alexnet_tiny_textures_a.safetensors"
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(bytes(data))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    student = results / "students/eurosat/distill_weighted-p0/seed0/model.safetensors"
    model = student.read_bytes()
    student.unlink()
    done = strangers.snakemake("--configfile", "tiny.yaml")
    text = done.stdout + done.stderr
    assert done.returncode != 0
    assert f"was not trained: {path.relative_to(strangers.folder)} is damaged: its contents" in text
    assert "Remove it and run again" in text and "Traceback" not in text
    path.unlink()
    strangers.run()
    assert student.read_bytes() == model
    for table, content in tables.items():
        assert table.read_bytes() == content


# What is wrong, and what the error must say of it.
BAD_CONFIGS = {
    "a wrong type": (("training", "steps", "many"), "training.steps: 'many' is not allowed"),
    "nan": (("training", "lambda", float("nan")), "training.lambda: .nan is not allowed"),
    "a huge number": (
        ("training", "steps", 10**30),
        "training.steps: 1000000000000000000000000000",
    ),
    "an unknown key": (("training", "$(touch pwned)", 1), "training.'$(touch pwned)': unknown key"),
    "an empty list": (("targets", None, []), "targets: [] is not allowed"),
    "a text for a list": (("targets", None, "eurosat"), "targets: 'eurosat' is not allowed; write"),
    "a target twice": (("targets", None, ["eurosat"] * 2), "targets: 'eurosat' is listed twice"),
    "a way out": (("name", None, "../../out"), "name: '../../out' is not allowed"),
    "a target elsewhere": (("targets", None, ["../x"]), "targets.0: unknown target '../x'"),
    "a control character": (("data_root", None, "a\0b"), "data_root: 'a\\x00b' is not allowed"),
    "the end of a script": (
        ("figures", "target_groups", [{"name": "</script>", "targets": ["eurosat"]}]),
        "figures.target_groups.0.name: '</script>' is not allowed (allowed: Name of the",
    ),
    "reStructuredText": (
        ("figures", "target_groups", [{"name": "a\n\n.. include:: /x\n", "targets": ["eurosat"]}]),
        "figures.target_groups.0.name: 'a\\n\\n.. include:: /x\\n' is not allowed",
    ),
    "a deep list": (("exclude", None, [[[[[[[[[]]]]]]]]]), "exclude.0: [[[[[[[[]]]]]]]] is not"),
    "Unicode": (("student", "architecture", "日本\u202e"), "student.architecture: unknown archit"),
}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("seeds: [1, 2]", "the key 'seeds' is on line "),
        ("__use_yte__: true", "tiny.yaml: '__use_yte__' makes the workflow run Python"),
    ],
)
def test_a_line_of_a_configuration_that_snakemake_would_take_silently(fresh, line, message):
    fresh.configure(CONFIG)
    with open(fresh.folder / "tiny.yaml", "a") as file:
        file.write(f"{line}\n")
    done = fresh.snakemake("-n", "--configfile", "tiny.yaml")
    text = done.stdout + done.stderr
    assert done.returncode != 0 and message in text and "Traceback" not in text


@pytest.mark.parametrize("name", BAD_CONFIGS)
def test_a_bad_configuration_starts_no_job(fresh, name):
    (section, key, value), message = BAD_CONFIGS[name]
    config = copy.deepcopy(CONFIG)
    if key is None:
        config[section] = value
    else:
        config.setdefault(section, {})[key] = value
    fresh.configure(config)
    before = sorted(fresh.folder.rglob("*"))
    done = fresh.snakemake("--configfile", "tiny.yaml")
    text = done.stdout + done.stderr
    assert done.returncode != 0 and message in text
    assert "Traceback" not in text and "Select jobs to execute" not in text
    new = {path.relative_to(fresh.folder).parts[0] for path in fresh.folder.rglob("*")}
    assert new - {path.relative_to(fresh.folder).parts[0] for path in before} <= {
        ".snakemake", "snakemake", "matplotlib"
    }  # fmt: skip
