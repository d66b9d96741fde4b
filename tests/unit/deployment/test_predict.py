"""predict.py: what it makes of files, alone, and that training makes the same of them."""

import ast
import csv
import json
import os
import subprocess
import sys
import venv
from importlib.metadata import version

import numpy as np
import pytest
import torch
from PIL import Image

from distillweighted.batches.views import PaddedCrop, ResizedCrop
from distillweighted.deployment import predict
from distillweighted.deployment.export import preparation_of
from distillweighted.deployment.jobs import ExportJob
from distillweighted.deployment.programs import Deployed, run_onnx, write_programs
from distillweighted.deployment.script import standalone_script
from distillweighted.networks.classifier import build_model
from distillweighted.tasks.own.images import UnreadableError, read_image
from distillweighted.tasks.pools import as_pool

BACKGROUND = [0, 200, 0]
PREPARATION = {"size": 32, "stored_side": 48, "shorter_side": 37, "background": BACKGROUND}


def smooth(width, height, seed=0, mode="RGB"):
    """A picture without sharp edges; of noise, resizing says little."""
    pixels = np.random.default_rng(seed).integers(0, 256, (7, 9, len(mode)), np.uint8)
    return Image.fromarray(pixels, mode).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A student's folder: predict.py and the model that it reads."""
    folder = tmp_path_factory.mktemp("student")
    (folder / "predict.py").write_text(standalone_script(), encoding="utf-8")
    model = Deployed(build_model("convnet_tiny", 3, seed=4), [0.5] * 3, [0.2] * 3)
    facts = {"classes": ["Äpfel", "a,b", "c"], "preparation": PREPARATION}
    write_programs(model, 32, facts, onnx=folder / "model.onnx", pt2=folder / "model.pt2")
    return folder


@pytest.fixture
def pictures(tmp_path):
    """Images of many kinds, and what is none."""
    below = tmp_path / "pictures/Ünter [a] b"
    below.mkdir(parents=True)
    rotated = Image.Exif()
    rotated[0x0112] = 6
    smooth(90, 60).save(below / "EXIF 6.JPG", exif=rotated, quality=95)
    smooth(70, 50, 1, "RGBA").save(below / "transparent.png")
    smooth(33, 90, 2, "RGB").convert("CMYK").save(below / "print.tiff")
    grey = np.arange(40 * 50, dtype=np.uint16).reshape(40, 50) * 32
    Image.fromarray(grey).save(below / "sixteen.png")
    smooth(20, 20, 3).convert("P").save(below / "small.gif")
    smooth(64, 64, 5).save(tmp_path / "pictures/plain.webp", lossless=True)
    for name in (".hidden.png", "Thumbs.db", "notes.txt"):
        (tmp_path / "pictures" / name).write_bytes(b"nothing")
    (tmp_path / "pictures/__MACOSX").mkdir()
    (tmp_path / "pictures/__MACOSX/a.png").write_bytes(b"nothing")
    return tmp_path / "pictures"


def images_in(folder):
    return sorted(p for p in folder.rglob("*.*") if p.is_file() and p.name[0] not in ".TnN_" and
                  "__MACOSX" not in p.parts)  # fmt: skip


def run(folder, *arguments, python=sys.executable, **options):
    """Run a student's predict.py with nothing of this checkout on the path."""
    command = [python, "-I", str(folder / "predict.py"), *map(str, arguments)]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, **options)


def expected(path):
    """What training makes of a file: stored, then viewed without augmentation."""
    stored = read_image(str(path), background=tuple(BACKGROUND), side=48)
    view = ResizedCrop(size=32, min_scale=0.3, flip=True)
    return view.plain(as_pool(stored[None]), np.array([0])).numpy()[0]


def test_files_are_prepared_as_training_prepares_them_to_one_grey_level(pictures):
    for path in images_in(pictures):
        ours = predict.prepare(path, PREPARATION)
        assert ours.shape == (3, 32, 32) and ours.dtype == np.uint8
        difference = np.abs(ours.astype(int) - expected(path))
        assert difference.max() <= 1 and (difference > 0).mean() < 0.05, path.name
    # Where it is transparent, the task's background shows.
    clear = Image.new("RGBA", (32, 40), (255, 0, 0, 0))
    clear.save(pictures / "clear.png")
    assert (predict.prepare(pictures / "clear.png", PREPARATION) == [[[0]], [[200]], [[0]]]).all()


def test_nothing_is_resized_where_the_stored_side_is_that_of_the_view(tmp_path):
    """At 224 pixels, the default, not a grey level differs."""
    smooth(400, 300).save(tmp_path / "a.png")
    stored = read_image(str(tmp_path / "a.png"), background=(255,) * 3, side=256)
    view = ResizedCrop(size=224, min_scale=0.3, flip=True)
    wanted = view.plain(as_pool(stored[None]), np.array([0])).numpy()[0]
    facts = {"size": 224, "stored_side": 256, "shorter_side": 256, "background": [255] * 3}
    assert (predict.prepare(tmp_path / "a.png", facts) == wanted).all()


@pytest.mark.parametrize(
    ("view", "stored", "shorter"),
    [
        ({"kind": "padded_crop", "padding": 2}, None, None),
        ({"kind": "resized_crop", "size": 96, "min_scale": 0.3, "flip": True}, 256, 110),
        ({"kind": "parc", "size": 96, "min_scale": 0.1, "flip": False, "whole": True}, 256, 96),
    ],
)
def test_the_preparation_that_a_model_states(view, stored, shorter):
    job = ExportJob("run", "fruit", "0", ("in_transfer",), view, 96, "cpu")
    meta = {"background": "#00c800"} | ({"longest_shorter_side": stored} if stored else {})
    assert preparation_of(job, meta) == {
        "size": 96, "stored_side": stored, "shorter_side": shorter, "background": BACKGROUND,
    }  # fmt: skip


def test_a_model_of_images_as_they_are_refuses_others(tmp_path):
    facts = {**PREPARATION, "size": 24, "stored_side": None, "shorter_side": None}
    smooth(24, 24).save(tmp_path / "right.png")
    wanted = PaddedCrop(2).plain(as_pool(np.asarray(smooth(24, 24))[None]), np.array([0]))
    assert (predict.prepare(tmp_path / "right.png", facts) == wanted.numpy()[0]).all()
    smooth(30, 24).save(tmp_path / "wrong.png")
    with pytest.raises(UnreadableError, match=r"30 x 24 pixels; this model reads .* 24 x 24$"):
        predict.prepare(tmp_path / "wrong.png", facts)


def test_the_script_stands_alone():
    tree = ast.parse(standalone_script())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in (
            [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]
        )
    }
    assert imported - sys.stdlib_module_names == {"numpy", "onnxruntime", "PIL"}


def check_answers(folder, pictures, **options):
    done = run(folder, pictures, "--csv", pictures.parent / "out.csv", **options)
    assert (done.returncode, done.stderr) == (0, "")
    with open(pictures.parent / "out.csv", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["image", "label", "confidence"]
    paths = images_in(pictures)
    assert [row[0] for row in rows] == [path.as_posix() for path in paths]
    wanted = run_onnx(folder / "model.onnx", np.stack([expected(p) for p in paths]), batch=6)
    classes = np.array(["Äpfel", "a,b", "c"])[wanted.argmax(axis=1)]
    assert [row[1] for row in rows] == classes.tolist()
    assert [float(row[2]) for row in rows] == pytest.approx(wanted.max(axis=1), abs=2e-3)


def test_it_classifies_a_folder_as_the_model_does(folder, pictures):
    check_answers(folder, pictures)


def test_it_prints_a_line_an_image_and_names_what_is_none(folder, pictures):
    done = run(folder, pictures / "notes.txt", pictures / "plain.webp")
    path, label, confidence = done.stdout.strip().split("\t")
    assert path.endswith("plain.webp") and label in ("Äpfel", "a,b", "c") and float(confidence) > 0
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"{pictures / 'notes.txt'}: it is no image that can be read (PNG, JPEG, WEBP, BMP, GIF, "
        "TIFF)",
        "1 of 2 files could not be read",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.png"], "none.png: there is no such file or folder\n"),
        (["empty"], "empty: there is no image in this folder (.png, .jpg, "),
        (["a.png", "--model", "none.onnx"], "none.onnx: there is no such model\n"),
    ],
)
def test_what_is_not_there_is_an_error_before_any_work(folder, tmp_path, arguments, said):
    (tmp_path / "empty").mkdir()
    smooth(9, 9).save(tmp_path / "a.png")
    done = run(folder, *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "") and done.stderr.startswith(said)


def test_a_model_of_another_project_is_an_error(tmp_path):
    program = torch.onnx.export(
        torch.nn.Flatten().eval(), (torch.zeros(1, 3, 8, 8),), dynamo=True, verbose=False
    )
    program.save(tmp_path / "other.onnx")
    with pytest.raises(ValueError, match="its metadata do not say classes and preparation"):
        predict.Model(tmp_path / "other.onnx")


@pytest.mark.slow
def test_it_needs_three_packages_and_nothing_else(folder, pictures, tmp_path):
    venv.create(tmp_path / "fresh", with_pip=True)
    python = tmp_path / "fresh/bin/python"
    names = ("onnxruntime", "numpy", "pillow")
    packages = [f"{name}=={version(name)}" for name in names]
    install = [python, "-m", "pip", "install", "--quiet", *packages]
    subprocess.run(install, check=True, capture_output=True)
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format", "json"], capture_output=True, check=True
    )
    assert "torch" not in {package["name"] for package in json.loads(listed.stdout)}
    check_answers(folder, pictures, python=python)
