"""Rules load_source and infer_sources of a user's own weights."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import CONFIG, TARGET
from safetensors import safe_open

import infer_sources
import load_source
from distillweighted.networks.classifier import build_model
from distillweighted.networks.model_files import fingerprint_weights
from distillweighted.sources.outputs import load_inference
from distillweighted.sources.stand_ins import kmeans_pseudo_labels
from distillweighted.workflow.run import Run

STATISTICS = {"size": 16, "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25]}


@pytest.fixture
def network(tmp_path):
    network = build_model("alexnet_tiny", 6, seed=3).eval()
    torch.save(network.state_dict(), tmp_path / "mine.pth")
    return network


def infer(world, folder, *, text=None, **keys):
    """What the source of a file says, after both rules."""
    group = {"from": "checkpoint", "file": str(folder / "mine.pth"), **STATISTICS, **keys}
    group |= {"architecture": "alexnet_tiny"} | ({} if text is None else {"text": str(text)})
    run = Run.of({**CONFIG, "sources": [*CONFIG["sources"], group]})
    model, output = folder / "model.safetensors", folder / "out.safetensors"
    load_source.main(run.jobs.load("mine"), model, folder / "meta.json")
    inputs = run.inference_inputs(TARGET, "mine")
    assert inputs["model"] == run.paths.model("mine")
    # As of a user's own task, whose test images are asked too.
    job = replace(run.jobs.inference(TARGET, "mine"), test_images=True)
    infer_sources.infer(
        job, world.data["train_images"], world.data["index"], model, output, threads=1,
        test_images=world.data["test_images"], text=text,
    )  # fmt: skip
    return load_inference(output)


def views(world, pool):
    images = torch.from_numpy(np.load(world.data[f"{pool}_images"])).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(STATISTICS[name]).view(3, 1, 1) for name in ("mean", "std"))
    return (images - mean) / std


@torch.no_grad()
def test_it_is_asked_about_training_and_test_images(world, tmp_path, network):
    outputs = infer(world, tmp_path)
    shown = views(world, "train")
    np.testing.assert_allclose(outputs["features"], network.backbone(shown), atol=1e-5)
    np.testing.assert_allclose(outputs["pseudo_labels"], network(shown).softmax(1), atol=1e-5)
    test = network.backbone(views(world, "test"))
    np.testing.assert_allclose(outputs["test_features"], test, atol=1e-5)
    meta = json.loads((tmp_path / "meta.json").read_text())
    assert (meta["checkpoint"], meta["num_classes"], meta["licence"]) == ("mine.pth", 6, None)
    assert meta["weights_sha256"] == fingerprint_weights(network)


@pytest.mark.parametrize("head", ["kmeans", "prototypes", "features"])
def test_other_heads_have_clusters_for_pseudo_labels(world, tmp_path, network, head):
    outputs = infer(world, tmp_path, head=head)
    labels = outputs["pseudo_labels"]
    assert labels.shape == kmeans_pseudo_labels(outputs["features"], seed=0).shape
    np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-5)
    again = infer(world, tmp_path, head=head)["pseudo_labels"]
    np.testing.assert_array_equal(labels, again)
    with safe_open(tmp_path / "out.safetensors", framework="np") as file:
        assert f'"head": "{head}"' in json.loads(file.metadata()["distillweighted"])["key"]


@torch.no_grad()
def test_zero_shot_labels_are_those_of_the_texts(world, tmp_path, network):
    rng = np.random.default_rng(0)
    text = {"fig": rng.normal(size=6), "a lime": rng.normal(size=6)}
    np.savez(tmp_path / "text.npz", **text)
    outputs = infer(world, tmp_path, head="zero_shot", text=tmp_path / "text.npz")
    embedded = network(views(world, "train"))[:, None]
    rows = torch.tensor(np.stack(list(text.values())), dtype=torch.float32)[None]
    cosines = torch.nn.functional.cosine_similarity(embedded, rows, dim=2)
    wanted = (100 * cosines).softmax(dim=1)
    np.testing.assert_allclose(outputs["pseudo_labels"], wanted, atol=1e-4)


BROKEN = {
    "one class": ({"fig": np.ones(3)}, "has 1 classes; zero-shot labels need two or more"),
    "lengths": ({"a": np.ones(3), "b": np.ones(4)}, r"the embedding of 'b' is float64 \[4\]; "),
    "zeros": ({"a": np.ones(3), "b": np.zeros(3)}, "the embedding of 'b' is not finite, or all 0"),
    "objects": ({"a": np.array([None] * 3), "b": np.ones(3)}, "cannot be read as .npz arrays"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_texts_that_cannot_be_used_are_told(tmp_path, content, message):
    from distillweighted.sources.inference import read_text_embeddings

    path = tmp_path / "text.npz"
    np.savez(path, **content)
    with pytest.raises(ValueError, match=rf"text\.npz.*{message}"):
        read_text_embeddings(path)
