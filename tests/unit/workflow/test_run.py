"""A run: what the shipped grids come to, and what their jobs are told."""

import math
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import pytest

from distillweighted.methods import METHOD_ORDER, METHODS
from distillweighted.similarity.metrics.registry import METRICS
from distillweighted.similarity.weighting import WEIGHTINGS
from distillweighted.sources.jobs import ViewsJob
from distillweighted.sources.origins.registry import ORIGINS
from distillweighted.tasks.registry import list_tasks
from distillweighted.training.cohort_job import CohortJob
from distillweighted.training.objectives.registry import OBJECTIVES
from distillweighted.training.source_job import SourceJob, SourceSettings
from distillweighted.workflow.paths import Paths
from distillweighted.workflow.run import Run
from distillweighted.workflow.states import check_writable

ROOT = Path(__file__).resolve().parents[3]
NEAREST = "configs/supplement/resnet50_nearest.yaml"


def read(*names: str) -> Run:
    return Run.read(*(ROOT / name for name in names))


@pytest.fixture(scope="module")
def paper() -> Run:
    return read("configs/paper.yaml")


@pytest.fixture(scope="module")
def demo() -> Run:
    return read("config.yaml")


def test_the_papers_run(paper):
    assert paper.summary == "paper: 8 targets, 28 sources (204 pairs of both), 372 students"
    assert len(paper.models) == 28 + 5
    assert [m.name for m in paper.models.values() if not m.is_source] == [
        f"{name}_imagenet"
        for name in ("alexnet", "googlenet", "mobilenet_v3_large", "resnet18", "resnet50")
    ]
    model = paper.models["resnet18_voc2007"]
    assert (model.architecture, model.task, model.origin) == ("resnet18", "voc2007", "bank")
    assert (model.num_outputs, model.activation) == (21, "softmax")
    assert str(paper.checkpoint_path(model.name)).endswith("models/resnet18/resnet18_voc2007.pth")
    start = paper.models["alexnet_imagenet"]
    assert (start.origin, start.num_outputs) == ("torchvision", 1000)
    assert len(paper.admissible("cub200")) == 24 and len(paper.admissible("isic")) == 28
    assert paper.gpus == paper.resources.gpus == 0


def test_sources_are_asked_in_cohorts(paper, demo):
    assert demo.config["inference"]["cohort"] > 1
    alone = Run({**demo.config, "inference": {"cohort": 1}})
    name = next(iter(alone.sources))
    assert alone.inference_cohort("cyrillic", name) == name
    assert alone.asked("cyrillic", name) == [name]
    config = {**demo.config, "inference": {"cohort": 3}}
    run = Run(config)
    cohorts = {name: run.inference_cohort("cyrillic", name) for name in run.sources}
    assert list(cohorts.values()) == [f"3-sources-{i}" for i in (0, 0, 0, 1, 1, 1, 2, 2)]
    for name, cohort in cohorts.items():
        assert name in run.asked("cyrillic", cohort)
    # What the student starts from is no source.
    start = demo.student_start
    assert start not in cohorts and run.inference_cohort("cyrillic", start) == start
    assert run.asked("cyrillic", start) == [start]
    files = run.cohort_inputs("cyrillic", "3-sources-2")
    assert files["images"] == "results/demo/data/cyrillic/train_images.npy"
    assert files["model_files"] == [run.paths.model(name) for name in list(cohorts)[6:]]
    minutes = [paper.resources.inference_minutes("cub200", count) for count in (1, 2, 4)]
    assert minutes[2] - minutes[1] == pytest.approx(2 * (minutes[1] - minutes[0]), abs=1)
    assert minutes[1] > minutes[0]


def test_what_a_cohort_is_told(paper):
    others = [paper.cohort("cub200", "0", f"others-{i}") for i in range(6)]
    assert [len(job.students) for job in others] == [4, 4, 4, 4, 4, 1]
    recipes = {student.recipe: student for job in others for student in job.students}
    job = others[0]
    assert (job.target, job.seed, job.image_size) == ("cub200", 0, 224)
    finetuned = recipes["finetune_selected_source-alexnet"]
    assert (finetuned.objective, finetuned.initial) == ("transfer", None)
    choice = "results/paper/weights/cub200/seed0/finetune_selected_source-alexnet.csv"
    assert finetuned.start_choice == finetuned.weights == choice
    assert finetuned.learning_rate == paper.config["training"]["sources"]["learning_rate"]
    transfer = recipes["in_transfer"]
    assert (transfer.initial, transfer.start_choice) == ("mobilenet_v3_large_imagenet", None)
    assert transfer.source is transfer.weights is None
    assert transfer.learning_rate == paper.config["training"]["learning_rate"]
    assert recipes["distill_inverse"].weights.endswith("seed0/distill_inverse.csv")
    assert recipes["in_fixmatch"].objective == "fixmatch"
    # Inverse weights need every source, fine-tuning every AlexNet that may serve.
    assert set(job.sources) == {source.name for source in paper.admissible("cub200")}
    models = {name for job in others for name in job.models}
    assert {"alexnet_nabird", "alexnet_imagenet", "mobilenet_v3_large_imagenet"} <= models
    assert "alexnet_cub200" not in models
    single = paper.cohort("cub200", "0", "distill_single-0").students[0]
    assert (single.recipe, single.source) == (
        "distill_single-alexnet_caltech101", "alexnet_caltech101"
    )  # fmt: skip
    assert single.folder == f"results/paper/students/cub200/{single.recipe}/seed0"
    # The code of a student is that of its own objective.
    assert single.code != transfer.code != recipes["in_fixmatch"].code
    assert transfer.code == finetuned.code


def test_a_record_goes_out_as_plain_values_and_comes_back(paper, demo):
    job = demo.cohort("cyrillic", "0", "others-0")
    assert CohortJob.of(job.as_params()) == job
    parity = paper.cohort("cub200", "0", "others-0")
    assert CohortJob.of(parity.as_params()) == parity
    source = demo.jobs.source("convnet_tiny_generalist")
    assert SourceJob.of(source.as_params()) == source
    # The starts of students train longer than sources.
    assert source.settings == SourceSettings(600, *(source.settings.batch_size, 0.004, 0.01))
    assert demo.jobs.source("alexnet_tiny_latin").settings.steps == 300


def test_what_is_told_of_fixed_views():
    config = {
        "name": "viewed",
        "targets": ["lesions_b"],
        "sources": [
            {"from": "trained", "architectures": ["alexnet_tiny"], "tasks": ["latin", "textures_a"]}
        ],
        "training": {"crop_padding": 3, "cohort": 4},
    }
    plain = Run.of(config)
    run = Run.of({**config, "methods": {"distill_views": True}, "inference": {"views": 5}})
    job = run.jobs.views("lesions_b", "alexnet_tiny_latin", 5)
    assert (job.count, job.seen) == (5, {"kind": "padded_crop", "padding": 3})
    assert job.inference == run.jobs.inference("lesions_b", "alexnet_tiny_latin")
    assert ViewsJob.of(job.as_params()) == job
    # Its cohort is told how many views there are; those of others do not know of any.
    row = run.student("lesions_b", "distill_views-p12", "0")
    viewed = run.cohort("lesions_b", "0", row.cohort)
    assert CohortJob.of(viewed.as_params()) == viewed and viewed.views == 5
    (member,) = (s for s in viewed.students if s.recipe == row.recipe.name)
    assert (member.objective, member.head) == ("distill_views", None)
    assert member.weights == "results/viewed/weights/lesions_b/seed0/distill_views-p12.csv"
    names = {student.cohort for student in run.students} - {row.cohort}
    assert "distill_single-0" in names
    for cohort in names:
        assert "views" not in run.cohort("lesions_b", "0", cohort).as_params()
    # The files that it learns from are inputs of it alone.
    files = [
        f"results/viewed/inference/lesions_b/views5/alexnet_tiny_{task}.safetensors"
        for task in ("latin", "textures_a")
    ]
    assert run.made_from.files([row])["views"] == run.products.view_files == files
    other = run.student("lesions_b", "distill_weighted-p12", "0")
    assert run.made_from.files([other])["views"] == plain.products.view_files == []
    # Of 1000 images, 50 kB each and each view; five times the time.
    memory = run.resources.cohort_memory_mb([row]) - run.resources.cohort_memory_mb([other])
    assert (
        memory
        == run.resources.views_memory_mb("lesions_b", 5)
        - (run.resources.inference_memory_mb("lesions_b"))
        == 250
    )
    resources = run.resources
    minutes = resources.views_minutes("lesions_b", 5, 40)
    assert minutes == resources.inference_minutes("lesions_b", 200)
    assert "distill_views" in run.deployable and "distill_views" not in plain.deployable


def test_every_field_of_a_record_is_explained():
    import inspect

    from distillweighted.similarity import jobs as similarity_jobs
    from distillweighted.sources import jobs as source_jobs
    from distillweighted.tasks import jobs as task_jobs
    from distillweighted.training import cohort_job, evaluation_job, source_job

    modules = (similarity_jobs, source_jobs, task_jobs, cohort_job, evaluation_job, source_job)
    records = [
        item
        for module in modules
        for item in vars(module).values()
        if is_dataclass(item) and item.__module__ == module.__name__
    ]
    assert len(records) >= 11
    for record in records:
        lines = [line.strip() for line in inspect.getsource(record).splitlines()]
        for field in fields(record):
            (at,) = (i for i, line in enumerate(lines) if line.startswith(f"{field.name}: "))
            assert lines[at + 1].startswith('"""'), (record, field.name)


@pytest.mark.parametrize(
    ("recipe", "weighting", "p", "draw", "architecture"),
    [
        ("distill_weighted-p12", "power", 12.0, None, None),
        ("distill_weighted-pinf", "power", math.inf, None, None),
        ("distill_inverse", "inverse", None, None, None),
        ("distill_random_weights-draw2", "random", None, 2, None),
        ("finetune_selected_source-resnet50", "selected", None, None, "resnet50"),
    ],
)
def test_what_weights_are_told(paper, recipe, weighting, p, draw, architecture):
    job = paper.jobs.weights("cub200", "0", recipe)
    assert (job.weighting, job.p, job.draw, job.architecture) == (
        weighting, p, draw, architecture
    )  # fmt: skip
    assert (job.metric, job.representation) == ("parc", "features")
    assert len(job.architectures) == 24


def test_a_student_that_starts_from_its_nearest_source():
    run = read("configs/paper.yaml", NEAREST)
    student = run.student("isic", "distill_weighted-p12", "0")
    assert run.made_from.chooses_start(student) and run.made_from.start(student) is None
    assert run.made_from.start_choice(student).endswith(
        "isic/seed0/finetune_selected_source-resnet50.csv"
    )
    assert run.made_from.used_models([student]) == [f"resnet50_{task}" for task in sorted(
        {source.task for source in run.sources.values()}
    )]  # fmt: skip
    assert all(model.is_source for model in run.models.values())


def test_trained_sources_start_from_imagenet():
    run = read("configs/paper.yaml", "configs/supplement/trained_sources.yaml")
    inputs = run.source_inputs("resnet18_voc2007")
    assert inputs["initial"] == ["results/paper_trained_sources/sources/resnet18_imagenet/"
                                 "model.safetensors"]  # fmt: skip
    assert inputs["labels"].endswith("data/voc2007/labels.csv")
    asked = run.config["sources"][0]["multi_label_outputs"]
    assert run.models["resnet18_voc2007"].activation == asked


def test_a_run_is_planned_without_torch_or_an_engine_or_slow_imports():
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from distillweighted.workflow.run import Run; "
        "run = Run.read(Path('configs/paper.yaml')); run.cohort('isic', '0', 'others-0'); "
        "slow = {'torch', 'torchvision', 'timm', 'snakemake', 'scipy', 'matplotlib'}; "
        "sys.exit(', '.join(slow & {*sys.modules}) or 0)"
    )
    environment = {"PYTHONPATH": str(ROOT / "workflow_scripts")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_tables_of_facts_name_what_there_is():
    assert set(METHOD_ORDER) == {*METHODS} - {"distill_single"}
    for method in METHODS.values():
        assert (method.objective is None) == (method.sums_up is not None) == (not method.switch)
        assert method.objective is None or callable(OBJECTIVES[method.objective].load())
        assert method.weights in (None, "single", *WEIGHTINGS)
    for metric in METRICS.values():
        assert callable(metric.load())
    for origin in ORIGINS.values():
        assert origin.trained == (origin.locate is None) and not (origin.trained and origin.outside)
        # Every other one says where a person gets what is missing, and how it is read.
        assert origin.trained or origin.file_set or origin.advice
        assert (origin.load is None) == (origin.trained or origin.outside)
        assert (origin.describe is None) == (origin.outputs is None) == (not origin.outside)
    tasks = list_tasks({})
    assert tasks["latin"].generated and not tasks["cub200"].generated
    assert all(name == task.name for name, task in tasks.items())


def test_where_files_lie():
    paths = Paths("results/demo")
    assert paths.split("isic", "0-labels0.05") == "results/demo/splits/isic/seed0-labels0.05.csv"
    assert paths.student("isic", "in_transfer", "3") == (
        "results/demo/students/isic/in_transfer/seed3"
    )
    student = paths.student("isic", "in_transfer", "3", "metrics.json")
    assert student == "results/demo/students/isic/in_transfer/seed3/metrics.json"
    assert paths.nearest("isic", "0") == (
        "results/demo/weights/isic/seed0/distill_weighted-pinf.csv"
    )
    assert paths.table_files("table1_accuracy") == [
        f"results/demo/tables/table1_accuracy.{ending}" for ending in ("csv", "md", "tex")
    ]


def test_every_target_and_replicate():
    run = read("configs/paper.yaml", "configs/supplement/fewer_labels.yaml")
    splits = run.every(run.paths.split)
    assert len(splits) == len(set(splits)) == len(run.targets) * len(run.replicates) > 8


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    check_writable(tmp_path / "results" / "a")
    assert (tmp_path / "results" / "a").is_dir() and not any((tmp_path / "results/a").iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file/a cannot be written: Not a directory\. Make it writ"):
        check_writable(tmp_path / "file" / "a")


def own_methods(**changes):
    config = {
        "name": "own",
        "targets": ["lesions_b"],
        "sources": [
            {"from": "trained", "architectures": ["alexnet_tiny"], "tasks": ["latin", "mosaics_a"]}
        ],
        "methods": {"distill_prototypes": True, "default_p": 12},
        "baselines": {"probe_labels": True},
        **changes,
    }
    return Run.of(config)


def test_what_the_methods_that_are_not_the_papers_are_told():
    run = own_methods()
    job = run.cohort("lesions_b", "0", "others-0")
    students = {student.recipe: student for student in job.students}
    prototypes = students["distill_prototypes-p12"]
    assert (prototypes.recipe, prototypes.objective) == ("distill_prototypes-p12", "distill")
    assert (prototypes.head, prototypes.source) == ("prototypes", None)
    assert prototypes.weights == "results/own/weights/lesions_b/seed0/distill_prototypes-p12.csv"
    assert job.heads == {"alexnet_tiny_latin": "own", "alexnet_tiny_mosaics_a": "own"}
    assert job.feature_scale == 1
    weights = run.jobs.weights("lesions_b", "0", "distill_prototypes-p12")
    assert (weights.weighting, weights.p) == ("power", 12)
    assert "distill_prototypes-p12" in run.possible_weights("lesions_b")
    probe = students["probe_labels"]
    assert (probe.objective, probe.head, probe.weights, probe.source) == (
        "probe_labels", None, None, None,
    )  # fmt: skip
    row = run.student("lesions_b", "probe_labels", "0")
    assert run.made_from.files([row])["probe"] == ["results/own/probes/lesions_b/seed0.safetensors"]
    assert run.made_from.files([row])["inference"] == []
    row = run.student("lesions_b", "distill_prototypes-p12", "0")
    assert run.made_from.files([row])["probe"] == []


def test_what_chooses_weights_is_told_how():
    sources = [{"from": "trained", "architectures": ["alexnet_tiny"],
                "tasks": ["latin", "mosaics_a", "textures_a"]}]  # fmt: skip
    chosen = {"distill_auto_p": True, "distill_top_k": [2]}
    run = own_methods(sources=sources, methods=chosen)
    told = run.jobs.weights("lesions_b", "0", "distill_auto_p")
    assert (told.weighting, told.p, told.keep) == ("auto", None, None)
    assert (told.spread, told.effective_sources) == (2.0, None)
    told = run.jobs.weights("lesions_b", "0", "distill_top_k-k2")
    assert (told.weighting, told.p, told.keep, told.spread) == ("equal", None, 2, None)
    # What others are told does not depend on it.
    weighting = {"spread": 1, "effective_sources": 1.5, "keep": 1}
    other = own_methods(sources=sources, methods=chosen, similarity={"weighting": weighting})
    told = other.jobs.weights("lesions_b", "0", "distill_auto_p")
    assert (told.keep, told.spread, told.effective_sources) == (1, 1.0, 1.5)
    assert other.jobs.weights("lesions_b", "0", "distill_top_k-k2").keep == 2
    weighted = other.jobs.weights("lesions_b", "0", "distill_weighted-p12")
    assert (weighted.keep, weighted.spread, weighted.effective_sources) == (1, None, None)
    # They are distilled from all sources' pseudo-labels, and stand in the comparison.
    for recipe in ("distill_auto_p", "distill_top_k-k2"):
        row = run.student("lesions_b", recipe, "0")
        assert len(run.made_from.used_sources([row])) == 3
        assert run.made_from.files([row])["weights"] == [
            run.paths.weights("lesions_b", "0", recipe)
        ]
    compared = [method.method for method in run.deployment.methods("lesions_b")]
    assert "distill_auto_p" in compared and "distill_top_k" not in compared
    deployed = own_methods(methods=chosen, sources=sources, student={"deploy": "distill_auto_p"})
    assert deployed.deployed_recipe == "distill_auto_p"


def test_heads_are_facts_of_a_students_training_only_where_they_matter():
    run, other = own_methods(), own_methods(training={"feature_scale": 2})
    of_prototypes = run.student("lesions_b", "distill_prototypes-p12", "0")
    names = ("alexnet_tiny_latin", "alexnet_tiny_mosaics_a")
    assert run.jobs.training_facts(of_prototypes)[-1] == dict.fromkeys(names, "prototypes")
    for student in run.students:
        row = other.student("lesions_b", student.recipe.name, "0")
        assert run.jobs.training_facts(student) == other.jobs.training_facts(row)
    assert other.cohort("lesions_b", "0", "others-0").feature_scale == 2


def test_heads_of_sources_are_told_to_those_who_train(monkeypatch):
    runs = own_methods(), own_methods(training={"feature_scale": 2})
    for run in runs:
        sources = dict(run.sources)
        name = "alexnet_tiny_latin"
        sources[name] = replace(sources[name], head="features")
        monkeypatch.setitem(run.__dict__, "sources", sources)
        assert run.cohort("lesions_b", "0", "others-0").heads[name] == "features"

    def facts(recipe):
        rows = [run.student("lesions_b", recipe, "0") for run in runs]
        return [run.jobs.training_facts(row) for run, row in zip(runs, rows, strict=True)]

    single, scaled = facts("distill_single-alexnet_tiny_latin")
    assert (single[-2:], scaled[-2:]) == ([{name: "features"}, 1], [{name: "features"}, 2])
    before, after = facts("distill_single-alexnet_tiny_mosaics_a")
    assert before == after and not isinstance(before[-1], dict)
