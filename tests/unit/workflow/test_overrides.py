"""Values from a command line: what they become by the schema, by value."""

import math
from pathlib import Path

import pytest
import yaml

from distillweighted.workflow.config import ConfigError, read_config
from distillweighted.workflow.config_file import merge
from distillweighted.workflow.overrides import read_overrides

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = yaml.safe_load((ROOT / "rules/schemas/config.schema.yaml").read_text())


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        # Lists, and single values in the place of lists.
        ("seeds=[3]", [3]),
        ("seeds=3", [3]),
        ("seeds=[1, 2]", [1, 2]),
        ("targets=cyrillic", ["cyrillic"]),
        ("targets=[cyrillic, digits]", ["cyrillic", "digits"]),
        ("baselines={source_architectures: alexnet}", {"source_architectures": ["alexnet"]}),
        ("baselines={source_architectures: null}", {"source_architectures": None}),
        ("exclude={target: digits, sources: 3}", [{"target": "digits", "sources": ["3"]}]),
        # Numbers, booleans, null.
        ("training={steps: 50}", {"steps": 50}),
        ('training={"steps": 50}', {"steps": 50}),
        ("training={sources: {steps: 50}}", {"sources": {"steps": 50}}),
        ("training={learning_rate: 0.5}", {"learning_rate": 0.5}),
        ("training={learning_rate: 1e-3}", {"learning_rate": 0.001}),
        ("training={learning_rate: 1.0e-05}", {"learning_rate": 0.00001}),
        ("training={checkpoint_minutes: .inf}", {"checkpoint_minutes": math.inf}),
        ("training={checkpoint_minutes: inf}", {"checkpoint_minutes": math.inf}),
        ("training={distill_labeled: true}", {"distill_labeled": True}),
        ("training={distill_labeled: False}", {"distill_labeled": False}),
        ("methods={random_weights_sources: ~}", {"random_weights_sources": None}),
        ("methods={random_weights_sources: None}", {"random_weights_sources": None}),
        ("methods={distill_weighted: [0, 12, .inf]}", {"distill_weighted": [0, 12, math.inf]}),
        ("data_root=null", None),
        ("data_root=None", None),
        ("data_root=", None),
        ("seeds=", None),
        # Text where the schema holds text, whatever it looks like.
        ("name=3", "3"),
        ("name=007", "007"),
        ("name=1.10", "1.10"),
        ("name=2024_01", "2024_01"),
        ("name=true", "true"),
        ("name=null", "null"),
        ("name='3'", "3"),
        ("name=[a]", "[a]"),
        ("name=", ""),
        ("data_root=/a b/c: d #e", "/a b/c: d #e"),
        ("data_root=a=b", "a=b"),
        ("student={initialization: 3}", {"initialization": "3"}),
        ("targets=[1, on]", ["1", "on"]),
        ("device=cpu", "cpu"),
        # What is not of the schema's type stays what YAML says, to be refused with its key.
        ("device=3", 3),
        ("seeds=[three]", ["three"]),
        ("seeds=[3", ["[3"]),
        ("training=50", 50),
        ('training={steps: "50"}', {"steps": "50"}),
        ("training={steps: 2024-01-01}", {"steps": "2024-01-01"}),
        ("training={steps: 0x_}", {"steps": "0x_"}),
        ("unknown={a: [1, x]}", {"a": [1, "x"]}),
        ("training={1: {2: 3}}", {"1": {"2": 3}}),
    ],
)
def test_a_value_becomes_what_the_schema_holds(argument, value):
    # As texts, which tell 1 from 1.0 and from true.
    assert repr(read_overrides([argument], SCHEMA)) == repr({argument.partition("=")[0]: value})


def test_later_values_complete_or_replace_earlier_ones():
    arguments = ["training={steps: 1, cohort: 2}", "seeds=1", "training={steps: 3}", "seeds=2"]
    assert read_overrides(arguments, SCHEMA) == {
        "training": {"steps": 3, "cohort": 2},
        "seeds": [2],
    }
    assert read_overrides([], SCHEMA) == {}


def test_of_a_larger_configuration_only_the_part_counts():
    arguments = ["name=3", "distill={seeds: 3, name: 3}", "distill={device: cpu}", "x={a: 1, a: 1}"]
    part = read_overrides(arguments, SCHEMA, "distill")
    assert part == {"seeds": [3], "name": "3", "device": "cpu"}
    assert read_overrides(["name=3"], SCHEMA, "distill") == {}
    assert read_overrides(["distill=3"], SCHEMA, "distill") == {}


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("training={steps: 1, steps: 2}", "training: the key 'steps' is there twice"),
        ("exclude=[{target: a, target: b}]", "exclude.0: the key 'target' is there twice"),
        ("training={sources: &a {steps: *a}}", "training.sources.steps: an alias (*) repeats"),
        ("sources=[&a {from: bank}, *a]", "sources.1: an alias (*) repeats"),
        ("sources=&a [*a]", "sources.0: an alias (*) repeats"),
        ("seeds=" + "[" * 5000, "seeds: nested too deep"),
    ],
)
def test_what_cannot_be_one_value_is_refused(argument, message):
    with pytest.raises(ConfigError) as error:
        read_overrides([argument], SCHEMA)
    assert message in str(error.value)


def test_what_is_left_of_the_configuration_stays():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    arguments = ["training={steps: 50}", "seeds=3", "name=3"]
    changed = read_config(merge(config, read_overrides(arguments, SCHEMA)), SCHEMA)
    expected = read_config(config, SCHEMA)
    expected["training"]["steps"] = 50
    expected |= {"seeds": [3], "name": "3"}
    assert changed == expected


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("seeds=[three]", "seeds.0: 'three' is not allowed (allowed: a whole number"),
        ("training={stps: 50}", "training.stps: unknown key; did you mean"),
        (
            "training={lambda: 2}",
            "training.lambda: 2 is not allowed (allowed: a number from 0 to 1)",
        ),
        ("targets=cyrilic", "targets.0: unknown target 'cyrilic'; did you mean 'cyrillic'?"),
        ('seeds=["3"]', "seeds.0: '3' is not allowed; it is text: write the number without quotes"),
        ("training=50", "training: 50 is not allowed (allowed: a mapping"),
    ],
)
def test_errors_name_the_key_the_value_and_what_is_allowed(argument, message):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    with pytest.raises(ConfigError) as error:
        read_config(merge(config, read_overrides([argument], SCHEMA)), SCHEMA)
    assert message in str(error.value)
