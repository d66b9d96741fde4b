"""Networks as `h o phi`, their cost, and their files."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from distillweighted.architectures import known_architectures
from distillweighted.models import (
    build_model,
    count_macs,
    count_parameters,
    load_model,
    replace_head,
    save_model,
)

STUDENT = "convnet_tiny"
SOURCES = [name for name in known_architectures() if name != STUDENT]
META = {"num_classes": 4, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.1]}


@pytest.fixture
def images():
    return torch.rand(3, 3, 24, 24, generator=torch.Generator().manual_seed(0))


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("source", SOURCES)
def test_the_student_is_cheaper_than_every_source(source):
    student, other = build_model(STUDENT, 10, seed=0), build_model(source, 10, seed=0)
    assert count_parameters(student) < count_parameters(other)
    assert count_macs(student, 24) < count_macs(other, 24)


def test_macs_and_parameters_by_hand():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Flatten(), nn.Linear(64, 5))
    # 8x8 in, 4x4 out: 16 positions x 4 outputs x 27 products; then 64 x 5.
    assert count_macs(model, 8) == 16 * 4 * 27 + 64 * 5
    assert count_parameters(model) == (4 * 27 + 4) + (64 * 5 + 5)
    model[0].requires_grad_(False)
    assert count_parameters(model) == 64 * 5 + 5


def test_counting_leaves_a_model_in_its_mode_and_its_statistics():
    model = build_model(STUDENT, 3, seed=0).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    count_macs(model, 24)
    assert model.training
    assert equal(before, model.state_dict())


@pytest.mark.parametrize("architecture", known_architectures())
def test_features_are_what_the_head_reads(architecture, images):
    model = build_model(architecture, 7, seed=0).eval()
    with torch.no_grad():
        features, logits = model.backbone(images), model(images)
    assert features.shape == (3, model.num_features)
    assert logits.shape == (3, 7)
    assert torch.equal(model.head(features), logits)
    by_hand = features.numpy() @ model.head.weight.detach().numpy().T
    by_hand += model.head.bias.detach().numpy()
    np.testing.assert_allclose(by_hand, logits.numpy(), atol=1e-5)
    # The images matter: an untrained network is not constant.
    assert features.std(dim=0).max() > 0


@pytest.mark.parametrize("architecture", known_architectures())
def test_initialisation_depends_on_the_seed_alone(architecture):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    model = build_model(architecture, 5, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert equal(model.state_dict(), build_model(architecture, 5, seed=3).state_dict())
    assert not torch.equal(model.head.weight, build_model(architecture, 5, seed=4).head.weight)


def test_an_unknown_architecture_names_the_known_ones():
    with pytest.raises(ValueError, match=r"'vgg'.*alexnet_tiny.*resnet50_tiny"):
        build_model("vgg", 5, seed=0)


def test_a_new_head_keeps_the_backbone():
    model = build_model(STUDENT, 5, seed=0)
    backbone = {name: t.clone() for name, t in model.backbone.state_dict().items()}
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert replace_head(model, 9, seed=1) is model
    assert torch.equal(torch.get_rng_state(), before)
    assert equal(backbone, model.backbone.state_dict())
    assert model.head.weight.shape == (9, model.num_features)
    again = replace_head(build_model(STUDENT, 5, seed=2), 9, seed=1)
    assert torch.equal(again.head.weight, model.head.weight)


@pytest.mark.parametrize("architecture", known_architectures())
def test_a_model_comes_back_bit_equal(tmp_path, architecture, images):
    model = build_model(architecture, 4, seed=0)
    model(images)  # moves the running statistics away from their start
    meta = {**META, "architecture": architecture, "classes": ["ä", "b", "c", "d"]}
    save_model(model, tmp_path / "model.safetensors", meta)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    loaded, stored = load_model(tmp_path / "model.safetensors")
    assert stored == meta
    assert equal(model.state_dict(), loaded.state_dict())
    with torch.no_grad():
        assert torch.equal(model.eval()(images), loaded.eval()(images))


FOREIGN = {
    "no metadata": None,
    "other metadata": {"format": "pt"},
    "not JSON": {"distillweighted": "{"},
    "not a mapping": {"distillweighted": "[1]"},
    "no architecture": {"distillweighted": json.dumps({"source": "a", "key": "b"})},
    "unknown architecture": {"distillweighted": json.dumps({**META, "architecture": "vgg"})},
    "other weights": {"distillweighted": json.dumps({**META, "architecture": STUDENT})},
}


@pytest.mark.parametrize("metadata", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_foreign_file_is_an_error_that_names_it(tmp_path, metadata):
    path = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(2)}, path, metadata=metadata)
    with pytest.raises(ValueError, match=r"foreign\.safetensors is not a model"):
        load_model(path)


def test_garbage_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "garbage.safetensors"
    path.write_bytes(b"no tensors at all")
    with pytest.raises(ValueError, match=r"garbage\.safetensors is not a model"):
        load_model(path)
