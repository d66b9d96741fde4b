"""Weights of others: every spelling that occurs loads, and nothing that does not fit does."""

import os
import pickle
from collections import OrderedDict

import pytest
import torch
import torchvision
from miniature.bank import write_bank, write_torchvision_weights
from torch import nn

from distillweighted.sources.published_weights import (
    CheckpointError,
    imagenet_statistics,
    load_parc_checkpoint,
    load_torchvision_weights,
    torchvision_weights_url,
)

pytestmark = pytest.mark.usefixtures("one_thread")

# The smallest of torchvision's networks, for what does not depend on the architecture.
SMALL, CLASSES = "shufflenet_v2_x0_5", 21


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    root = tmp_path_factory.mktemp("bank")
    counts = {"voc2007": CLASSES}
    return write_bank(root, architectures=["resnet18", "googlenet", SMALL], class_counts=counts)


@pytest.fixture(scope="module")
def stored(bank):
    """The small file's content: names with `module.`."""
    return torch.load(bank[f"{SMALL}_voc2007"], weights_only=True)


def images(size=64, n=3):
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(0))


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def assert_same_network(model, network, pictures):
    """The same logits, and as features what the network's last linear layer reads."""
    read = []
    last = [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1]
    last.register_forward_hook(lambda _, inputs, output: read.append(inputs[0]))
    with torch.no_grad():
        logits = network.eval()(pictures)
        features = model.eval().backbone(pictures)
        torch.testing.assert_close(model(pictures), logits, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(features, read[0], atol=1e-3, rtol=1e-3)
    return features


@pytest.mark.parametrize("architecture", ["resnet18", "googlenet", SMALL])
def test_a_source_of_the_bank_is_parcs(bank, architecture):
    """Loaded as PARC's `load_source_model` does."""
    path = bank[f"{architecture}_voc2007"]
    options = {"aux_logits": False, "init_weights": False} if architecture == "googlenet" else {}
    network = torchvision.models.get_model(architecture, num_classes=CLASSES, **options)
    nn.DataParallel(network).load_state_dict(torch.load(path, weights_only=True))
    model = load_parc_checkpoint(path, architecture, CLASSES)
    assert model.training
    assert model.head.out_features == CLASSES
    features = assert_same_network(model, network, images())
    assert features.isfinite().all()
    assert features.std(dim=0).mean() > 0.01


def test_the_bank_has_parcs_layout_and_its_weights_depend_on_names_and_seed(tmp_path, bank, stored):
    path = bank["resnet18_voc2007"]
    assert path.parts[-3:] == ("models", "resnet18", "resnet18_voc2007.pth")
    assert all(name.startswith("module.") for name in stored)
    counts = {"voc2007": CLASSES, "cub200": CLASSES}
    again = write_bank(tmp_path, architectures=[SMALL], class_counts=counts)
    assert equal(torch.load(again[f"{SMALL}_voc2007"]), stored)
    assert not equal(torch.load(again[f"{SMALL}_cub200"]), stored)
    other = write_bank(tmp_path / "o", architectures=[SMALL], class_counts=counts, seed=1)
    assert not equal(torch.load(other[f"{SMALL}_voc2007"]), stored)


def plain(state):
    return OrderedDict((name.removeprefix("module."), value) for name, value in state.items())


SPELLINGS = {
    "without module.": plain,
    "a plain dict": dict,
    "under state_dict": lambda state: {"state_dict": state, "epoch": 3, "best": 0.5},
    "without counters": lambda state: {
        name: value for name, value in state.items() if not name.endswith("num_batches_tracked")
    },
    "auxiliary classifiers": lambda state: {**state, "module.aux1.fc1.bias": torch.zeros(3)},
    "double precision": lambda state: {
        name: value.double() if value.is_floating_point() else value
        for name, value in state.items()
    },
}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older format"])
@pytest.mark.parametrize("change", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_every_spelling_gives_the_same_model(tmp_path, bank, stored, change, zipped):
    path = tmp_path / "other.pth"
    torch.save(change(stored), path, _use_new_zipfile_serialization=zipped)
    model = load_parc_checkpoint(path, SMALL, CLASSES).state_dict()
    expected = load_parc_checkpoint(bank[f"{SMALL}_voc2007"], SMALL, CLASSES).state_dict()
    counters = [name for name in expected if name.endswith("num_batches_tracked")]
    weights = [{n: v for n, v in s.items() if n not in counters} for s in (model, expected)]
    assert equal(*weights)
    assert {value.dtype for value in weights[0].values()} == {torch.float32}


def changed(name, value):
    return lambda state: {**state, f"module.{name}": value}


def without(name):
    return lambda state: {n: v for n, v in state.items() if n != f"module.{name}"}


RAGGED = torch.zeros(21, 1024)
RAGGED[3, 4] = torch.nan

MISFITS = {
    "missing": (without("conv1.0.weight"), "1 are missing, such as 'conv1.0.weight'; get the file"),
    "extra": (changed("neck.bias", torch.zeros(2)), "1 are unknown, such as 'neck.bias'; get the"),
    "a name of two lines": (changed("a\nb", torch.zeros(2)), r"unknown, such as 'a\\nb'; get"),
    "shape": (
        changed("conv1.0.weight", torch.zeros(24, 3, 5, 5)),
        r"1 are of other shapes or types, such as 'conv1.0.weight' \(24x3x5x5 float32, not 24x3x3",
    ),
    "features": (
        changed("fc.weight", torch.zeros(21, 512)),
        r"'fc.weight' \(21x512 float32, not 2",
    ),
    "no output": (changed("fc.bias", torch.tensor(0.0)), r"'fc.bias' \(one number float32, not 21"),
    "integers": (changed("fc.bias", torch.arange(21)), r"'fc.bias' \(21 int64, not 21 float32\)"),
    "complex": (changed("fc.bias", torch.zeros(21, dtype=torch.complex64)), "complex64, not 21"),
    "not finite": (changed("fc.weight", RAGGED), "'fc.weight' has values that are not finite"),
    "infinite in float32": (
        changed("fc.bias", torch.full((21,), 1e300, dtype=torch.float64)),
        "'fc.bias' has values that are not finite",
    ),
    "sparse": (changed("fc.bias", torch.zeros(21).to_sparse()), "'module.fc.bias' is no plain"),
    "not a tensor": (changed("fc.bias", [0.0] * 21), "'module.fc.bias' is of type list, not a wei"),
    "a number as name": (
        lambda state: {**state, 3: torch.zeros(2)},
        "3 is of type Tensor, not a wei",
    ),
    "half of the prefixes": (lambda s: {**s, "fc.bias": torch.zeros(21)}, "are missing, such as"),
    "nothing": (lambda state: {}, "holds no weights by name; it must be a state dict"),
    "a list": (lambda state: [1, 2], "holds no weights by name; it must be a state dict"),
    "other keys": (lambda state: {"model": state}, "'model' is of type OrderedDict, not a weight"),
}


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize(("change", "message"), MISFITS.values(), ids=MISFITS.keys())
def test_weights_that_do_not_fit_are_an_error_that_names_file_and_cause(
    tmp_path, stored, change, message
):
    path = tmp_path / "strange.pth"
    torch.save(change(stored), path)
    with pytest.raises(CheckpointError, match=rf"strange\.pth.*{message}") as error:
        load_parc_checkpoint(path, SMALL, CLASSES)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("classes", [20, 200])
def test_another_number_of_classes_is_an_error_that_tells_both(bank, classes):
    path = bank[f"{SMALL}_voc2007"]
    with pytest.raises(
        CheckpointError, match=rf"voc2007\.pth.* {SMALL} with {classes} classes: they have 21;"
    ):
        load_parc_checkpoint(path, SMALL, classes)


@pytest.mark.parametrize(
    ("architecture", "asked"), [("resnet18", SMALL), ("googlenet", "resnet18")]
)
def test_another_architecture_is_an_error_that_tells_what_it_looks_like(bank, architecture, asked):
    path = bank[f"{architecture}_voc2007"]
    with pytest.raises(
        CheckpointError,
        match=rf"_voc2007\.pth: its weights do not fit {asked}: .*they look like {architecture}: ",
    ):
        load_parc_checkpoint(path, asked, 10)


@pytest.mark.parametrize("name", ["alexnet_tiny", "timm-resnet18", "resnet81"])
def test_other_than_torchvisions_architectures_are_errors(bank, name):
    with pytest.raises(CheckpointError, match=rf"voc2007\.pth: torchvision has no .*'{name}'"):
        load_parc_checkpoint(bank[f"{SMALL}_voc2007"], name, CLASSES)


class Attack:
    """Leaves a folder behind where it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older format"])
def test_a_file_that_would_run_code_is_not_opened(tmp_path, stored, zipped):
    path = tmp_path / "attack.pth"
    content = {**stored, "module.fc.bias": Attack(tmp_path / "attacked")}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        CheckpointError, match=r"attack\.pth is not opened.*mkdir.*run code"
    ) as error:
        load_parc_checkpoint(path, SMALL, CLASSES)
    assert "weights_only" not in str(error.value)  # torch's advice is to trust the file
    path.write_bytes(pickle.dumps(Attack(tmp_path / "attacked"), protocol=2))
    with pytest.raises(CheckpointError, match=r"attack\.pth"):
        load_parc_checkpoint(path, SMALL, CLASSES)
    assert not (tmp_path / "attacked").exists()
    # The attack is one: the unrestricted unpickler falls for it.
    pickle.loads(path.read_bytes())
    assert (tmp_path / "attacked").exists()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older format"])
def test_damaged_files_are_errors_that_name_them(tmp_path, stored, zipped):
    path = tmp_path / "damaged.pth"
    torch.save(stored, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    pieces = [whole[:cut] for cut in (0, 1, 1000, len(whole) // 2, len(whole) - 100)]
    for piece in [*pieces, b"<html>404</html>", b"\x80\x02" + bytes(range(256))]:
        path.write_bytes(piece)
        with pytest.raises(CheckpointError, match=r"damaged\.pth cannot be read.*get it again"):
            load_parc_checkpoint(path, SMALL, CLASSES)
    path.unlink()
    with pytest.raises(CheckpointError, match=r"damaged\.pth: there is no such file"):
        load_parc_checkpoint(path, SMALL, CLASSES)


def test_layers_of_other_versions_are_upgraded_as_torch_does(tmp_path):
    """MNASNet refuses weights that do not say which version of it wrote them."""
    path = write_bank(tmp_path, architectures=["mnasnet0_5"], class_counts={"cub200": 4})
    path = path["mnasnet0_5_cub200"]
    state = torch.load(path)
    state._metadata["module.layers.1"] = "no version"  # skipped
    torch.save(state, path)
    loaded = load_parc_checkpoint(path, "mnasnet0_5", 4)
    assert torch.equal(loaded.head.weight, state["module.classifier.1.weight"])
    torch.save(dict(state), path)
    with pytest.raises(
        CheckpointError, match=r"cub200\.pth: its .*version should be set to 1 or 2"
    ):
        load_parc_checkpoint(path, "mnasnet0_5", 4)


def test_densenets_older_names_are_understood(tmp_path):
    """torchvision's published files have `denselayer1.norm.1` for `denselayer1.norm1`."""
    path = write_torchvision_weights(tmp_path, ["densenet121"])["densenet121"]
    state = torch.load(path)
    older = {
        name.replace("norm1.", "norm.1.").replace("conv2.", "conv.2.")
        if "denselayer" in name
        else name: value
        for name, value in state.items()
    }
    assert older.keys() != state.keys()
    torch.save(older, path)
    loaded = load_torchvision_weights(path, "densenet121").state_dict()
    assert torch.equal(loaded["head.weight"], state["classifier.weight"])
    name = "features.denseblock2.denselayer3.conv2.weight"
    assert torch.equal(loaded[f"backbone.{name}"], state[name])


def test_torchvisions_weights_load_and_googlenet_has_statistics_of_its_own(tmp_path):
    """torchvision gives GoogLeNet's weights with auxiliary classifiers and `transform_input`."""
    path = write_torchvision_weights(tmp_path, ["googlenet"])["googlenet"]
    assert path.parts[-2:] == ("torchvision", "googlenet.pth")
    state = torch.load(path)
    assert "aux2.fc1.weight" in state
    network = torchvision.models.GoogLeNet(transform_input=True, init_weights=False)
    network.load_state_dict(state)
    model = load_torchvision_weights(path, "googlenet").eval()
    assert model.head.out_features == 1000

    def normalized(pixels, statistics):
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in statistics)
        return (pixels - mean) / std

    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = network.eval()(normalized(pixels, imagenet_statistics()))
        logits = model(normalized(pixels, imagenet_statistics("googlenet")))
        wrong = model(normalized(pixels, imagenet_statistics()))
    torch.testing.assert_close(logits, expected, atol=1e-3, rtol=1e-3)
    assert (wrong - expected).abs().max() > 0.05


def test_statistics_are_torchvisions():
    usual = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert imagenet_statistics() == usual
    for architecture in ("mobilenet_v3_large", "alexnet", "resnet18", "resnet50"):
        assert imagenet_statistics(architecture) == usual
    for architecture in ("googlenet", "inception_v3", "efficientnet_v2_l"):
        assert imagenet_statistics(architecture) == ((0.5,) * 3, (0.5,) * 3)


def test_addresses_are_those_of_torchvisions_first_weights():
    for architecture, file in {
        "mobilenet_v3_large": "mobilenet_v3_large-8738ca79.pth",
        "resnet50": "resnet50-0676ba61.pth",
        "alexnet": "alexnet-owt-7be5be79.pth",
    }.items():
        url = torchvision_weights_url(architecture)
        assert url.startswith("https://")
        assert url.rsplit("/", 1)[1] == file
    for architecture in ("vit_h_14", "resnet81", "alexnet_tiny"):
        with pytest.raises(ValueError, match=f"IMAGENET1K_V1 weights of '{architecture}'"):
            torchvision_weights_url(architecture)
