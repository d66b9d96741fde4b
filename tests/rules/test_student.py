"""Rules export_student, compare_methods and describe_student, on the tiny tree."""

import csv
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import RUN, SOURCES, STUDENTS, TARGET, World

import compare_methods
import describe_student
import export_student
from distillweighted.deployment.answers import ComparisonFiles
from distillweighted.deployment.description import DescriptionFiles
from distillweighted.deployment.export import TargetFiles
from distillweighted.deployment.jobs import ComparisonJob, DescriptionJob, ExportJob
from distillweighted.errors import DamagedError
from distillweighted.files.tensors import load_tensors, save_tensors
from distillweighted.tasks.prepared import read_labels

WEIGHTED, SINGLE = "distill_weighted-p0", "distill_single-alexnet_tiny_latin"
SINGLE_OF_ALL = [f"distill_single-{source}" for source in SOURCES]


class Student:
    """Calls of the three scripts on a results tree."""

    def __init__(self, world: World):
        self.world = world
        self.folder = world.root / "student" / TARGET
        self.data = {n: world.data[n] for n in ("train_images", "test_images", "index", "meta")}

    def export(self, *candidates: str, choice: Path | None = None) -> None:
        job = replace(RUN.deployment.export(TARGET), candidates=candidates)
        models = [self.world.folder(recipe) / "model.safetensors" for recipe in candidates]
        target = TargetFiles(**self.data, split=self.world.data["split"])
        job = ExportJob.of(job.as_params())
        export_student.main(job, target, models, choice, self.folder, threads=1)

    def compare(self, *, probe: Path | None = None, forecast: str | None = None) -> pd.DataFrame:
        job = ComparisonJob.of(RUN.deployment.comparison(TARGET).as_params())
        # The tiny tree holds some of the run's students.
        kept = {*STUDENTS, None}
        methods = tuple(m for m in job.methods if m.recipe in kept)
        for row in RUN.students:
            folder = self.world.folder(row.recipe.name)
            if row.recipe.source is not None and not folder.exists():
                shutil.copytree(self.world.folder(SINGLE), folder)
        nearest = self.world.root / "nearest.csv"
        nearest.write_text("source,weight\n" + "".join(f"{s},{float(s == 'alexnet_tiny_latin')}\n"
                                                       for s in SOURCES))  # fmt: skip
        facts = {}
        for source in SOURCES:
            facts[source] = self.world.model(source).with_name("meta.json")
            meta = {"architecture": SOURCES[source], "gmacs": 0.5, "parameters": None}
            facts[source].write_text(json.dumps(meta | {"licence": "apache-2.0"}))
        files = ComparisonFiles(
            index=self.data["index"],
            labels=self.world.labels,
            students={(r, "0"): self.world.folder(r) for r in (*STUDENTS, *SINGLE_OF_ALL)},
            nearest={"0": nearest},
            probes={} if probe is None else {"0": probe},
            sources=facts,
        )
        job = replace(job, methods=methods, probe=probe is not None)
        foretold = self.world.root / "forecast.json"
        foretold.write_text(json.dumps({"nearest": "alexnet_tiny_latin", "verdict": forecast}))
        compare_methods.main(job, files, foretold, self.folder / "export.json", self.folder)
        return pd.read_csv(self.folder / "comparison.csv").set_index("method")

    def describe(self, *candidates: str, ranking: Path | None = None) -> None:
        job = RUN.deployment.description(TARGET, "snakemake student").as_params()
        world = self.world
        files = DescriptionFiles(
            folder=self.folder,
            task=world.labels.parent,
            metrics={r: world.folder(r) / "metrics.json" for r in candidates},
            weights={WEIGHTED: world.weights(WEIGHTED)},
            sources={s: world.model(s).with_name("meta.json") for s in SOURCES},
            ranking=ranking,
        )
        describe_student.main(DescriptionJob.of(job), files, self.folder)


@pytest.fixture(scope="module")
def made(trained, tmp_path_factory) -> Student:
    """A student that was handed over, compared and described."""
    root = tmp_path_factory.mktemp("made") / "results"
    shutil.copytree(trained.root, root)
    student = Student(World(root))
    student.export(WEIGHTED)
    student.compare()
    student.describe(WEIGHTED)
    return student


@pytest.fixture
def student(made, tmp_path) -> Student:
    """A copy of it."""
    shutil.copytree(made.world.root, tmp_path / "results")
    return Student(World(tmp_path / "results"))


def test_predictions_are_the_models_and_of_every_unlabelled_image(made):
    with open(made.folder / "predictions.csv", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    split = pd.read_csv(made.world.data["split"])
    wanted = split[split["split"] == "unlabeled"]["image"].tolist()
    assert header == ["image", "label", "confidence"]
    assert sorted(row[0] for row in rows) == sorted(wanted) and len(rows) == 42
    outputs, facts = load_tensors(made.folder / "probabilities.safetensors")
    assert facts == {"recipe": WEIGHTED}
    labels = np.array(["fig", "lime", "plum"])[outputs["unlabeled"].argmax(axis=1)]
    assert [row[1] for row in rows] == labels.tolist()
    assert [float(r[2]) for r in rows] == pytest.approx(outputs["unlabeled"].max(axis=1), abs=1e-6)
    # Of the test images, the classes are those of evaluation.
    said = pd.read_csv(made.world.folder(WEIGHTED) / "predictions.csv")["predicted"]
    assert outputs["test"].argmax(axis=1).tolist() == said.tolist()


def test_the_folder_holds_what_was_promised(made):
    names = {path.name for path in made.folder.iterdir()}
    assert names == {
        *("model.safetensors", "model.onnx", "model.pt2", "predict.py", "predictions.csv"),
        *("model_card.md", "report.html", "comparison.csv", "comparison.md", "export.json"),
        *("probabilities.safetensors", "verdict.json", "figures"),
    }
    weights = (made.folder / "model.safetensors").read_bytes()
    assert weights == (made.world.folder(WEIGHTED) / "model.safetensors").read_bytes()
    facts = json.loads((made.folder / "export.json").read_text())
    assert facts["classes"] == ["fig", "lime", "plum"] and facts["images_compared"] == 30
    assert max(facts["differences"].values()) < 1e-5
    assert facts["bytes"]["model.onnx"] == (made.folder / "model.onnx").stat().st_size


def test_the_student_that_validation_images_chose_is_exported(student, tmp_path):
    choice = tmp_path / "choice.json"
    choice.write_text(json.dumps({"deploy": "in_fixmatch", "recipes": {}}))
    student.export(WEIGHTED, "in_fixmatch", choice=choice)
    facts = json.loads((student.folder / "export.json").read_text())
    assert facts["recipe"] == "in_fixmatch"
    weights = (student.folder / "model.safetensors").read_bytes()
    assert weights == (student.world.folder("in_fixmatch") / "model.safetensors").read_bytes()
    choice.write_text(json.dumps({"deploy": "other", "recipes": {}}))
    said = f"it chooses 'other', and the students are {WEIGHTED}, in_fixmatch"
    with pytest.raises(DamagedError, match=re.escape(said)):
        student.export(WEIGHTED, "in_fixmatch", choice=choice)


def test_the_comparison_counts_what_the_students_said(made):
    table = pd.read_csv(made.folder / "comparison.csv").set_index("method")
    assert table.index.tolist() == [
        *("in_transfer", "in_fixmatch", "distill_nearest", "distill_equal"),
        "finetune_selected_source-alexnet_tiny",
    ]
    recipes = {
        "in_transfer": "in_transfer",
        "distill_nearest": SINGLE,
        "distill_equal": WEIGHTED,
        "finetune_selected_source-alexnet_tiny": "finetune_selected_source-alexnet_tiny",
    }
    right = {}
    for method, recipe in recipes.items():
        said = pd.read_csv(made.world.folder(recipe) / "predictions.csv")
        right[method] = said["predicted"].to_numpy() == read_labels(
            made.world.labels, said["image"]
        )
        assert table.loc[method, "accuracy"] == pytest.approx(100 * right[method].mean())
        metrics = json.loads((made.world.folder(recipe) / "metrics.json").read_text())
        assert table.loc[method, "gmacs"] == metrics["gmacs"]
        assert table.loc[method, "network"] == metrics["student"]
    wins = (right["distill_equal"] & ~right["in_transfer"]).sum()
    assert table.loc["distill_equal", "wins"] == wins
    assert table["deployed"].tolist() == [False, False, False, True, False]
    assert table["distils"].tolist() == [False, False, True, True, False]


def test_a_linear_probe_is_a_row_with_the_cost_of_its_source(student, tmp_path):
    names = pd.read_csv(student.data["index"]).query("pool == 'test'")["image"]
    labels = read_labels(student.world.labels, names)
    said = np.full((30, 3), 0.1, np.float32)
    said[np.arange(30), np.where(np.arange(30) < 24, labels, (labels + 1) % 3)] = 0.8
    path, facts = tmp_path / "probe.safetensors", {"source": "convnet_tiny_mosaics_a"}
    save_tensors(path, {"pseudo_labels": said, "test_probabilities": said}, facts)
    row = student.compare(probe=path).loc["linear_probe"]
    assert row["label"] == "Linear probe on convnet_tiny_mosaics_a"
    assert row["accuracy"] == pytest.approx(80) and row["gmacs"] == 0.5
    assert np.isnan(row["parameters"]) and np.isnan(row["train_seconds"])
    save_tensors(path, {"pseudo_labels": said}, facts)
    with pytest.raises(DamagedError, match="it has no probabilities of the 30 test images"):
        student.compare(probe=path)


def test_predictions_of_other_images_are_an_error(student):
    path = student.world.folder("in_transfer") / "predictions.csv"
    path.write_text(path.read_text().replace("test-000003", "test-900003"))
    with pytest.raises(DamagedError, match="its images are not the test images of its target"):
        student.compare()


def test_the_comparison_says_where_the_ranking_foretold_something_else(student):
    row = student.compare(forecast="likely").loc["distill_equal"]
    said = json.loads((student.folder / "verdict.json").read_text())["verdict"]
    assert ("foretold that it is likely to pay" in said) == (row["difference_low"] <= 0)
    row = student.compare(forecast="unlikely").loc["distill_equal"]
    said = json.loads((student.folder / "verdict.json").read_text())["verdict"]
    assert ("foretold that it is unlikely to pay" in said) == (row["difference_low"] > 0)


class Page(HTMLParser):
    """What a page refers to, and its text."""

    def __init__(self, path):
        super().__init__()
        self.references, self.text, self.tags = [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.references += [v for k, v in attrs if k in ("src", "href", "srcset", "action")]

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_is_one_file_that_opens_on_the_answer(made):
    page = Page(made.folder / "report.html")
    assert page.references and all(r.startswith("data:image/") for r in page.references)
    assert not {"script", "link", "iframe"} & {*page.tags}
    text = "".join(page.text)
    verdict = json.loads((made.folder / "verdict.json").read_text())["verdict"]
    order = [TARGET, "of test images recognised", verdict, "Did distillation help?", "Mistakes"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    # 18 images at most on each of three sheets, and three figures.
    assert len(page.references) == 3 + 18 + 18 + min(18, text.count("is fig")
                                                     + text.count("is lime")
                                                     + text.count("is plum"))  # fmt: skip


def test_the_card_says_what_was_measured(made):
    card = (made.folder / "model_card.md").read_text(encoding="utf-8")
    metrics = json.loads((made.world.folder(WEIGHTED) / "metrics.json").read_text())
    assert f"**{metrics['accuracy']:.1f} %** of 30 test images" in card
    for part in ("- classes: fig, lime, plum", "- labelled images: 18", "- unlabelled images: 42",
                 "| alexnet_tiny_latin | 0.333 | alexnet_tiny | 0.50 G | apache-2.0 |",
                 "- command: snakemake student", "- training: 3 steps", "figures/confusion.png",
                 "python predict.py FOLDER --csv answers.csv"):  # fmt: skip
        assert part in card


def test_page_and_card_say_when_test_images_were_seen_in_training(student):
    meta = student.data["meta"]
    found = {"kind": "allow", "exact": 4, "near": None, "groups": [], "different_labels": []}
    found["test_images_in_training"] = 3
    meta.write_text(json.dumps(json.loads(meta.read_text()) | {"test": 30, "duplicates": found}))
    student.describe(WEIGHTED)
    said = "Of the 30 test images 3 are training images too (duplicates: allow), so that every"
    assert said in "".join(Page(student.folder / "report.html").text)
    card = (student.folder / "model_card.md").read_text(encoding="utf-8")
    assert said in card and "4 exact, near ones not looked for; allowed on both sides" in card


def test_names_of_a_users_own_cannot_break_the_page_or_the_card(student):
    """A class may be called anything that a folder may."""
    meta = student.data["meta"]
    named = meta.read_text().replace('"fig"', '"<b onload=x>&|`fig`"')
    meta.write_text(named)
    student.export(WEIGHTED)
    student.compare()
    student.describe(WEIGHTED)
    page = Page(student.folder / "report.html")
    text = (student.folder / "report.html").read_text(encoding="utf-8")
    assert "<b onload" not in text and "<b onload=x>&|`fig`" in "".join(page.text)
    card = (student.folder / "model_card.md").read_text(encoding="utf-8")
    assert r"\<b onload=x\>\&\|\`fig\`" in card and "<b onload" not in card.replace("\\<", "")


def test_the_ranking_is_on_the_page_where_there_is_one(student, tmp_path):
    ranking = tmp_path / "lesions_b.md"
    ranking.write_text("The nearest source is alexnet\\_tiny.\n\n| source | score |\n| a | 1 |\n")
    shutil.copyfile(student.folder / "figures/confusion.png", tmp_path / "lesions_b.png")
    student.describe(WEIGHTED, ranking=ranking)
    page = Page(student.folder / "report.html")
    text = "".join(page.text)
    assert "The nearest source is alexnet_tiny." in text and "| a | 1 |" not in text
    assert "Which source suits this task?" in text


def test_a_description_of_parts_that_do_not_belong_together_is_an_error(student):
    path = student.folder / "probabilities.safetensors"
    outputs, _ = load_tensors(path)
    save_tensors(path, outputs, {"recipe": "in_transfer"})
    said = f"it is of 'in_transfer', export.json of '{WEIGHTED}'"
    with pytest.raises(DamagedError, match=re.escape(said)):
        student.describe(WEIGHTED)
