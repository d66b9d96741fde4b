"""Programs agree with the model, on batches of any size."""

import json

import numpy as np
import onnx
import pytest
import torch

from distillweighted.deployment.programs import (
    Deployed,
    largest_differences,
    run_onnx,
    run_pt2,
    write_programs,
)
from distillweighted.networks.classifier import build_model

FACTS = {"name": "run/fruit", "classes": ["Äpfel", "figs"], "image_size": 16}


def model_of(seed):
    model = build_model("convnet_tiny", 2, seed=seed)
    return Deployed(model, [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]).eval()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("programs")
    paths = {"onnx": folder / "model.onnx", "pt2": folder / "model.pt2"}
    write_programs(model_of(1), 16, FACTS, **paths)
    return paths


IMAGES = np.random.default_rng(0).integers(0, 256, (37, 3, 16, 16), np.uint8)


def test_a_deployed_model_normalises_and_gives_probabilities():
    model = model_of(1)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ([0.4, 0.5, 0.6], [0.2, 0.25, 0.3]))
    with torch.no_grad():
        logits = model.network((torch.from_numpy(IMAGES) / 255 - mean) / std)
        assert torch.allclose(model(torch.from_numpy(IMAGES)), logits.softmax(1), atol=1e-6)


def test_both_programs_give_the_models_probabilities_whatever_the_batch(exported):
    with torch.no_grad():
        wanted = model_of(1)(torch.from_numpy(IMAGES)).numpy()
    for batch in (1, 5, 37):
        assert run_onnx(exported["onnx"], IMAGES, batch=batch) == pytest.approx(wanted, abs=1e-5)
        assert run_pt2(exported["pt2"], IMAGES, batch=batch) == pytest.approx(wanted, abs=1e-5)
    differences = largest_differences(model_of(1), IMAGES, **exported)
    assert differences.keys() == {"model.onnx", "model.pt2"}
    assert max(differences.values()) < 1e-5


def test_a_program_of_another_model_is_an_error(exported):
    said = r"model.onnx: a probability differs by .* \(allowed: 0.001\), on 37 real images"
    with pytest.raises(RuntimeError, match=said):
        largest_differences(model_of(2), IMAGES, **exported)


def test_the_onnx_file_says_what_it_is(exported):
    graph = onnx.load(exported["onnx"])
    said = {entry.key: entry.value for entry in graph.metadata_props}
    assert said["name"] == "run/fruit" and said["image_size"] == "16"
    assert json.loads(said["classes"]) == ["Äpfel", "figs"]
    (put_in,), (out,) = graph.graph.input, graph.graph.output
    assert (put_in.name, out.name) == ("images", "probabilities")
    assert put_in.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    sides = [d.dim_value or d.dim_param for d in put_in.type.tensor_type.shape.dim]
    assert isinstance(sides[0], str) and sides[1:] == [3, 16, 16]


def test_the_other_program_carries_the_same_facts(exported):
    facts = {"facts.json": ""}
    torch.export.load(exported["pt2"], extra_files=facts)
    assert json.loads(facts["facts.json"]) == FACTS


def test_what_cannot_be_exported_is_named(tmp_path):
    class Odd(torch.nn.Module):
        def forward(self, images):
            return images.flatten(1)[:, : int(images.sum().item())]

    with pytest.raises(RuntimeError, match=r"^odd_net cannot be exported: "):
        write_programs(
            Deployed(Odd(), [0.5] * 3, [0.5] * 3), 8, {"architecture": "odd_net"},
            onnx=tmp_path / "a.onnx", pt2=tmp_path / "a.pt2",
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []
