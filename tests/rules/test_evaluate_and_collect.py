"""Rules evaluate_students and collect_accuracy."""

import json
import math
import shutil

import numpy as np
import pandas as pd
import pytest

import collect_accuracy
from distillweighted.errors import DamagedError
from distillweighted.tasks.prepared import read_labels

CONTRACT = {
    *("target", "recipe", "method", "p", "seed", "student", "accuracy", "balanced_accuracy"),
    *("n_labeled", "n_unlabeled", "n_test", "steps", "train_seconds", "images_per_second"),
    *("gmacs", "parameters", "versions"),
}
WEIGHTED = "distill_weighted-p0"


def read_metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_metrics_have_what_the_contract_lists(trained):
    metrics = read_metrics(trained.folder(WEIGHTED))
    assert metrics.keys() >= CONTRACT
    assert (metrics["target"], metrics["recipe"]) == ("lesions_b", WEIGHTED)
    assert (metrics["method"], metrics["p"], metrics["seed"]) == ("distill_weighted", "0", 0)
    assert (metrics["n_labeled"], metrics["n_unlabeled"], metrics["n_test"]) == (18, 42, 30)
    assert metrics["steps"] == 3
    assert metrics["images_per_second"] == pytest.approx(3 * 12 / metrics["train_seconds"])
    assert metrics["versions"].keys() == {"python", "torch", "numpy"}


def test_a_weighted_student_of_one_source_names_it(trained):
    assert read_metrics(trained.folder(WEIGHTED))["source"] is None
    finetuned = read_metrics(trained.folder("finetune_selected_source-alexnet_tiny"))
    assert finetuned["source"] == "alexnet_tiny_latin"
    single = read_metrics(trained.folder("distill_single-alexnet_tiny_latin"))
    assert single["source"] == "alexnet_tiny_latin"
    assert read_metrics(trained.folder("in_transfer"))["source"] is None


def test_the_rest_of_a_training_folder_is_an_error_that_says_what_to_do(finished):
    output = finished.train("cohort1")
    (output / WEIGHTED / "training.json").unlink()
    with pytest.raises(RuntimeError, match=r"cohort1 lacks files of student .*Remove the rest"):
        finished.evaluate_cohort(output, [WEIGHTED], "evaluated")


def test_accuracies_by_hand(finished):
    """All right in class 0 and half right in class 1, in an order of its own; class 2 is lost."""
    output = finished.train("cohort1")
    path = output / WEIGHTED / "predictions.csv"
    path.unlink()  # a link to the finished student's
    images = pd.read_csv(finished.data["split"]).query("split == 'test'")["image"].tolist()[::-1]
    labels = read_labels(finished.labels, images)
    predicted = np.where(labels == 2, 0, labels)
    ones = np.flatnonzero(labels == 1)
    predicted[ones[: len(ones) // 2]] = 2
    pd.DataFrame({"image": images, "predicted": predicted}).to_csv(path, index=False)
    metrics = read_metrics(finished.evaluate(output, WEIGHTED))
    counts = np.bincount(labels)
    assert counts.tolist() == [10, 10, 10]
    assert metrics["accuracy"] == pytest.approx(100 * 15 / 30)
    assert metrics["balanced_accuracy"] == pytest.approx(100 * (1 + 0.5 + 0) / 3)
    # Not balanced: 10 of class 0 (all right), 5 of class 1 (all right now), none of class 2.
    kept = np.concatenate([np.flatnonzero(labels == 0), ones[5:]])
    tested = np.array(images)[kept]
    pd.DataFrame({"image": tested, "predicted": [0] * 15}).to_csv(path, index=False)
    with pytest.raises(DamagedError, match=r"predictions\.csv .* not the test images of"):
        finished.evaluate(output, WEIGHTED)
    split = pd.read_csv(finished.data["split"])
    split[(split["split"] != "test") | split["image"].isin(tested)].to_csv(
        finished.data["split"], index=False
    )
    metrics = read_metrics(finished.evaluate(output, WEIGHTED))
    assert metrics["accuracy"] == pytest.approx(100 * 10 / 15)
    assert metrics["balanced_accuracy"] == pytest.approx(50)


def test_the_grids_row_wins_over_one_that_was_taken_over(finished):
    output = finished.train("cohort1")
    metrics = read_metrics(finished.evaluate(output, WEIGHTED, p="0.0", method="renamed"))
    assert (metrics["p"], metrics["method"]) == ("0.0", "renamed")


def test_the_label_fraction_of_given_labels_is_their_true_share(finished):
    output = finished.train("cohort1")
    metrics = read_metrics(finished.evaluate(output, WEIGHTED))
    assert metrics["label_fraction"] == 0.3  # as the configuration says
    metrics = read_metrics(finished.evaluate(output, WEIGHTED, label_fraction=None))
    assert (metrics["n_labeled"], metrics["n_unlabeled"]) == (18, 42)
    assert metrics["label_fraction"] == 18 / 60


def test_a_failed_student_says_why_and_what_to_do_and_others_are_evaluated(finished):
    trained = finished.train("cohort1")
    shutil.rmtree(trained / WEIGHTED)
    (trained / WEIGHTED).mkdir()
    (trained / WEIGHTED / "failed.txt").write_text("the loss is nan by step 5")
    path = trained / "in_transfer" / "predictions.csv"
    path.unlink()  # a link to the finished student's
    path.write_text("image,predicted\n")
    recipes = [WEIGHTED, "in_transfer", "distill_single-alexnet_tiny_latin"]
    output = finished.evaluate_cohort(trained, recipes, "evaluated")
    message = (output / WEIGHTED / "failed.txt").read_text()
    assert f"error: student {WEIGHTED} of target lesions_b, seed 0 was not trained" in message
    assert "the loss is nan by step 5\nOther students are unaffected" in message
    assert f"remove {output}\n" in message
    damaged = (output / "in_transfer" / "failed.txt").read_text()
    assert "student in_transfer of target lesions_b, seed 0 was not evaluated" in damaged
    assert not (output / WEIGHTED / "metrics.json").exists()
    assert not (output / "in_transfer" / "metrics.json").exists()
    assert read_metrics(output / recipes[2])["accuracy"] == pytest.approx(
        read_metrics(finished.folder(recipes[2]))["accuracy"]
    )


def test_a_test_image_without_a_label_is_an_error(finished):
    labels = pd.read_csv(finished.labels)
    labels[labels["image"] != "test-000004"].to_csv(finished.labels, index=False)
    with pytest.raises(ValueError, match="'test-000004'"):
        finished.evaluate(finished.train("cohort1"), WEIGHTED)


def record(recipe, p=None, source=None, seed=0, student="small", accuracy=50.0, **others):
    method = recipe.split("-")[0]
    values = {"target": "lesions_b", "recipe": recipe, "method": method, "p": p, "source": source}
    values |= {"seed": seed, "student": student, "accuracy": accuracy}
    values |= {"balanced_accuracy": accuracy / 2, "gmacs": 1.0, "parameters": 10}
    values |= {"learning_rate": 0.01, "lambda": None if method.startswith("in_") else 0.8}
    values |= {"train_seconds": 2.5}
    return {**values, "label_fraction": 0.2, **others}


RECORDS = [
    record("distill_weighted-pinf", p="inf", source="b", accuracy=61.25),
    record("distill_weighted-p0.5", p="0.5", accuracy=62.5),
    record("distill_single-a", source="a", seed=1, accuracy=1 / 3),
    record("in_transfer-large", student="large", gmacs=8.0, parameters=70),
    record("in_transfer", target="nuts", gmacs=3.0, parameters=30),
]

SCORES = "target,seed,source,representation,metric,score\n"


@pytest.fixture
def collected(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_text(text)
        return path

    metrics = [write(f"{i}.json", json.dumps(values)) for i, values in enumerate(RECORDS)]
    similarity = [
        write(f"similarity{i}.csv", f"{SCORES}{target},{i},a,features,parc,0.{i}\n")
        for i, target in enumerate(("lesions_b", "nuts"))
    ]
    nearest = {
        ("lesions_b", 0, 0.2): write("nearest0.csv", "source,weight\na,0.0\nb,1.0\n"),
        ("nuts", 1, 0.2): write("nearest1.csv", "source,weight\na,1.0\nb,0.0\n"),
    }
    names = ("accuracy", "similarity", "nearest", "compute")
    output = {name: tmp_path / f"{name}.csv" for name in names}
    collect_accuracy.main(metrics, similarity, nearest, output, label_fraction=0.2)
    # pandas reads faster by default, and then the last digit may be off.
    return {n: pd.read_csv(path, float_precision="round_trip") for n, path in output.items()}


def test_every_student_has_its_row(collected):
    table = collected["accuracy"]
    assert list(table.columns) == [*collect_accuracy.COLUMNS, *collect_accuracy.SETTINGS]
    assert len(table) == len(RECORDS)
    rows = table.set_index(["target", "recipe"])
    for values in RECORDS:
        row = rows.loc[(values["target"], values["recipe"])]
        assert row["accuracy"] == values["accuracy"]  # to the last digit
        assert row["balanced_accuracy"] == values["balanced_accuracy"]
        for name in ("method", "seed", "student"):
            assert row[name] == values[name]
        assert row["source"] == values["source"] or pd.isna(row["source"])
        assert pd.isna(row["source"]) == (values["source"] is None)


def test_p_is_a_number_again_infinity_too(collected):
    p = collected["accuracy"].set_index(["target", "recipe"])["p"]
    assert p.dtype == float
    assert p["lesions_b", "distill_weighted-pinf"] == math.inf
    assert p["lesions_b", "distill_weighted-p0.5"] == 0.5
    assert p.isna().sum() == 3


def test_similarities_nearest_sources_and_costs(collected):
    assert collected["similarity"].values.tolist() == [
        ["lesions_b", 0, "a", "features", "parc", 0.0],
        ["nuts", 1, "a", "features", "parc", 0.1],
    ]
    assert collected["nearest"].values.tolist() == [["lesions_b", 0, "b"], ["nuts", 1, "a"]]
    compute = collected["compute"].set_index("student")
    assert compute.loc["large"].tolist() == [8.0, 70.0]
    assert compute.loc["small"].tolist() == [(1 + 1 + 1 + 3) / 4, (10 + 10 + 10 + 30) / 4]


def test_tables_hold_targets_of_given_labels_beside_the_first_label_fraction(tmp_path):
    students = [
        record("in_transfer", accuracy=50.0),
        record("in_transfer", accuracy=40.0, label_fraction=0.05),
        record("in_transfer", target="mine", accuracy=70.0, label_fraction=18 / 60),
    ]
    metrics = [tmp_path / f"{i}.json" for i in range(3)]
    for path, values in zip(metrics, students, strict=True):
        path.write_text(json.dumps(values))
    (tmp_path / "scores.csv").write_text(f"{SCORES}fruit,0,a,features,parc,0.1\n")
    for name, chosen in (("fruit", "a"), ("mine", "b")):
        weights = "".join(f"{s},{float(s == chosen)}\n" for s in "ab")
        (tmp_path / f"{name}.csv").write_text(f"source,weight\n{weights}")
    names = ("accuracy", "similarity", "nearest", "compute")
    nearest = {("lesions_b", 0, 0.2): "fruit", ("mine", 0, None): "mine"}
    collect_accuracy.main(
        metrics,
        [tmp_path / "scores.csv"],
        {cell: tmp_path / f"{name}.csv" for cell, name in nearest.items()},
        {name: tmp_path / f"out_{name}.csv" for name in names},
        label_fraction=0.2,
    )
    table = pd.read_csv(tmp_path / "out_accuracy.csv")
    assert dict(zip(table["target"], table["accuracy"])) == {"lesions_b": 50.0, "mine": 70.0}
    sources = pd.read_csv(tmp_path / "out_nearest.csv")
    assert sources.values.tolist() == [["lesions_b", 0, "a"], ["mine", 0, "b"]]


def test_tables_hold_the_first_label_fraction_and_two_more_hold_all(tmp_path):
    students = [
        record("in_transfer", accuracy=50.0),
        record("in_transfer", accuracy=40.0, label_fraction=0.05),
    ]
    metrics = []
    for i, values in enumerate(students):
        metrics.append(tmp_path / f"{i}.json")
        metrics[-1].write_text(json.dumps(values))
    (tmp_path / "scores.csv").write_text(f"{SCORES}fruit,0,a,features,parc,0.1\n")
    for name, chosen in (("many", "a"), ("few", "b")):
        weights = "".join(f"{s},{float(s == chosen)}\n" for s in "ab")
        (tmp_path / f"{name}.csv").write_text(f"source,weight\n{weights}")
    names = ("accuracy", "similarity", "nearest", "compute")
    names += ("label_fractions_accuracy", "label_fractions_nearest")
    collect_accuracy.main(
        metrics,
        [tmp_path / "scores.csv"],
        {
            ("lesions_b", 0, 0.2): tmp_path / "many.csv",
            ("lesions_b", 0, 0.05): tmp_path / "few.csv",
        },
        {name: tmp_path / f"out_{name}.csv" for name in names},
        label_fraction=0.2,
    )
    tables = {name: pd.read_csv(tmp_path / f"out_{name}.csv") for name in names}
    assert tables["accuracy"]["accuracy"].tolist() == [50.0]
    assert tables["nearest"]["source"].tolist() == ["a"]
    every = tables["label_fractions_accuracy"]
    assert dict(zip(every["label_fraction"], every["accuracy"])) == {0.2: 50.0, 0.05: 40.0}
    sources = tables["label_fractions_nearest"]
    assert dict(zip(sources["label_fraction"], sources["source"])) == {0.2: "a", 0.05: "b"}


def test_students_of_other_lambdas_stand_in_a_table_of_their_own(tmp_path):
    students = [
        record("in_transfer"),
        record("distill_weighted-p12", p="12", accuracy=60.0),
        record("distill_weighted-p4", p="4"),
        record("control_pass_through-p12", p="12", accuracy=51.0, **{"lambda": 1.0}),
        record("distill_weighted-p12-lambda0.5", p="12", accuracy=64.0, **{"lambda": 0.5}),
    ]
    metrics = []
    for i, values in enumerate(students):
        metrics.append(tmp_path / f"{i}.json")
        metrics[-1].write_text(json.dumps(values))
    (tmp_path / "scores.csv").write_text(f"{SCORES}lesions_b,0,a,features,parc,0.1\n")
    (tmp_path / "nearest.csv").write_text("source,weight\na,1.0\n")
    names = ("accuracy", "similarity", "nearest", "compute", "lambda_accuracy")
    lambdas = {"in_transfer": None, "distill_weighted-p12": 0.8, "control_pass_through-p12": 1.0}
    collect_accuracy.main(
        metrics,
        [tmp_path / "scores.csv"],
        {("lesions_b", 0, 0.2): tmp_path / "nearest.csv"},
        {name: tmp_path / f"out_{name}.csv" for name in names},
        label_fraction=0.2,
        lambdas={**lambdas, "distill_weighted-p12-lambda0.5": 0.5},
        lambda_recipes=["distill_weighted-p12-lambda0.5"],
    )
    plain = pd.read_csv(tmp_path / "out_accuracy.csv")
    assert plain["recipe"].tolist() == [s["recipe"] for s in students[:4]]
    assert plain["learning_rate"].tolist() == [0.01] * 4
    table = pd.read_csv(tmp_path / "out_lambda_accuracy.csv").set_index("lambda")["accuracy"]
    assert table[[0.8, 1.0, 0.5]].tolist() == [60.0, 51.0, 64.0]
    assert table[table.index.isna()].tolist() == [50.0] and len(table) == 4


def test_students_of_other_architectures_stand_in_a_table_of_their_own(tmp_path):
    students = [
        record("in_transfer", accuracy=50.0),
        record("distill_weighted-p12", accuracy=60.0, p="12"),
        record("in_transfer-wide", accuracy=70.0, student="wide"),
        record("distill_weighted-p12-wide", accuracy=80.0, student="wide", p="12"),
        record("in_transfer-net", accuracy=90.0, student="net"),
    ]
    metrics = []
    for i, values in enumerate(students):
        metrics.append(tmp_path / f"{i}.json")
        metrics[-1].write_text(json.dumps(values))
    (tmp_path / "scores.csv").write_text(f"{SCORES}fruit,0,a,features,parc,0.1\n")
    (tmp_path / "weights.csv").write_text("source,weight\na,1.0\n")
    names = ("accuracy", "similarity", "nearest", "compute", "students_accuracy")
    collect_accuracy.main(
        metrics,
        [tmp_path / "scores.csv"],
        {("lesions_b", 0, 0.2): tmp_path / "weights.csv"},
        {name: tmp_path / f"out_{name}.csv" for name in names},
        label_fraction=0.2,
        students=["small", "wide"],
        student_recipes=["distill_weighted-p12-wide"],
    )
    accuracy = pd.read_csv(tmp_path / "out_accuracy.csv")
    assert accuracy["accuracy"].tolist() == [50, 60, 70, 90]
    table = pd.read_csv(tmp_path / "out_students_accuracy.csv")
    assert table["accuracy"].tolist() == [50, 60, 70, 80]
    assert {"gmacs", "parameters", "train_seconds"} <= set(table)
