"""The conda environment and pyproject.toml install the same things."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_environment_has_the_pins_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    environment = yaml.safe_load((ROOT / "envs/distillweighted.yaml").read_text())
    listed = environment["dependencies"]
    pips = [entry["pip"] for entry in listed if isinstance(entry, dict)]
    assert len(pips) == 1 and len(pips[0]) >= 10
    assert sorted(pips[0]) == sorted(project["dependencies"])
    for requirement in pips[0]:
        assert re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9A-Za-z.]*", requirement), requirement
    # Everything else of the environment is Python itself, in a version that the project takes.
    others = [entry for entry in listed if isinstance(entry, str)]
    (python,) = (entry for entry in others if entry != "pip")
    version = python.removeprefix("python=")
    assert project["requires-python"] == f">={version}"


def test_extras_are_pinned_too() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for group in project["optional-dependencies"].values() for line in group]
    assert extras and all(line.count("==") == 1 for line in extras)
