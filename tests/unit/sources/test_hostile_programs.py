"""Programs in which somebody hid what runs when torch opens them: it does not run here."""

import contextlib
import io
import json
import pickle
import re
import warnings
import zipfile

import pytest
import torch
from torch import nn

from distillweighted.errors import DataError
from distillweighted.sources.program_kinds import open_program

IMAGES = torch.rand(2, 3, 8, 8)
MODEL, WEIGHTS = "models/model.json", "data/weights/model_weights_config.json"


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, pixels):
        with torch.no_grad():  # a part of its own in torch.export's graph
            maps = self.conv(pixels)
        return torch.einsum("nchw,cd->nd", maps, torch.ones(4, 2))


class Bomb:
    """Makes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def saved(value):
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


@pytest.fixture
def exported(tmp_path):
    path = tmp_path / "a.pt2"
    batch = torch.export.Dim.DYNAMIC
    torch.export.save(
        torch.export.export(Net().eval(), (IMAGES,), dynamic_shapes={"pixels": {0: batch}}), path
    )
    return path


@pytest.fixture
def scripted(tmp_path):
    path = tmp_path / "a.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(Net().eval()), path)
    return path


def rewrite(path, **changes):
    """Change parts of an archive: a function of the content, or a new content."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    root = next(iter(files)).partition("/")[0]
    for name, change in changes.items():
        name = f"{root}/{name}"
        files[name] = change(files.get(name)) if callable(change) else change
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def changing(change):
    """A change of a JSON file by a function that works in place."""

    def changed(content):
        document = json.loads(content)
        change(document)
        return json.dumps(document).encode()

    return changed


def refuses(path, message):
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        open_program(path)
    assert str(caught.value).startswith(str(path))


def test_torch_itself_would_run_a_pickle_of_sample_inputs_and_here_it_is_left_out(
    exported, tmp_path
):
    expected = open_program(exported).call(IMAGES)["0"]
    bomb = tmp_path / "ran"
    rewrite(exported, **{"data/sample_inputs/model.pt": saved(((Bomb(bomb),), {}))})
    found = open_program(exported).call(IMAGES)["0"]
    assert torch.equal(found, expected)
    assert not bomb.exists()
    with contextlib.suppress(Exception):
        torch.export.load(exported)
    assert bomb.exists()


def test_a_pickled_weight_is_refused(exported, tmp_path):
    bomb = tmp_path / "ran"

    def pickled(document):
        document["config"]["conv.weight"]["use_pickle"] = True

    rewrite(
        exported,
        **{
            WEIGHTS: changing(pickled),
            "data/weights/weight_0": saved(Bomb(bomb)),
        },
    )
    refuses(exported, "is not opened: 'conv.weight' is stored as a pickle, which could run code")
    assert not bomb.exists()
    with contextlib.suppress(Exception):
        torch.export.load(exported)
    assert bomb.exists()


def test_weights_of_an_old_kind_and_native_code_are_left_out(exported, tmp_path):
    bomb = tmp_path / "ran"
    rewrite(
        exported,
        **{
            "data/weights/model.pt": saved({"conv.weight": Bomb(bomb)}),
            "data/aotinductor/model/model.so": b"\x7fELF",
        },
    )
    assert open_program(exported).parameters == 4 * 3 * 9 + 4
    assert not bomb.exists()


def graph(document):
    return document["graph_module"]["graph"]


def set_operation(document, target):
    graph(document)["nodes"][-1]["target"] = target


def rename_input(document, name):
    text = json.dumps(document).replace('"pixels"', json.dumps(name))
    document.clear()
    document.update(json.loads(text))


def set_size(document, text):
    for value in graph(document)["tensor_values"].values():
        for size in value["sizes"]:
            if "as_expr" in size:
                size["as_expr"]["expr_str"] = text
                return


def set_spec(document, **changes):
    signature = document["graph_module"]["module_call_graph"][0]["signature"]
    spec = json.loads(signature["in_spec"])
    spec[1]["children_spec"][1].update(changes)
    signature["in_spec"] = json.dumps(spec)


CODE = "__import__('pathlib').Path({!r}).touch()"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d, code: set_operation(d, "torch.os.system"), "'torch.os.system'"),
        (lambda d, code: set_operation(d, "torch.ops.aten.from_file.default"),
         "'torch.ops.aten.from_file.default'"),
        (lambda d, code: set_operation(d, "torch.ops.mine.op.default"),
         "'torch.ops.mine.op.default'"),
        (lambda d, code: rename_input(d, f"pixels={code}"), "\"pixels=__import__"),
        (set_size, "\"__import__"),
        (lambda d, code: set_spec(d, type="collections.defaultdict", context=json.dumps(
            {"default_factory_module": "antigravity", "default_factory_name": "x",
             "dict_context": []})), "'collections.defaultdict'"),
        (lambda d, code: set_spec(d, context=json.dumps(
            {"__enum__": True, "fqn": "antigravity:x", "name": "y"})), "\"{'__enum__'"),
        (lambda d, code: set_spec(d, context=json.dumps([f"pixels={code}"])),
         "\"pixels=__import__"),
        (lambda d, code: set_spec(d, context="not JSON"), "'[1, "),
    ],
)  # fmt: skip
def test_python_hidden_in_names_sizes_and_operations_is_refused(change, told, exported, tmp_path):
    code = CODE.format(str(tmp_path / "ran"))
    rewrite(exported, **{MODEL: changing(lambda document: change(document, code))})
    refuses(exported, f"is not opened: {told}")
    assert not (tmp_path / "ran").exists()


def test_guards_that_are_python_are_left_out(exported, tmp_path):
    code = CODE.format(str(tmp_path / "ran"))

    def change(document):
        document["guards_code"] = [f"{code} or True"]

    rewrite(exported, **{MODEL: changing(change)})
    assert open_program(exported).call(IMAGES)["0"].shape == (2, 2)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({MODEL: b"{"}, "models/model.json is damaged ("),
        ({MODEL: b"[]"}, "is no torch.export program; export it again"),
        ({WEIGHTS: b"{}"}, "its list of weights is damaged; export it again"),
        ({WEIGHTS: lambda c: c.replace(b"weight_0", b"../weight_0")},
         "its list of weights is damaged"),
        ({WEIGHTS: lambda c: c.replace(b"weight_0", b"weight_7")},
         "is incomplete: it has no data/weights/weight_7"),
        ({"archive_version": b"9"}, "cannot be opened by torch 2."),
    ],
)  # fmt: skip
def test_a_damaged_export_is_told(exported, changes, message):
    rewrite(exported, **changes)
    refuses(exported, message)


def test_what_torch_wrote_before_is_told(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pt2", "w") as archive:
        archive.writestr("serialized_exported_program.json", "{}")
        archive.writestr("serialized_state_dict.pt", saved(Bomb(tmp_path / "ran")))
    refuses(tmp_path / "a.pt2", "was written by an old torch.export; export the program again")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("part", ["data.pkl", "constants.pkl"])
def test_a_python_pickle_in_torchscript_is_not_run(scripted, tmp_path, part):
    assert open_program(scripted).call(IMAGES)["0"].shape == (2, 2)
    bomb = tmp_path / "ran"
    pickled = pickle.dumps(Bomb(bomb), protocol=2)
    rewrite(scripted, **{part: pickled})
    refuses(scripted, "cannot be opened by torch 2.")
    assert not bomb.exists()
    pickle.loads(pickled)
    assert bomb.exists()


def test_a_whole_network_that_was_pickled_is_not_opened(tmp_path):
    torch.save({"net": Bomb(tmp_path / "ran")}, tmp_path / "a.pt")
    refuses(tmp_path / "a.pt", "is no program (torch.export, TorchScript or ONNX)")
    (tmp_path / "b.pt").write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    refuses(tmp_path / "b.pt", "is no program (torch.export, TorchScript or ONNX), or damaged")
    assert not (tmp_path / "ran").exists()


class Writes(nn.Module):
    def forward(self, pixels):
        torch.save(pixels, "ran")
        return pixels.mean((2, 3))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_that_writes_files_is_refused(tmp_path, scripted):
    path = tmp_path / "w.pt"
    torch.jit.save(torch.jit.script(Writes()), path)
    refuses(path, "has 'save', which could touch files or is not torch's own; export it to ONNX")
    with zipfile.ZipFile(scripted) as archive:
        (code,) = (
            n.partition("/")[2] for n in archive.namelist() if n.endswith("hostile_programs.py")
        )
    for text in (b'getattr(torch, "sa\\x76e")(x, "ran")', b"ops . mine.op(x)"):
        rewrite(scripted, **{code: lambda content, text=text: content + b"\n    " + text})
        refuses(scripted, f"has '{text.decode()[:9]}")
        rewrite(
            scripted, **{code: lambda content, text=text: content.removesuffix(b"\n    " + text)}
        )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_names_of_classes_that_look_like_operations_are_no_matter(tmp_path):
    from torchvision.ops.misc import Conv2dNormActivation

    net = nn.Sequential(nn.Sequential(Conv2dNormActivation(3, 4), nn.Identity())).eval()
    torch.jit.save(torch.jit.trace(net, IMAGES), tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as archive:
        code = b"".join(archive.read(n) for n in archive.namelist() if n.endswith(".py"))
    assert b"ops.misc.Conv2dNormActivation" in code and b'getattr(self, "0")' in code
    found = open_program(tmp_path / "a.pt").call(IMAGES)["0"]
    assert torch.equal(found, net(IMAGES))


def test_an_archive_that_unpacks_to_too_much_or_has_a_name_twice_is_refused(scripted):
    with zipfile.ZipFile(scripted, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/code/large.py", bytes(2**28 + 1))
    assert scripted.stat().st_size < 2**20
    refuses(scripted, "is not as torch wrote it: 'code/large.py' unpacks to too much")


def test_a_name_twice_is_refused(scripted):
    with zipfile.ZipFile(scripted, "a") as archive:
        archive.writestr("b/data.pkl", b"")
    refuses(scripted, "'data.pkl' unpacks to too much, or is twice in it")


def test_half_an_archive_is_told(exported):
    data = exported.read_bytes()
    exported.write_bytes(data[: len(data) // 2])
    refuses(exported, "is no program (torch.export, TorchScript or ONNX), or damaged")
