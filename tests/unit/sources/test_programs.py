"""Programs as sources: outputs as of the network that was exported, and every way to be wrong."""

import re

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from distillweighted.batches.normalization import normalize
from distillweighted.batches.views import AS_STORED
from distillweighted.errors import DataError
from distillweighted.sources.programs import describe_program, run_program

SIDE, MEAN, STD = 16, (0.2, 0.4, 0.6), (0.3, 0.2, 0.1)
IMAGES = np.random.default_rng(0).integers(0, 256, (21, SIDE, SIDE, 3), np.uint8)


class Net(nn.Module):
    """Features of 6 numbers and logits of 5 classes, in one of the ways that programs give them."""

    def __init__(self, gives):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.body = nn.Sequential(nn.Conv2d(3, 6, 3, 2), nn.BatchNorm2d(6), nn.ReLU())
            self.head = nn.Linear(6, 5)
        self.gives = gives

    def forward(self, pixels):
        maps = self.body(pixels)
        features = maps.mean((2, 3))
        logits = self.head(features)
        if self.gives == "logits":
            return logits
        if self.gives == "probabilities":
            return logits.softmax(1)
        if self.gives == "maps and probabilities":
            return maps, logits.softmax(1)
        return {"features": features, "logits": logits}


def expected(gives):
    """What a source of `Net` says of the images: features and pseudo-labels."""
    with torch.no_grad():
        batch = normalize(torch.from_numpy(IMAGES).permute(0, 3, 1, 2), MEAN, STD)
        both = Net("both").eval()(batch)
    labels = both["logits"].softmax(1)
    features = {"logits": both["logits"], "probabilities": labels}.get(gives, both["features"])
    return {"features": features.numpy(), "pseudo_labels": labels.numpy()}


def export(path, kind, net, batch):
    """Export a network for batches of one size, or of any."""
    shown = torch.randn(batch or 2, 3, SIDE, SIDE)
    free = None if batch else {"pixels": {0: torch.export.Dim.DYNAMIC}}
    if kind == "torchscript":
        torch.jit.save(torch.jit.trace(net, shown, strict=False), path)
        return
    program = torch.export.export(net, (shown,), dynamic_shapes=free)
    if kind == "export":
        torch.export.save(program, path)
    else:
        names = ["features", "logits"] if net.gives == "both" else None
        torch.onnx.export(program, (), path, output_names=names, verbose=False, optimize=False)


CASES = [
    ("onnx", "logits", 1),
    ("onnx", "both", None),
    ("torchscript", "logits", 1),
    ("torchscript", "both", None),
    ("torchscript", "maps and probabilities", None),
    ("export", "logits", 1),
    ("export", "logits", 4),
    ("export", "both", None),
    ("export", "probabilities", None),
    ("export", "maps and probabilities", None),
]
OUTPUTS = {"probabilities": {"probabilities": 0}}
OUTPUTS["maps and probabilities"] = {"features": 0, "probabilities": 1}


def described(path, size=None, outputs=None, head="own"):
    return describe_program(path, size=size, outputs=outputs or {}, head=head)


def run(path, **facts):
    return run_program(path, IMAGES, {"mean": MEAN, "std": STD, **facts}, view=AS_STORED)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(("kind", "gives", "batch"), CASES)
def test_a_program_says_what_its_network_says(kind, gives, batch, tmp_path):
    net = Net(gives).eval()
    path = tmp_path / {"onnx": "a.onnx", "torchscript": "a.pt", "export": "a.pt2"}[kind]
    export(path, kind, net, batch)
    facts = described(path, SIDE if kind == "torchscript" else None, OUTPUTS.get(gives))
    assert (facts["num_classes"], facts["image_size"]) == (5, SIDE)
    # 16 at once, but of 21 images, where it is free; TorchScript does not say that it is not.
    assert facts["batch_size"] == (batch if batch and kind != "torchscript" else 16)
    weights = sum(weight.numel() for weight in net.parameters())
    statistics = 2 * 6  # of the normalisation, which are no parameters but in an ONNX file
    assert facts["parameters"] == weights + statistics * (kind == "onnx")
    outputs = run(path, **facts)
    for name, values in expected(gives).items():
        assert outputs[name].dtype == np.float32
        np.testing.assert_allclose(outputs[name], values, atol=1e-4)
    np.testing.assert_allclose(outputs["pseudo_labels"].sum(axis=1), 1, rtol=1e-6)


class Fixed(nn.Module):
    """A network that was made for one image at a time."""

    def forward(self, pixels):
        return pixels.reshape(1, -1)[:, :9]


def test_a_program_that_takes_one_image_though_it_does_not_say_so(tmp_path):
    path = tmp_path / "a.pt"
    torch.jit.save(torch.jit.trace(Fixed(), torch.zeros(1, 3, SIDE, SIDE)), path)
    facts = described(path, SIDE, head="kmeans")
    assert facts == {
        "num_classes": 0,
        "image_size": SIDE,
        "batch_size": 1,
        "outputs": {"features": "0"},
        "parameters": None,
    }
    outputs = run(path, **facts)
    assert list(outputs) == ["features"]
    row = (IMAGES[20, 0, :9, 0] / 255 - MEAN[0]) / STD[0]
    np.testing.assert_allclose(outputs["features"][20], row, rtol=1e-5)


# Wrong programs, written by hand.


def onnx_program(path, shape=("n", 3, SIDE, SIDE), *, kind=TensorProto.FLOAT, nodes=None, more=()):
    """An ONNX file; by default the mean over an image's places, [n, 3]."""
    nodes = nodes or [helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=0)]
    outputs = [name for node in nodes for name in node.output]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, kind, shape) for name in ("x", *more)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.array([2, 3]), "axes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)
    return path


def test_weights_that_are_no_floats_are_not_counted(tmp_path):
    assert described(onnx_program(tmp_path / "a.onnx"))["parameters"] is None


def node(kind, *inputs, to="y", **attributes):
    return helper.make_node(kind, inputs, [to], **attributes)


MEANS = node("ReduceMean", "x", "axes", to="means", keepdims=0)


@pytest.mark.parametrize(
    ("program", "asked", "message"),
    [
        ({"shape": ("n", 1, 16, 16)}, {},
         "takes input [any, 1, 16, 16], not images [n, 3, h, w]; export it with colour channels "
         "first"),
        ({"shape": ("n", 16, 16, 3)}, {}, "takes input [any, 16, 16, 3], not images"),
        ({"shape": ("n", 3, 16), "nodes": [node("Identity", "x")]}, {},
         "takes input [any, 3, 16], not images [n, 3, h, w]"),
        ({"shape": (1, 3, 16, 32)}, {},
         "takes input [1, 3, 16, 32], and only square images are shown"),
        ({}, {"size": 32}, "takes images of 16 pixels, and `size` says 32; leave `size` out"),
        ({"kind": TensorProto.UINT8, "nodes": [helper.make_node("Cast", ["x"], ["y"], to=1)]}, {},
         "takes tensor(uint8), not normalised floats; export it without its transform"),
        ({"more": ("mask",)}, {}, "takes 2 inputs (x, mask), not one batch of images"),
        ({}, {"outputs": {"features": "z"}}, "has no output 'z', but y [3] (outputs.features)"),
        ({}, {"outputs": {"features": 1}}, "has no output '1', but y [3] (outputs.features)"),
        ({"nodes": [MEANS, node("Neg", "means", to="y")]}, {},
         "has the outputs means [3], y [3]; say which is what, as in `outputs: {features: means}` "
         "(kinds: features, logits, probabilities)"),
        ({"nodes": [node("Identity", "x")]}, {},
         "output 'y' is [n, 3, 16, 16], which are no logits"),
        ({"nodes": [node("ReduceMean", "x", "axes", keepdims=0), node("Log", "y", to="z")]}, {},
         "output 'z' of a plain image is not finite"),
        ({"nodes": [MEANS, node("Softmax", "means", axis=1)]}, {"outputs": {"logits": "y"}},
         "output 'y' sums to 1 and is nowhere below 0: it is not logits. Say `outputs: "
         "{probabilities: y}`"),
        ({}, {"outputs": {"probabilities": "y"}},
         "output 'y' does not sum to 1 within 0.01, or is below 0: it is not probabilities. Say "
         "`outputs: {logits: y}`"),
        ({"nodes": [MEANS, node("RandomUniformLike", "means", to="y")]},
         {"outputs": {"logits": "y"}},
         "says two things of one image, by chance or by the images beside it; export it in "
         "evaluation mode"),
        ({"nodes": [node("ReduceMean", "x", keepdims=0)]}, {},
         "of 1 images, output 'y' is []; it has to have a row an image"),
        ({"shape": ("n", 3, "h", "w"), "nodes": [node("Reshape", "x", "axes")]}, {},
         "cannot run on images [1, 3, 224, 224] ("),
    ],
)  # fmt: skip
def test_a_program_that_cannot_serve_is_told_before_it_is_used(program, asked, message, tmp_path):
    path = tmp_path / "a.onnx"
    onnx_program(path, **program)
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        described(path, **asked)
    assert str(caught.value).startswith(str(path))


def test_what_is_not_finite_of_the_images_is_told(tmp_path):
    # The square root of what is below 0 in dark images, but not in those that it was tried on.
    nodes = [
        node("ReduceMax", "x", "axes", to="largest", keepdims=0),
        node("Sqrt", "largest", to="y"),
    ]
    path = onnx_program(tmp_path / "a.onnx", nodes=nodes)
    facts = described(path, outputs={"features": "y"})
    dark = np.zeros((2, SIDE, SIDE, 3), np.uint8)
    with pytest.raises(DataError, match=r"a\.onnx: its features are not finite"):
        run_program(path, dark, {"mean": MEAN, "std": STD, **facts}, view=AS_STORED)


def test_files_that_are_no_programs_are_told(tmp_path):
    def message(name):
        with pytest.raises(DataError) as caught:
            described(tmp_path / name)
        return str(caught.value).removeprefix(f"{tmp_path / name}")

    (tmp_path / "a.onnx").write_bytes(b"nothing of the kind")
    assert message(
        "a.onnx"
    ) == " is no program (torch.export, TorchScript or ONNX), or damaged " + ("(DecodeError)")
    torch.save(Net("logits").state_dict(), tmp_path / "a.pt")
    assert message("a.pt") == (
        " is no program (torch.export, TorchScript or ONNX); of weights alone, use `from: "
        "checkpoint`"
    )
    export(tmp_path / "b.onnx", "onnx", Net("logits").eval(), 1)
    model = onnx.load(tmp_path / "b.onnx")
    onnx.save(
        model, tmp_path / "c.onnx", save_as_external_data=True, location="w", size_threshold=0
    )
    (tmp_path / "w").unlink()
    assert message("c.onnx") == ": its weights are in w, which is not beside it; copy both files"
    model = onnx.load(tmp_path / "c.onnx", load_external_data=False)
    model.graph.initializer[0].external_data[0].value = "../w"
    onnx.save(model, tmp_path / "d.onnx")
    assert message("d.onnx") == ": its weights are in '../w', not beside it"
    data = (tmp_path / "b.onnx").read_bytes()
    (tmp_path / "e.onnx").write_bytes(data[: len(data) // 2])
    assert "damaged (DecodeError)" in message("e.onnx")
