"""Configuration files, the shipped ones and those of strangers: nothing runs."""

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from distillweighted.__main__ import main
from distillweighted.workflow.config import ConfigError
from distillweighted.workflow.config_file import read_config_file
from distillweighted.workflow.run import Run

ROOT = Path(__file__).resolve().parents[3]

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda parts: st.lists(parts) | st.dictionaries(st.text(), parts),
    max_leaves=20,
)


def error_of(tmp_path, content):
    path = tmp_path / "bad.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as caught:
        read_config_file(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and message.isprintable()
    return message.removeprefix(f"{path}: ")


@given(content=st.dictionaries(st.text().filter(lambda key: key != "__use_yte__"), PLAIN))
def test_what_was_written_is_read(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("config") / "a.yaml"
    for text in (yaml.safe_dump(content), json.dumps(content, indent="\t")):
        path.write_text(text, encoding="utf-8")
        assert read_config_file(path) == content


@pytest.mark.parametrize(
    ("content", "message"),
    {
        "key twice": ("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", "line 5: the key 'c' is on line 3"),
        "key twice at the top": ("seeds: [1]\n'seeds': [2]\n", "line 2: the key 'seeds' is on"),
        "key twice in JSON": ('{"a": {"b": 1, "b": 2}}', "the key 'b' is there twice"),
        "a key of two lines": ('"a\\nb": 1\n"a\\nb": 2\n', "line 2: the key 'a\\nb' is on line 1"),
        "Python that the engine would run": (
            "__use_yte__: true\n?f'a{1}': 1\n",
            "'__use_yte__' makes the workflow run Python",
        ),
        "Python that YAML would run": (
            "a: !!python/object/apply:os.system [touch pwned]\n",
            "line 1: could not determine a constructor for the tag 'tag:yaml.org,2002:python/",
        ),
        "itself": ("a: &a [*a]\n", "line 1: a value that contains itself"),
        "an unknown alias": ("a: *b\n", "line 1: found undefined alias 'b'"),
        "a list": ("- a\n", "has to be a mapping"),
        "nothing": ("", "has to be a mapping"),
        "two documents": ("a: 1\n---\nb: 1\n", "line 2: but found another document"),
        "a tab": ("a:\n\tb: 1\n", "line 2: found character '\\t' that cannot start any token"),
        "an open list": ("a: [1,\n", "line 2: expected the node content"),
        "a date that is none": ("a: 2023-02-31\n", "day is out of range for month"),
        "a control character": ("a: \0\n", "unacceptable character #x0000"),
        "another encoding": ("a: é\n".encode("latin-1"), "not UTF-8 at byte 3"),
        "depth": ("a: " + 5000 * "[" + 5000 * "]", "nested too deep"),
        "depth in JSON": ('{"a":' + 200_000 * "[" + 200_000 * "]" + "}", "nested too deep"),
        "size": ("#" * 1_000_001, "larger than 1000000 bytes"),
    }.values(),
)
def test_a_file_that_cannot_be_taken_is_told_with_its_line(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    assert error_of(tmp_path, content).startswith(message)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


@pytest.mark.parametrize(
    "line",
    ["[{0}, {0}, {0}]", "{{x: {0}, y: {0}, z: {0}}}", "{{<<: [{0}, {0}, {0}]}}"],
    ids=["lists", "mappings", "merges"],
)
def test_aliases_that_repeat_each_other_are_counted_before_they_are_read(tmp_path, line):
    lines = ["a0: &a0 {z: 1}"]
    lines += [f"a{i}: &a{i} {line.format(f'*a{i - 1}')}" for i in range(1, 40)]
    assert "more than 100000 entries" in error_of(tmp_path, "\n".join(lines))


def test_anchors_may_be_used(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: &a {b: 1}\nc: *a\nd: {<<: *a, e: 2}\n")
    assert read_config_file(path) == {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}


def test_files_that_cannot_be_opened_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: there is no such file"):
        read_config_file(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_config_file(tmp_path)


def test_the_shipped_configurations_say_what_they_make():
    def checked(*names):
        return Run.read(*(ROOT / name for name in names)).summary

    # 28 x 8 pairs but those of a source's own task, five targets of four sources each.
    paper = "paper: 8 targets, 28 sources (204 pairs of both), 372 students"
    assert checked("configs/paper.yaml") == paper
    assert checked("config.yaml").startswith("demo: 3 targets, 8 sources (24 pairs of both), ")
    mini = "mini_paper: 12 targets, 28 sources (332 pairs of both), 3408 students"
    assert checked("configs/mini_paper.yaml") == mini
    # A later file completes an earlier one, key by key.
    both = checked("configs/paper.yaml", "tests/miniature/paper_check.yaml")
    assert both == paper.replace("paper:", "paper_check:")


def test_a_wrong_value_in_a_file_is_told(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("training: {lamda: 1}\n")
    with pytest.raises(ConfigError, match=r"training\.lamda: unknown key; did you mean 'lambda'"):
        Run.read(ROOT / "config.yaml", path)


def test_the_command_checks_files_and_says_what_it_knows(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main(["check"]) == Run.read(ROOT / "config.yaml").summary
    assert main(["check", "configs/paper.yaml"]).startswith("paper: 8 targets")
    with pytest.raises(
        ValueError, match=r"'chek' is no command\.\s.*\s+python -m distillweighted check"
    ):
        main(["chek"])


COMMANDS = ("check", "show", "answer", "models", "images", "export")


def test_the_commands_have_help_texts(capsys):
    said = main(["--help"])
    for command in COMMANDS:
        assert re.search(rf"^    {command} +\w.*", said, re.MULTILINE)
        with pytest.raises(SystemExit) as stopped:
            main([command, "--help"])
        assert stopped.value.code == 0
        assert capsys.readouterr().out.startswith(f"usage: python -m distillweighted {command} ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "'' is no command.\nusage:\n  python -m distillweighted check "),
        (
            ["show"],
            "the following arguments are required: TABLE\nusage: python -m distillweighted ",
        ),
        (["show", "a", "b"], "'b' is more than show takes\nusage: python -m distillweighted show "),
        (["images", "a"], "the following arguments are required: TARGET\nusage: "),
        (["check", "--file"], "'--file' is no option of check (allowed: none)"),
        (
            ["models", "*", "--max-parameters", "x"],
            "argument --max-parameters: invalid float value",
        ),
        (["export", "latin", "out", "--seed", "0.5"], "argument --seed: invalid int value: '0.5'"),
    ],
)
def test_a_command_that_is_told_too_little_or_too_much(arguments, said):
    with pytest.raises(ValueError) as caught:
        main(arguments)
    assert str(caught.value).startswith(said)


def test_options_may_stand_between_patterns():
    both = main(["models", "resnet18.a1_in1k", "--max-parameters", "12", "resnet50.a1_in1k"])
    assert "resnet18.a1_in1k" in both and "resnet50" not in both
