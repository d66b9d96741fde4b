"""Rules prepare_data_set, load_source and what follows them, on files in their original formats."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from miniature.bank import write_bank, write_torchvision_weights
from miniature.birds import write_cub200
from miniature.voc2007 import write_voc2007

import infer_sources
import load_source
import prepare_data_set
import split_target
import train_source
import train_students
from distillweighted.batches.views import make_view
from distillweighted.errors import DataError
from distillweighted.networks.model_files import load_model
from distillweighted.sources.jobs import InferenceJob, LoadJob
from distillweighted.sources.outputs import load_inference
from distillweighted.tasks.jobs import PreparationJob, SplitJob
from distillweighted.tasks.pools import open_pool
from distillweighted.tasks.prepared import read_image_names, read_meta
from distillweighted.training.cohort_job import CohortJob, StudentJob
from distillweighted.training.settings import StudentSettings
from distillweighted.training.source_job import SourceJob, SourceSettings

VIEW = {"kind": "resized_crop", "size": 48, "min_scale": 0.5, "flip": True}
INITIAL = "resnet18_imagenet"


def load(bank, name, checkpoint, **changes):
    model, meta = bank / f"{name}.safetensors", bank / f"{name}.json"
    told = {"architecture": "resnet18", "task": "cub200", "num_classes": 4, "origin": "bank"}
    told |= {"image_size": 48, "file": None, **changes}
    load_source.main(LoadJob(name, checkpoint=str(checkpoint), **told), model, meta)
    return model, json.loads(meta.read_text())


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    """A ResNet-18 of the bank, with 4 classes, and torchvision's, as this project stores them."""
    root = tmp_path_factory.mktemp("bank")
    files = write_bank(root, architectures=["resnet18"], class_counts={"cub200": 4})
    load(root, "resnet18_cub200", files["resnet18_cub200"])
    files = write_torchvision_weights(root, ["resnet18"])
    imagenet = {"task": "imagenet", "num_classes": 1000, "origin": "torchvision"}
    load(root, INITIAL, files["resnet18"], **imagenet)
    return root


@pytest.fixture(scope="module")
def birds(tmp_path_factory):
    """Four classes of CUB-200-2011, prepared and split."""
    root = tmp_path_factory.mktemp("birds")
    write_cub200(root / "data", classes=4, per_class=8, seed=0)
    prepare(root / "birds", "cub200", root / "data")
    folder = root / "birds"
    split_target.main(
        SplitJob("cub200", 0, 0.5),
        folder / "images.csv",
        folder / "labels.csv",
        root / "split.csv",
        root / "labeled.csv",
    )
    return root


def prepare(folder, task, data_root, *, check_counts=False):
    job = PreparationJob(task, str(data_root), None, check_counts)
    prepare_data_set.main(job, folder, threads=2)


def test_a_data_set_is_prepared_as_its_lists_say(birds):
    lists = birds / "data" / "CUB_200_2011"
    columns = {"images": "path", "image_class_labels": "class", "train_test_split": "train"}
    table = pd.concat(
        [
            pd.read_csv(lists / f"{name}.txt", sep=" ", names=["id", column], index_col="id")
            for name, column in columns.items()
        ],
        axis=1,
    )
    labels = pd.read_csv(birds / "birds/labels.csv").set_index("image")["label"]
    for pool, flag in (("train", 1), ("test", 0)):
        expected = table[table["train"] == flag]
        names = read_image_names(birds / "birds/images.csv", pool)
        assert names == [name for name in labels.index if name in set(names)]
        assert len(names) == len(expected)
        for path, number in zip(expected["path"], expected["class"]):
            (name,) = (name for name in names if name.endswith(path))
            assert labels[name] == number - 1
    assert read_meta(birds / "birds")["num_classes"] == 4


def test_an_incomplete_data_set_is_an_error(birds, tmp_path):
    with pytest.raises(DataError, match="4 classes instead of 200"):
        prepare(tmp_path, "cub200", birds / "data", check_counts=True)


def test_a_loaded_source_says_what_it_is(bank):
    model, meta = load_model(bank / "resnet18_cub200.safetensors")
    assert (meta["task"], meta["num_classes"], model.head.out_features) == ("cub200", 4, 4)
    assert meta["mean"] == [0.485, 0.456, 0.406] and model.num_features == 512
    stored = torch.load(bank / "models/resnet18/resnet18_cub200.pth", weights_only=True)
    assert torch.equal(model.head.weight, stored["module.fc.weight"])
    assert load_model(bank / f"{INITIAL}.safetensors")[0].head.out_features == 1000


def test_a_checkpoint_of_another_kind_is_a_readable_error(bank, tmp_path):
    checkpoint = bank / "models/resnet18/resnet18_cub200.pth"
    with pytest.raises(ValueError, match=r"resnet18_cub200.*4"):
        load(tmp_path, "x", checkpoint, num_classes=200)
    with pytest.raises(ValueError, match="resnet18"):
        load(tmp_path, "x", checkpoint, architecture="resnet50")
    with pytest.raises(FileNotFoundError, match="resnet18 trained on cub200"):
        load(tmp_path, "x", tmp_path / "nothing.pth")
    assert not list(tmp_path.glob("x.*"))


def infer(birds, bank, output, **changes):
    told = {"statistics": None, "activation": "softmax"} | changes
    infer_sources.infer(
        InferenceJob("cub200", "resnet18_cub200", VIEW, device="cpu", **told),
        birds / "birds/train_images.npy",
        birds / "birds/images.csv",
        bank / "resnet18_cub200.safetensors",
        output,
        threads=1,
    )
    return load_inference(output)


def test_inference_sees_the_middle_of_every_image(birds, bank, tmp_path):
    outputs = infer(birds, bank, tmp_path / "a.safetensors")
    images = open_pool(birds / "birds/train_images.npy", birds / "birds/images.csv")
    views = make_view(VIEW).plain(images, np.arange(len(images)))
    model, meta = load_model(bank / "resnet18_cub200.safetensors")

    def look(mean, std):
        scale = [torch.tensor(values).view(1, 3, 1, 1) for values in (mean, std)]
        with torch.no_grad():
            return model.eval().backbone((views / 255 - scale[0]) / scale[1]).numpy()

    expected = look(meta["mean"], meta["std"])
    np.testing.assert_allclose(outputs["features"], expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(outputs["pseudo_labels"].sum(axis=1), 1, rtol=1e-5)
    # The parity mode normalises with the target's statistics instead.
    half = ([0.5, 0.5, 0.5], [0.25, 0.25, 0.25])
    parity = infer(birds, bank, tmp_path / "b.safetensors", statistics=half)
    np.testing.assert_allclose(parity["features"], look(*half), rtol=1e-3, atol=1e-4)


def test_sigmoid_outputs_are_divided_by_their_sum(birds, bank, tmp_path):
    softmax = infer(birds, bank, tmp_path / "a.safetensors")["pseudo_labels"]
    sigmoid = infer(birds, bank, tmp_path / "b.safetensors", activation="sigmoid")["pseudo_labels"]
    np.testing.assert_allclose(sigmoid.sum(axis=1), 1, rtol=1e-5)
    assert (sigmoid.argmax(axis=1) == softmax.argmax(axis=1)).all()
    assert not np.allclose(sigmoid, softmax)


def member(recipe, **changes):
    told = {"objective": "transfer", "architecture": "resnet18", "learning_rate": 0.001}
    told |= {"lam": None, "choice": None, "source": None, "weights": None}
    told |= {"initial": INITIAL, "start_choice": None, "head": None}
    return StudentJob(recipe, folder="nowhere", code="0", **{**told, **changes})


@pytest.mark.usefixtures("one_thread")
def test_students_train_on_images_of_any_size(birds, bank, tmp_path):
    infer(birds, bank, tmp_path / "outputs.safetensors")
    (tmp_path / "nearest.csv").write_text("source,weight\nresnet18_cub200,1.0\n")
    folder = birds / "birds"
    data = {name: folder / f"{name}.npy" for name in ("train_images", "test_images")}
    data |= {"index": folder / "images.csv", "meta": folder / "meta.json"}
    data |= {"split": birds / "split.csv", "labeled": birds / "labeled.csv"}
    single = {"objective": "distill", "source": "resnet18_cub200"}
    nearest = {"initial": None, "start_choice": str(tmp_path / "nearest.csv")}
    members = (
        member("transfer"),
        member("fixmatch", objective="fixmatch"),
        member("single", **single),
        member("nearest", **single, **nearest),
    )
    settings = {"steps": 2, "labeled_batch": 2, "unlabeled_batch": 4, "lam": 0.8}
    settings |= {"temperature": 1.0, "learning_rate": 0.001, "weight_decay": 0.01}
    settings |= {"fixmatch_threshold": 0.3, "fixmatch_weight": 1.0}
    job = CohortJob(
        target="cub200",
        seed=0,
        students=members,
        sources=("resnet18_cub200",),
        models=(INITIAL, "resnet18_cub200"),
        image_size=48,
        settings=StudentSettings(**settings),
        view=VIEW,
        statistics=None,
        distill_labeled=False,
        device="cpu",
        checkpoint=str(tmp_path / "training.pt"),
        heads={"resnet18_cub200": "own"},
        feature_scale=1.0,
    )
    train_students.main(
        job,
        data,
        {"resnet18_cub200": tmp_path / "outputs.safetensors"},
        {name: bank / f"{name}.safetensors" for name in (INITIAL, "resnet18_cub200")},
        tmp_path / "cohort",
        threads=1,
    )
    start = {
        name: load_model(bank / f"{name}.safetensors")[0].backbone.state_dict()
        for name in (INITIAL, "resnet18_cub200")
    }
    for recipe, initial in (("single", INITIAL), ("nearest", "resnet18_cub200")):
        model, meta = load_model(tmp_path / "cohort" / recipe / "model.safetensors")
        assert (model.head.out_features, meta["image_size"]) == (4, 48)
        # Two small steps from its start, and far from the other.
        weight = model.backbone.state_dict()["conv1.weight"]
        gaps = {name: (weight - w["conv1.weight"]).abs().max() for name, w in start.items()}
        assert 0 < gaps[initial] < 0.01 < min(g for n, g in gaps.items() if n != initial)
    for recipe in ("transfer", "fixmatch", "single", "nearest"):
        predictions = pd.read_csv(tmp_path / "cohort" / recipe / "predictions.csv")
        assert predictions["image"].tolist() == read_image_names(folder / "images.csv", "test")


@pytest.mark.usefixtures("one_thread")
def test_a_source_can_be_trained_on_several_labels_an_image(bank, tmp_path):
    write_voc2007(tmp_path / "data", classes=3, per_class=4, seed=0)
    prepare(tmp_path / "voc", "voc2007", tmp_path / "data")
    settings = SourceSettings(steps=2, batch_size=4, learning_rate=0.001, weight_decay=0.01)
    job = SourceJob(
        name="resnet18_voc2007",
        architecture="resnet18",
        seed=0,
        settings=settings,
        view=VIEW,
        image_size=48,
        device="cpu",
        checkpoint=str(tmp_path / "training.pt"),
    )
    train_source.main(
        job,
        tmp_path / "voc",
        bank / f"{INITIAL}.safetensors",
        tmp_path / "model.safetensors",
        tmp_path / "meta.json",
        threads=1,
    )
    model, meta = load_model(tmp_path / "model.safetensors")
    assert model.head.out_features == meta["num_classes"] == 21
    assert meta["mean"] == [0.485, 0.456, 0.406]  # of the weights that it started from
    assert 0 <= meta["test_accuracy"] <= 100
