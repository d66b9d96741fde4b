"""Rules describe_source and infer_sources of models that stay in the user's own files."""

import json

import numpy as np
import pytest
import torch
from conftest import CONFIG, TARGET
from torch import nn

import describe_source
import infer_sources
from distillweighted.batches.normalization import normalize
from distillweighted.files.checksums import fingerprint_files
from distillweighted.sources.outputs import load_inference
from distillweighted.sources.stand_ins import kmeans_pseudo_labels
from distillweighted.tasks.prepared import read_image_names
from distillweighted.workflow.run import Run

STATISTICS = {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]}


class Net(nn.Module):
    def forward(self, pixels):
        return {"features": pixels[:, :, ::4, ::4].flatten(1)}


@pytest.fixture
def folder(tmp_path):
    """A program, arrays with probabilities, and arrays without."""
    batch = {"pixels": {0: torch.export.Dim.DYNAMIC}}
    program = torch.export.export(Net(), (torch.zeros(2, 3, 16, 16),), dynamic_shapes=batch)
    torch.export.save(program, tmp_path / "net.pt2")
    return tmp_path


def run_of(**source):
    return Run.of({**CONFIG, "sources": [*CONFIG["sources"], source]})


def describe(run, name, folder):
    describe_source.main(run.jobs.load(name), folder / "meta.json")
    return json.loads((folder / "meta.json").read_text())


def infer(run, name, world, folder):
    output = folder / "out.safetensors"
    model = run.checkpoint_path(name)
    infer_sources.infer(
        run.jobs.inference(TARGET, name), world.data["train_images"], world.data["index"],
        model, output, threads=1, facts=folder / "meta.json",
    )  # fmt: skip
    return load_inference(output)


def test_a_program_is_described_and_asked(world, folder):
    run = run_of(**{"from": "program", "file": str(folder / "net.pt2"), **STATISTICS})
    assert describe(run, "net", folder) == {
        "source": "net",
        "architecture": "program",
        "task": "",
        "num_classes": 0,
        "image_size": 16,
        **STATISTICS,
        "input": {"size": 16, "shorter_side": 16, "interpolation": "bilinear", "mode": "center"},
        "batch_size": 16,
        "outputs": {"features": "features"},
        "gmacs": None,
        "parameters": None,
        "licence": None,
        "checkpoint": "net.pt2",
        "sha256": fingerprint_files([folder / "net.pt2"]),
    }
    outputs = infer(run, "net", world, folder)
    images = torch.from_numpy(np.load(world.data["train_images"])).permute(0, 3, 1, 2)
    features = Net()(normalize(images, *STATISTICS.values()))["features"].numpy()
    np.testing.assert_allclose(outputs["features"], features, atol=1e-5)
    # It has no classifier.
    assert outputs["pseudo_labels"].shape == (60, 60 // 4)
    np.testing.assert_allclose(outputs["pseudo_labels"].sum(axis=1), 1, rtol=1e-5)


def test_arrays_are_described_and_asked(world, folder):
    names = read_image_names(world.data["index"], "train")
    rng = np.random.default_rng(0)
    features = rng.normal(size=(61, 7)).astype(np.float32)
    labels = rng.dirichlet(np.ones(3), 61).astype(np.float32)
    images = np.array([*reversed(names), "another"])
    np.savez(folder / "api.npz", images=images, features=features, probabilities=labels)
    run = run_of(**{"from": "arrays", "file": str(folder / "api.npz"), "name": "api"})
    meta = describe(run, "api", folder)
    assert (meta["num_classes"], meta["images"], meta["gmacs"]) == (3, 61, None)
    outputs = infer(run, "api", world, folder)
    np.testing.assert_array_equal(outputs["features"], features[59::-1])
    np.testing.assert_allclose(outputs["pseudo_labels"], labels[59::-1], rtol=1e-6)
    # k-means stands in where it is asked for, and where there are no probabilities.
    run = run_of(**{"from": "arrays", "file": str(folder / "api.npz"), "head": "kmeans"})
    clusters = infer(run, "api", world, folder)["pseudo_labels"]
    assert clusters.shape == (60, 15)
    np.savez(folder / "api.npz", images=images, features=features)
    run = run_of(**{"from": "arrays", "file": str(folder / "api.npz")})
    assert describe(run, "api", folder)["num_classes"] == 0
    np.testing.assert_array_equal(infer(run, "api", world, folder)["pseudo_labels"], clusters)
    assert kmeans_pseudo_labels(features[59::-1], seed=0).shape == clusters.shape


def test_what_cannot_be_asked_is_told_as_it_is_described(world, folder):
    np.savez(folder / "api.npz", images=np.array(["a", "b"]), features=np.eye(2))
    run = run_of(**{"from": "arrays", "file": str(folder / "api.npz"), "head": "own"})
    with pytest.raises(ValueError, match=r"api\.npz has no probabilities, which `head: own` of so"):
        describe(run, "api", folder)
    run = run_of(**{"from": "arrays", "file": str(folder / "api.npz")})
    describe(run, "api", folder)
    with pytest.raises(ValueError, match=r"api\.npz: 60 of 60 images are not in it, such as 'trai"):
        infer(run, "api", world, folder)
    run = run_of(**{"from": "program", "file": str(folder / "net.pt2"), "size": 32})
    with pytest.raises(ValueError, match=r"net\.pt2 takes images of 16 pixels, and `size` says 32"):
        describe(run, "net", folder)
    run = run_of(**{"from": "program", "file": str(folder / "none.onnx")})
    with pytest.raises(FileNotFoundError, match=r"none\.onnx is missing: the file of source none"):
        describe(run, "none", folder)
