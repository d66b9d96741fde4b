"""Networks as `h o phi`, their cost, and their files."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from distillweighted.files.tensors import save_tensors
from distillweighted.networks import architectures
from distillweighted.networks.architectures import EMBEDDED, is_known, known_architectures
from distillweighted.networks.classifier import (
    Classifier,
    build_model,
    find_head,
    replace_head,
    split_head,
)
from distillweighted.networks.cost import count_macs, count_parameters
from distillweighted.networks.libraries import build_network
from distillweighted.networks.model_files import fingerprint_weights, load_model, save_model

pytestmark = pytest.mark.usefixtures("one_thread")

STUDENT = "convnet_tiny"
TINY = sorted(EMBEDDED)
SOURCES = [name for name in TINY if not name.startswith(STUDENT)]
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


def test_macs_of_normalisation_and_adaptive_pooling_by_hand():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, 1, 1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.GroupNorm(2, 4, affine=False),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.LayerNorm(16),
        nn.Linear(16, 5),
    )
    products = 64 * 4 * 27 + 16 * 5
    assert count_macs(model, 8) == products + 5 * 4 * 64 + 4 * 4 * 16 + 4 * 16 + 5 * 16


def test_macs_of_attention_by_hand():
    """torch has fused attention, and in evaluation fused layers, which its counter misses."""
    width, hidden, layers, tokens = 8, 12, 2, 5
    model = torchvision.models.VisionTransformer(32, 16, layers, 2, width, hidden, num_classes=3)
    layer = tokens * (4 * width * width + 2 * width * hidden) + 2 * tokens * tokens * width
    norms = 5 * tokens * width * (2 * layers + 1)
    assert count_macs(model, 32) == 4 * width * 3 * 16 * 16 + layers * layer + norms + 3 * width


# By fvcore 0.1.5's FlopCountAnalysis in training mode; the paper's figures are the last column.
FULL_SIZE = [
    ("mobilenet_v3_large", 1280, 239233248, 0.24),
    ("alexnet", 4096, 714197696, 0.71),
    ("googlenet", 1024, 1514557168, 1.51),
    ("resnet18", 512, 1826516992, 1.83),
    ("resnet50", 2048, 4144854528, 4.14),
]


@pytest.mark.parametrize(("architecture", "width", "macs", "paper"), FULL_SIZE)
def test_the_papers_networks_have_the_papers_features_and_cost(architecture, width, macs, paper):
    model = build_model(architecture, 1000, seed=0)
    assert model.training
    assert model.num_features == width
    assert count_macs(model, 224) == macs
    assert round(macs / 1e9, 2) == paper
    published = torchvision.models.get_model_weights(architecture).IMAGENET1K_V1.meta
    # torchvision counts GoogLeNet as it comes here, without auxiliary classifiers.
    assert count_parameters(model) == published["num_params"]


@pytest.mark.parametrize("architecture", ["resnet18", "mobilenet_v3_large", "googlenet"])
def test_features_are_what_torchvisions_last_layer_reads(architecture):
    network = build_network(architecture, 7, seed=5)
    assert network.training
    read = []
    last = [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1]
    last.register_forward_hook(lambda _, inputs, output: read.append(inputs[0]))
    model = build_model(architecture, 7, seed=5).eval()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = network.eval().to(memory_format=torch.channels_last)(images)
        features = model.backbone(images)
        assert torch.equal(model(images), logits)
    assert torch.equal(features, read[0])
    assert features.shape == (2, model.num_features)
    assert not any(isinstance(layer, nn.Linear) for layer in [*model.backbone.modules()][-2:])


def test_torchvisions_classifiers_are_all_known():
    listed = torchvision.models.list_models(module=torchvision.models)
    assert list(architectures.TORCHVISION) == listed
    assert known_architectures() == sorted([*EMBEDDED, *listed])
    assert set(architectures.PAPER) == {name for name, *_ in FULL_SIZE}


def test_which_names_a_configuration_may_use():
    assert all(map(is_known, [*TINY, "alexnet", "vit_b_16", "timm-resnet10t", "timm-never_made"]))
    strange = ["", "timm-", "timm/resnet10t", "timm:resnet10t", "timm-resnet18.a1_in1k", "timm-a\n"]
    assert not any(
        map(is_known, [*strange, "timm-../x", "resnet19", "AlexNet", "deeplabv3_resnet50"])
    )


def test_names_are_known_without_torch_and_tiny_networks_without_torchvision():
    script = """
import sys
from distillweighted.networks.architectures import describe_unknown, is_known
assert is_known("resnet50") and describe_unknown("resnet51")
assert not {"torch", "torchvision", "timm"} & set(sys.modules)
from distillweighted.networks.classifier import build_model
from distillweighted.networks.cost import count_macs
count_macs(build_model("resnet18_tiny", 3, seed=0), 24)
assert not {"torchvision", "timm"} & set(sys.modules)
"""
    folder = Path(architectures.__file__).parent.parent
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=True)


def test_counting_leaves_a_model_in_its_mode_and_its_statistics():
    model = build_model(STUDENT, 3, seed=0).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    count_macs(model, 24)
    assert model.training
    assert equal(before, model.state_dict())


@pytest.mark.parametrize("architecture", TINY)
def test_features_of_tiny_networks_are_what_the_head_reads(architecture, images):
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


@pytest.mark.parametrize("architecture", [*TINY, "mobilenet_v3_small"])
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
    with pytest.raises(ValueError, match=r"'resnet5O'; did you mean 'resnet50'\?") as error:
        build_model("resnet5O", 5, seed=0)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 350  # not a hundred names


def test_networks_of_timm():
    model = build_model("timm-test_vit", 6, seed=3).eval()
    again = build_model("timm-test_vit", 6, seed=3)
    assert equal(model.state_dict(), again.state_dict())
    images = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = model.backbone(images)
        assert features.shape == (2, model.num_features)
        assert torch.equal(model.head(features), model(images))
    assert model.head.out_features == 6


def test_a_name_that_timm_lacks_is_an_error_with_a_close_one():
    with pytest.raises(ValueError, match=r"no model 'test_vot'; did you mean 'timm-test_vit\d?'"):
        build_model("timm-test_vot", 5, seed=0)


class TwoHeads(nn.Module):
    """As DeiT with distillation."""

    def __init__(self):
        super().__init__()
        self.flat, self.first, self.last = nn.Flatten(), nn.LazyLinear(3), nn.LazyLinear(3)

    def forward(self, images):
        return (self.first(self.flat(images)) + self.last(self.flat(images))) / 2


class BareTokens(nn.Module):
    """Applies its linear layer to every column of pixels before it sums."""

    def __init__(self):
        super().__init__()
        self.head = nn.LazyLinear(3)

    def forward(self, images):
        return self.head(images[:, 0])


HEADLESS = {
    "two heads": TwoHeads(),
    "more after the head": nn.Sequential(nn.Flatten(), nn.LazyLinear(3), nn.LogSoftmax(1)),
    "no linear layer": nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "not one vector an image": BareTokens(),
}


@pytest.mark.parametrize("network", HEADLESS.values(), ids=HEADLESS.keys())
def test_a_network_without_a_linear_head_is_an_error_that_names_it(network):
    with pytest.raises(ValueError, match=r"'odd' \(\w+\) cannot be cut.*choose another"):
        find_head(network, "odd")
    assert network.training
    assert not any(layer._forward_hooks for layer in network.modules())


def test_an_architecture_without_a_linear_head_is_an_error_that_names_it():
    with pytest.raises(ValueError, match=r"'squeezenet1_1' \(SqueezeNet\) cannot be cut"):
        build_model("squeezenet1_1", 5, seed=0)


def test_the_head_is_the_layer_that_makes_the_output_wherever_it_stands():
    class HeadFirst(nn.Module):
        def __init__(self):
            super().__init__()
            self.top = nn.ModuleDict({"head": nn.Linear(4, 3)})
            self.body = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))

        def forward(self, images):
            return self.top["head"](self.body(images))

    network = HeadFirst().eval()
    images = torch.rand(2, 3, 5, 5)
    logits, features = network(images), network.body(images)
    name = find_head(network, "odd")
    assert name == "top.head"
    model = split_head(network, name).eval()
    assert torch.equal(model(images), logits)
    assert torch.equal(model.backbone(images), features)


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


def test_a_new_head_has_a_bias_where_the_old_one_has():
    model = Classifier(nn.Flatten(), nn.Linear(3, 2, bias=False))
    assert replace_head(model, 5, seed=0).head.bias is None
    images = torch.rand(4, 3, 1, 1)
    assert torch.equal(model(images), F.linear(images.flatten(1), model.head.weight))


@pytest.mark.parametrize("architecture", [*TINY, "mobilenet_v3_small"])
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


def test_weights_are_told_apart_by_all_but_the_head(tmp_path):
    model = build_model(STUDENT, 4, seed=0)
    save_model(model, tmp_path / "a.safetensors", {**META, "architecture": STUDENT})
    loaded, _ = load_model(tmp_path / "a.safetensors")
    first = fingerprint_weights(model)
    assert len(first) == 64 and fingerprint_weights(loaded) == first
    assert fingerprint_weights(replace_head(loaded, 7, seed=1)) == first
    assert fingerprint_weights(build_model(STUDENT, 4, seed=1)) != first
    with torch.no_grad():
        next(model.backbone.parameters()).mul_(1.001)
    assert fingerprint_weights(model) != first


FOREIGN = {
    "no architecture": {"source": "a", "key": "b"},
    "unknown architecture": {**META, "architecture": "vgg"},
    "other weights": {**META, "architecture": STUDENT},
}


@pytest.mark.parametrize("facts", FOREIGN.values(), ids=FOREIGN.keys())
def test_another_file_is_an_error_that_names_it(tmp_path, facts):
    path = tmp_path / "foreign.safetensors"
    save_tensors(path, {"weight": np.zeros(2)}, facts)
    with pytest.raises(ValueError, match=r"foreign\.safetensors is not a model"):
        load_model(path)
