"""Conventions that keep rules, scripts and library apart."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "workflow_scripts").glob("*.py"))
RULE_FILES = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
LIBRARY = sorted((ROOT / "workflow_scripts/distillweighted").rglob("*.py"))


def rules_with_scripts() -> dict[str, str]:
    """The script of every rule that has one."""
    found = {}
    for path in RULE_FILES:
        parts = re.split(r"^(?:rule|checkpoint) (\w+):", path.read_text(), flags=re.MULTILINE)
        for name, body in zip(parts[1::2], parts[2::2]):
            if script := re.search(r"^ +script:\s+\"([^\"]+)\"", body, flags=re.MULTILINE):
                found[name] = script.group(1)
    return found


def test_every_rule_runs_the_script_of_its_name_and_every_script_has_a_rule() -> None:
    rules = rules_with_scripts()
    # Nothing escapes the pattern above: each `script:` was found.
    count = sum(path.read_text().count("script:\n") for path in RULE_FILES)
    assert len(rules) == count >= 15
    assert rules == {path.stem: f"../workflow_scripts/{path.name}" for path in SCRIPTS}


def test_every_rule_with_a_script_fingerprints_its_own_code() -> None:
    text = "\n".join(path.read_text() for path in RULE_FILES)
    for name in rules_with_scripts():
        body = re.search(rf"^rule {name}:\n((?:(?:    .*)?\n)+)", text, flags=re.MULTILINE)
        assert body, name
        (arguments,) = re.findall(r"\bcode_of\(([^)]*)\)", body.group(1))
        assert f'"{name}"' in arguments, name


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.stem)
def test_the_library_knows_nothing_of_snakemake(path: Path) -> None:
    assert "snakemake" not in path.read_text(encoding="utf-8").lower()


# What lies on the ground, then the rooms, each above what it may import.
ROOMS = ["errors", "jobs", "seeds", "methods", "losses", "weights"]
ROOMS += ["files", "analysis", "tasks", "networks", "similarity", "batches", "sources", "training"]
ROOMS += ["deployment", "workflow", "__main__"]


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.stem)
def test_imports_only_go_down(path: Path) -> None:
    package = ROOT / "workflow_scripts/distillweighted"
    own = path.relative_to(package).with_suffix("").parts[0]
    if own == "__init__":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom) and node.module == "distillweighted":
            modules = [f"distillweighted.{alias.name}" for alias in node.names]
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        for module in modules:
            if module.startswith("distillweighted.") and module != "distillweighted.__version__":
                room = module.split(".")[1]
                assert room == own or ROOMS.index(room) < ROOMS.index(own), module


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.parent.name))
def test_a_room_opens_with_what_it_is_for_and_does_nothing(path: Path) -> None:
    """What an `__init__` does would count in the fingerprint of all that passes through it."""
    package = ROOT / "workflow_scripts/distillweighted"
    if path.name != "__init__.py" or path.parent.parent != package:
        return
    docstring, *rest = ast.parse(path.read_text(encoding="utf-8")).body
    assert ast.unparse(docstring).strip("'\"")
    assert all(ast.unparse(node).startswith(("from distillweighted.", "__all__")) for node in rest)


def test_functions_of_the_rules_are_in_common() -> None:
    defining = {path.name for path in RULE_FILES if re.search(r"^\s*def ", path.read_text(), re.M)}
    assert defining == {"common.smk"}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_has_a_typed_and_documented_main(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    mains = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "main"]
    assert len(mains) == 1
    arguments = mains[0].args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    assert every
    assert [argument.arg for argument in every if argument.annotation is None] == []
    assert mains[0].returns is not None
    assert ast.get_docstring(mains[0])
    assert (ast.get_docstring(tree) or "").startswith(f"Rule {path.stem}: ")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_touches_the_workflow_only_where_it_is_run_by_it(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guarded = [n for n in tree.body if isinstance(n, ast.If) and "snakemake" in ast.unparse(n.test)]
    assert len(guarded) == 1
    inside = {id(node) for node in ast.walk(guarded[0])}
    names = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == "snakemake"]
    assert names and all(id(node) in inside for node in names)


RUNS_CODE = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load"}
RUNS_CODE |= {"yaml.unsafe_load", "yaml.full_load", "pickle.load", "pickle.loads", "pd.read_pickle"}
RUNS_CODE |= {"torch.hub.load", "joblib.load", "shelve.open", "marshal.loads", "tar.extractall"}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "workflow_scripts").rglob("*.py")), ids=lambda path: path.stem
)
def test_no_file_is_opened_in_a_way_that_runs_it(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        options = {word.arg: ast.unparse(word.value) for word in call.keywords}
        assert name not in RUNS_CODE and "shell" not in options and "allow_pickle" not in options
        assert name.split(".")[0] != "subprocess"
        assert name != "torch.load" or options.get("weights_only") == "True"


def test_few_rules_are_run_by_a_shell_and_all_that_it_is_told_is_quoted() -> None:
    texts = {path.stem: path.read_text(encoding="utf-8") for path in ROOT.glob("rules/*.smk")}
    shells = {stem: text for stem, text in texts.items() if "shell:" in text}
    assert {stem: text.count("shell:") for stem, text in shells.items()} == {
        "inference": 1,  # store_inference
        "report": 1,
        "students": 2,  # stamp_task, store_student
    }
    for text in shells.values():
        for shell in text.split("shell:")[1:]:
            command = re.split(r"\n\n\n(?:#|rule |use rule )", shell)[0]
            told = re.findall(r"\{([^}]+)\}", command)
            # A stamp: what it stands for, itself and its log.
            fewest = 3 if "ls -l" in command else 4
            assert len(told) >= fewest and all(name.endswith(":q") for name in told)
