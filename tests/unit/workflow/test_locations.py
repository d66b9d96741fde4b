"""Paths of a configuration are relative to the file that says them."""

import os
from pathlib import Path

import yaml

from distillweighted.workflow.config_file import read_complete_config
from distillweighted.workflow.locations import located


def test_paths_become_absolute_and_nothing_else_changes(tmp_path):
    raw = {
        "name": "mine",
        "data_root": "data",
        "targets": [
            "latin",
            {"name": "x", "labeled": "photos/a b", "unlabeled": "../new", "test": None},
            {"name": "y", "table": "/else/list.csv", "background": "red"},
        ],
        "sources": [{"from": "arrays", "file": "api/*.npz"}, {"from": "timm", "text": "c.txt"}],
        "student": {"weights": "start.pth", "architecture": "resnet18"},
    }
    folder = str(tmp_path)
    before = yaml.safe_dump(raw)
    assert located(raw, tmp_path) == {
        "name": "mine",
        "data_root": "data",
        "targets": [
            "latin",
            {
                "name": "x",
                "labeled": f"{folder}/photos/a b",
                "unlabeled": f"{folder}/../new",
                "test": None,
            },
            {"name": "y", "table": "/else/list.csv", "background": "red"},
        ],
        "sources": [
            {"from": "arrays", "file": f"{folder}/api/*.npz"},
            {"from": "timm", "text": f"{folder}/c.txt"},
        ],
        "student": {"weights": f"{folder}/start.pth", "architecture": "resnet18"},
    }
    assert yaml.safe_dump(raw) == before


def test_located_paths_stay_where_they_are(tmp_path):
    once = located({"student": {"weights": "a.pth"}}, tmp_path)
    assert located(once, Path("/elsewhere")) == once


def test_a_folder_with_signs_of_patterns_is_escaped_for_patterns_alone(tmp_path):
    folder = tmp_path / "old [1]"
    folder.mkdir()
    (folder / "a[2].npz").write_text("")

    def file(text):
        return located({"sources": [{"file": text}]}, folder)["sources"][0]["file"]

    assert file("*.npz") == f"{tmp_path}/old [[]1]/*.npz"
    assert file("x.npz") == f"{folder}/x.npz"
    assert file("a[2].npz") == f"{folder}/a[2].npz"


def test_home_folders_and_what_is_no_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert located({"student": {"weights": "~/a.pth"}}, tmp_path) == {
        "student": {"weights": "/home/me/a.pth"}
    }
    odd = {"targets": {"labeled": 3}, "sources": [None, [7]], "student": "x"}
    assert located(odd, tmp_path) == odd


def test_each_file_has_its_own_folder(tmp_path, monkeypatch):
    for name, content in {
        "a/one.yaml": {
            "name": "r",
            "targets": ["latin"],
            "sources": [
                {"from": "trained", "architectures": ["alexnet_tiny"], "tasks": ["textures_a"]}
            ],
        },
        "b/two.yaml": {"targets": [{"name": "mine", "labeled": "pics", "broken": "leave_out"}]},
        "b/three.yaml": {
            "training": {"distill_labeled": True},
            "baselines": {"in_fixmatch": False},
        },
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(yaml.safe_dump(content))
    from PIL import Image

    for label in ("x", "y"):
        for n in range(3):
            (tmp_path / "b/pics" / label).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4)).save(tmp_path / f"b/pics/{label}/{n}.png")
    monkeypatch.chdir(tmp_path)
    config = read_complete_config([Path(f) for f in ("a/one.yaml", "b/two.yaml", "b/three.yaml")])
    (target,) = config["targets"]
    assert target["labeled"] == os.path.join(tmp_path, "b/pics")
    assert (target["test_fraction"], target["side"], target["table"]) == (0.2, 256, None)
    # What a run writes down reads the same again, wherever it lies.
    (tmp_path / "results.yaml").write_text(yaml.safe_dump(config))
    assert read_complete_config([Path("results.yaml")]) == config
