"""Fingerprints: what redoes work, and which code each rule depends on."""

import ast
import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from distillweighted.files.checksums import fingerprint_files
from distillweighted.workflow import fingerprint
from distillweighted.workflow.fingerprint import (
    REGISTRIES,
    fingerprint_code,
    import_closure,
    import_from_here,
)

ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = ROOT / "workflow_scripts"

TREE = {
    "script.py": "from distillweighted.a import f\n\nprint(f())\n",
    "distillweighted/__init__.py": '"""Library."""\n\n__version__ = "1"\n',
    "distillweighted/a.py": '"""Docs."""\n\nX = 1\n\n\ndef f():\n    """Docs."""\n    return X\n',
    "distillweighted/b.py": "Y = 2\n",
    "distillweighted/c.py": "from distillweighted import b\n",
    "distillweighted/plots/__init__.py": (
        '"""Plots."""\n\nfrom distillweighted.plots.one import draw_one\n'
        'from .two import draw_two\n\n__all__ = ["draw_one", "draw_two"]\n'
    ),
    "distillweighted/plots/one.py": "from . import style\n\n\ndef draw_one():\n    pass\n",
    "distillweighted/plots/two.py": "from ..b import Y\n\n\ndef draw_two():\n    pass\n",
    "distillweighted/plots/style.py": "WIDTH = 1\n",
    "distillweighted/tasks/__init__.py": "from distillweighted.tasks import x\n\nTASKS = [x]\n",
    "distillweighted/tasks/x.py": "Z = 3\n",
    "distillweighted/tasks/y.py": "Z = 4\n",
    "distillweighted/tasks/table.csv": "a,b\n1,2\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small library with a script beside it."""
    for name, text in TREE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def closure_of(tree: Path, source: str) -> set[str]:
    """What a script with this source imports, as names without folder and ending."""
    script = tree / "script.py"
    script.write_text(source)
    found = import_closure(script) - {script.resolve()}
    package = tree.resolve() / "distillweighted"
    return {str(path.relative_to(package).with_suffix("")) for path in found}


@pytest.mark.parametrize(
    "text",
    [
        "# A comment.\nX = 1  # another\n\n\n\n\ndef f():\n\n    return (X)",
        '"""Other."""\n\nX = 1\n"""What X is."""\n\n\ndef f():\n    """More."""\n    return X\n',
        "X = 1\ndef f(): return X\n",
    ],
)
def test_comments_docstrings_and_formatting_do_not_count(tree: Path, text: str) -> None:
    before = fingerprint_code(tree / "script.py")
    (tree / "distillweighted/a.py").write_text(text)
    assert fingerprint_code(tree / "script.py") == before


@pytest.mark.parametrize(
    "text",
    [
        "X = 2\n\n\ndef f():\n    return X\n",
        "X = 1\n\n\ndef f(y=0):\n    return X\n",
        "X = 1\n\n\ndef f():\n    return 'Docs.'\n",
        "X = 1.0\n\n\ndef f():\n    return X\n",
        "def f():\n    return X\n\n\nX = 1\n",
    ],
)
def test_code_counts(tree: Path, text: str) -> None:
    before = fingerprint_code(tree / "script.py")
    (tree / "distillweighted/a.py").write_text(text)
    assert fingerprint_code(tree / "script.py") != before


@pytest.fixture
def new_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[], int]]:
    """Forgets what a process knows of files, after writing it; tells how many it had parsed."""
    kept, parsed = [], []
    parse = ast.parse
    monkeypatch.setattr(
        fingerprint.ast, "parse", lambda *a, **k: parsed.append(1) or parse(*a, **k)
    )
    monkeypatch.setattr(fingerprint, "ANALYSED", tmp_path / "cache" / "analysed.json")
    monkeypatch.setattr(fingerprint.sys, "dont_write_bytecode", False)
    monkeypatch.setattr(fingerprint.atexit, "register", lambda *call: kept.append(call))

    def forget() -> int:
        for keep, *arguments in kept:
            keep(*arguments)
        count = len(parsed)
        kept.clear()
        parsed.clear()
        for cached in (fingerprint._analysed, fingerprint._analyse_once, fingerprint._own_code):
            cached.cache_clear()
        return count

    forget()
    yield forget
    forget()


def test_files_are_parsed_once_for_all_processes(tree: Path, new_process) -> None:
    first = fingerprint_code(tree / "script.py")
    assert new_process() == 2
    assert fingerprint_code(tree / "script.py") == first
    assert new_process() == 0
    (tree / "distillweighted/a.py").write_text("X = 2\n\n\ndef f():\n    return X\n")
    assert fingerprint_code(tree / "script.py") != first
    assert new_process() == 1
    # Both are known now, and what was there is still.
    (tree / "distillweighted/a.py").write_text(TREE["distillweighted/a.py"])
    assert fingerprint_code(tree / "script.py") == first
    assert new_process() == 0


@pytest.mark.parametrize("content", ["", '{"a": ', "\x00"])
def test_damaged_knowledge_of_files_is_none(tree: Path, new_process, content: str) -> None:
    first = fingerprint_code(tree / "script.py")
    new_process()
    fingerprint.ANALYSED.write_text(content)
    assert fingerprint_code(tree / "script.py") == first
    assert new_process() == 2
    assert fingerprint_code(tree / "script.py") == first
    assert new_process() == 0


def test_old_knowledge_of_files_is_forgotten(tree: Path, new_process, monkeypatch) -> None:
    monkeypatch.setattr(fingerprint, "FORGET", 2)
    fingerprint_code(tree / "script.py")
    assert new_process() == 2
    (tree / "distillweighted/a.py").write_text("X = 2\n")
    fingerprint_code(tree / "script.py")
    new_process()
    assert len(json.loads(fingerprint.ANALYSED.read_text())) == 1


def test_a_folder_that_cannot_be_written_is_done_without(tree: Path, new_process) -> None:
    fingerprint.ANALYSED.parent.write_text("a file in the folder's place")
    first = fingerprint_code(tree / "script.py")
    assert new_process() == 2
    assert fingerprint_code(tree / "script.py") == first


def test_what_other_code_found_of_files_does_not_count(
    tree: Path, new_process, monkeypatch: pytest.MonkeyPatch
) -> None:
    fingerprint_code(tree / "script.py")
    new_process()
    monkeypatch.setattr(fingerprint, "_own_code", functools.cache(lambda: b"other"))
    fingerprint_code(tree / "script.py")
    assert new_process() == 2


def test_only_imported_modules_count(tree: Path) -> None:
    before = fingerprint_code(tree / "script.py")
    (tree / "distillweighted/b.py").write_text("Y = 3\n")
    (tree / "distillweighted/__init__.py").write_text('__version__ = "2"\n')
    assert fingerprint_code(tree / "script.py") == before
    (tree / "script.py").write_text("from distillweighted.a import f\n\nprint(f)\n")
    assert fingerprint_code(tree / "script.py") != before


def test_the_fingerprint_does_not_depend_on_the_folder_or_on_order(
    tree: Path, tmp_path_factory
) -> None:
    other = tmp_path_factory.mktemp("elsewhere")
    for name, text in TREE.items():
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_text(text)
    (tree / "second.py").write_text("import distillweighted.b\n")
    (other / "second.py").write_text("import distillweighted.b\n")
    both = fingerprint_code(tree / "script.py", tree / "second.py")
    assert both == fingerprint_code(other / "second.py", other / "script.py")
    assert both != fingerprint_code(tree / "script.py")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import os, numpy", set()),
        ("import distillweighted", set()),
        ("import distillweighted.b", {"b"}),
        ("from distillweighted import c", {"c", "b"}),
        ("from distillweighted.c import b", {"c", "b"}),
        ("def f():\n    from distillweighted import b\n", {"b"}),
        ("if True:\n    import distillweighted.b as name\n", {"b"}),
        # A package that only passes names on does not tie its modules together ...
        ("from distillweighted.plots import style", {"plots/style"}),
        ("import distillweighted.plots.style", {"plots/style"}),
        ("from distillweighted.plots.one import draw_one", {"plots/one", "plots/style"}),
        # ... unless a name is taken from it.
        (
            "from distillweighted.plots import draw_one",
            {"plots/__init__", "plots/one", "plots/two", "plots/style", "b"},
        ),
        # A package that does something of its own is run whatever is taken from it.
        ("from distillweighted.tasks import y", {"tasks/__init__", "tasks/x", "tasks/y"}),
        ("import distillweighted.tasks.y", {"tasks/__init__", "tasks/x", "tasks/y"}),
        ("from distillweighted.tasks import TASKS", {"tasks/__init__", "tasks/x"}),
        ("from distillweighted.plots.two import draw_two", {"plots/two", "b"}),
    ],
)
def test_import_closure(tree: Path, source: str, expected: set[str]) -> None:
    assert closure_of(tree, source) == expected


def test_tables_in_an_imported_package_count(tree: Path) -> None:
    script = tree / "script.py"
    for source, counts in (("from distillweighted.tasks import y", True), ("import math", False)):
        script.write_text(source)
        before = fingerprint_code(script)
        with open(tree / "distillweighted/tasks/table.csv", "a") as file:
            file.write("3,4\n")
        assert (fingerprint_code(script) != before) is counts


def test_fingerprint_files(tmp_path: Path) -> None:
    one, two, same = (tmp_path / name for name in ("one", "two", "same"))
    one.write_bytes(b"ab")
    two.write_bytes(b"c")
    same.write_bytes(b"ab")
    assert fingerprint_files([one, two]) == fingerprint_files([same, two])
    assert fingerprint_files([one, two]) != fingerprint_files([two, one])
    joined, rest = tmp_path / "joined", tmp_path / "rest"
    joined.write_bytes(b"a")
    rest.write_bytes(b"bc")
    assert fingerprint_files([one, two]) != fingerprint_files([joined, rest])


def test_processes_import_the_library_that_is_fingerprinted(monkeypatch) -> None:
    for before, after in (("", str(SCRIPTS)), ("/a:/b", f"{SCRIPTS}:/a:/b")):
        monkeypatch.setenv("PYTHONPATH", before)
        for _ in range(2):
            import_from_here()
            assert os.environ["PYTHONPATH"] == after


# The real scripts.


def modules_of(script: str) -> set[str]:
    """The library's modules that a script depends on, as in `figures/style`."""
    package = SCRIPTS / "distillweighted"
    registries = [SCRIPTS.joinpath(*name.split(".")).with_suffix(".py") for name in REGISTRIES]
    assert all(path.is_file() for path in registries)
    found = import_closure(SCRIPTS / f"{script}.py", without=registries)
    found -= {SCRIPTS / f"{script}.py"}
    return {str(path.relative_to(package).with_suffix("")) for path in found}


def test_the_librarys_own_init_holds_nothing_but_the_version() -> None:
    # It is not fingerprinted.
    tree = ast.parse((SCRIPTS / "distillweighted/__init__.py").read_text())
    docstring, version = tree.body
    assert isinstance(docstring, ast.Expr)
    assert ast.unparse(version).startswith("__version__ = ")


FIGURES = sorted(path.stem for path in SCRIPTS.glob("fig*.py"))


def rooms_of(script: str) -> set[str]:
    return {name.split("/")[0] for name in modules_of(script)}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_depends_on_no_other_and_on_no_training(name: str) -> None:
    modules = modules_of(name)
    assert {f"analysis/figures/{name}", "analysis/figures/style", "workflow/joblog"} <= modules
    assert not {f"analysis/figures/{other}" for other in FIGURES if other != name} & modules
    assert rooms_of(name) <= {"analysis", "methods", "workflow"}
    assert {module for module in modules if module.startswith("workflow")} == {"workflow/joblog"}


def test_dependencies_of_weights_and_training() -> None:
    weights = modules_of("compute_weights")
    assert {"weights", "seeds", "similarity/tables"} <= weights
    assert rooms_of("compute_weights") == {
        "errors", "files", "jobs", "seeds", "similarity", "weights", "workflow"
    }  # fmt: skip
    assert not [name for name in weights if name.startswith("similarity/metrics")]
    training = modules_of("train_students")
    assert {
        "training/loop", "training/cohort", "batches/target_batches", "networks/classifier",
        "seeds", "sources/outputs",
    } <= training  # fmt: skip
    assert not {"analysis", "methods"} & rooms_of("train_students")
    # Of objectives, metrics, data sets and origins, a job's own are counted with it.
    foreign = ("similarity/metrics", "tasks/embedded", "tasks/datasets", "sources/published")
    foreign += ("training/objectives", "sources/origins")
    assert not [name for name in training if name.startswith(foreign)]
    planning = {name for name in training if name.startswith("workflow")}
    assert planning == {"workflow/joblog"}
    assert "similarity/scores" in modules_of("score_similarity")
    assert "similarity/metrics/parc" not in modules_of("score_similarity")
    assert {"tasks/embedded/__init__", "tasks/embedded/glyphs"} <= modules_of("prepare_task")
    assert "analysis/paper_numbers/__init__" in modules_of("comparison_with_paper")


WITHOUT_TORCH = [
    "compute_weights",
    "score_similarity",
    "split_target",
    "evaluate_students",
    "prepare_task",
    "collect_accuracy",
    "comparison_with_paper",
    "describe_run",
    *sorted(path.stem for path in SCRIPTS.glob("table*.py")),
    *FIGURES,
]

# Importing a module that imports torch fails; each script is judged on its own.
PROBE = """
import importlib, json, sys

class Refuse:
    asked = []
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "timm"):
            Refuse.asked.append(name)
            raise ImportError(name)

sys.meta_path.insert(0, Refuse())
found = {}
for script in json.loads(sys.argv[1]):
    Refuse.asked.clear()
    try:
        importlib.import_module(script)
    except ImportError as error:
        if not Refuse.asked:
            raise
    found[script] = list(Refuse.asked)
    for name in [name for name in sys.modules if name.split(".")[0] == "distillweighted"]:
        del sys.modules[name]
print(json.dumps(found))
"""


def test_scripts_that_only_count_or_plot_never_load_torch() -> None:
    asked = {*WITHOUT_TORCH, "train_students"}
    result = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(sorted(asked))],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found.pop("train_students"), "the probe sees no import of torch"
    assert len(found) == len(WITHOUT_TORCH) >= 16
    assert {script: names for script, names in found.items() if names} == {}


# What is added beside the others.

CODES = """
import json, sys
from pathlib import Path
from distillweighted.workflow.fingerprint import code_of
from distillweighted.workflow.run import Run

run = Run.read(*map(Path, sys.argv[1:]))
codes = {}
for student in run.students:
    job = run.cohort(student.target, student.replicate.name, student.cohort)
    codes |= {f"train {s.recipe}": s.code for s in job.students}
    uses = run.jobs.objective_modules(student)
    codes[f"evaluate {student.recipe.name}"] = code_of("evaluate_students", uses=uses)
for name, model in run.models.items():
    rule = "train_source" if model.origin == "trained" else "load_source"
    codes[f"{rule} {name}"] = code_of(rule, uses=[run.origin(name).module])
codes["prepare cub200"] = code_of("prepare_data_set", uses=[run.tasks["cub200"].reader])
codes["score"] = code_of("score_similarity", **run.jobs.metric_modules())
for rule in ("infer_sources", "compute_weights", "split_target", "prepare_task", "train_students"):
    codes[rule] = code_of(rule)
print(json.dumps(codes))
"""

OBJECTIVE = "def step(student, batches, step):\n    return {}\n"
ADDITIONS = {
    "an objective": {
        "training/objectives/contrast.py": OBJECTIVE,
        "training/objectives/registry.py": (
            '        Objective("transfer"',
            '        Objective("contrast", "a new one"),\n        Objective("transfer"',
        ),
    },
    "a metric": {
        "similarity/metrics/leep.py": "def leep(probabilities, labels):\n    return 0.0\n",
        "similarity/metrics/registry.py": (
            '        Metric("rsa"',
            '        Metric("leep", "leep", "leep"),\n        Metric("rsa"',
        ),
    },
    "an origin": {
        "sources/origins/hub.py": (SCRIPTS / "distillweighted/sources/origins/bank.py")
        .read_text()
        .replace('"bank"', '"hub"')
        .replace("BANK", "HUB"),
        "sources/origins/registry.py": (
            "ORIGINS: dict[str, Origin] = {origin.name: origin for origin in (",
            "from distillweighted.sources.origins.hub import HUB\n\n"
            "ORIGINS: dict[str, Origin] = {origin.name: origin for origin in (HUB, ",
        ),
    },
    "a method": {
        "methods.py": (
            '        Method(\n            "in_transfer"',
            '        Method("mine", "Mine", sums_up="nothing"),\n'
            '        Method(\n            "in_transfer"',
        ),
    },
}


def codes_of(folder: Path) -> dict[str, str]:
    """The code of every job of the paper's grid and of the demo, in a copy of the library."""
    found = {}
    for config in ("configs/paper.yaml", "config.yaml"):
        done = subprocess.run(
            [sys.executable, "-c", CODES, str(folder / config)],
            env={**os.environ, "PYTHONPATH": str(folder / "workflow_scripts")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        found |= {f"{config} {name}": code for name, code in json.loads(done.stdout).items()}
    return found


@pytest.fixture(scope="module")
def codes() -> dict[str, str]:
    return codes_of(ROOT)


@pytest.mark.parametrize("what", ADDITIONS)
def test_one_more_beside_the_others_trains_and_scores_nothing_again(
    tmp_path: Path, codes, what: str
) -> None:
    """Registries do not count in fingerprints: what a job takes from them does."""
    library = copy_library(tmp_path)
    for name, change in ADDITIONS[what].items():
        path = library / name
        if isinstance(change, tuple):
            text = path.read_text()
            assert text.count(change[0]) == 1
            path.write_text(text.replace(*change))
        else:
            path.write_text(change)
    assert codes_of(tmp_path) == codes


@pytest.mark.parametrize(
    ("module", "redone"),
    [
        ("training/objectives/fixmatch.py", {"train in_fixmatch", "evaluate in_fixmatch"}),
        ("similarity/metrics/cka.py", {"score"}),
        ("tasks/datasets/birds.py", {"prepare cub200"}),
        ("sources/origins/torchvision.py", {"load_source alexnet_imagenet"}),
    ],
)
def test_a_change_of_one_redoes_what_uses_it(
    tmp_path: Path, codes, module: str, redone: set[str]
) -> None:
    path = copy_library(tmp_path) / module
    path.write_text(path.read_text() + "\nMORE = 1\n")
    now = codes_of(tmp_path)
    changed = {name.split(" ", 1)[1] for name in now if now[name] != codes[name]}
    if "torchvision" in module:
        assert redone <= changed and {name.split("_imagenet")[0] for name in changed} >= {
            "load_source mobilenet_v3_large"
        }
        assert all(name.endswith("_imagenet") for name in changed)
    else:
        assert changed == redone


def copy_library(folder: Path) -> Path:
    for part in ("workflow_scripts", "configs", "rules"):
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / part, folder / part, ignore=ignore)
    shutil.copy(ROOT / "config.yaml", folder)
    return folder / "workflow_scripts/distillweighted"
