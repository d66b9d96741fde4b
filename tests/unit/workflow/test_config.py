"""The configuration: what is accepted, what is refused, and what the message says."""

import copy
import datetime
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distillweighted.networks.classifier import build_model
from distillweighted.networks.model_files import save_model
from distillweighted.tasks.embedded import generate
from distillweighted.tasks.registry import DIGITS_POOLS, list_tasks
from distillweighted.workflow.config import ConfigError, read_config
from distillweighted.workflow.problems import show
from distillweighted.workflow.run import Run

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = yaml.safe_load((ROOT / "rules/schemas/config.schema.yaml").read_text())
OWN_TASKS = sorted(ROOT.glob("configs/own_task*.yaml"))
CONFIG_FILES = [ROOT / "config.yaml", *sorted({*ROOT.glob("configs/*.yaml")} - {*OWN_TASKS})]

VALID = {
    "name": "demo",
    "targets": ["cyrillic", "species_b"],
    "sources": [
        {
            "from": "trained",
            "architectures": ["alexnet_tiny", "resnet18_tiny"],
            "tasks": ["latin", "species_a", "cyrillic"],
        }
    ],
}
ABSENT = object()


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """A copy of VALID with the values at some dotted paths replaced (ABSENT: removed)."""
    config = copy.deepcopy(VALID)
    for path, value in changes.items():
        *above, last = path.split(".")
        place: Any = config
        for part in above:
            place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
        if value is ABSENT:
            del place[last]
        else:
            place[int(last) if isinstance(place, list) else last] = value
    return config


def problems_of(config: Any) -> list[str]:
    """The lines of the one error that a configuration gives."""
    with pytest.raises(ConfigError) as caught:
        read_config(config, SCHEMA)
    first, *lines = str(caught.value).split("\n")
    assert first == "The configuration cannot be run:"
    assert lines and all(line.startswith("  - ") for line in lines)
    return [line.removeprefix("  - ") for line in lines]


def rules_of(schema: dict, path: str = "") -> Iterator[tuple[str, dict, bool]]:
    """Every property of the schema at any depth: path, rule, whether it is required."""
    for key, rule in schema.get("properties", {}).items():
        yield f"{path}{key}", rule, key in schema.get("required", [])
        yield from rules_of(rule, f"{path}{key}.")
    if isinstance(schema.get("items"), dict):
        yield from rules_of(schema["items"], f"{path}[].")


RULES = list(rules_of(SCHEMA))


@pytest.mark.parametrize("path", CONFIG_FILES, ids=lambda path: path.name)
def test_shipped_configurations_are_valid(path: Path) -> None:
    config = read_config(yaml.safe_load(path.read_text()), SCHEMA)
    assert read_config(config, SCHEMA) == config
    # The report reads the complete configuration back from YAML.
    assert read_config(yaml.safe_load(yaml.safe_dump(config)), SCHEMA) == config


@pytest.mark.parametrize("path", OWN_TASKS, ids=lambda path: path.name)
def test_templates_of_own_tasks_are_valid_once_the_files_are_there(
    path: Path, tmp_path: Path
) -> None:
    config = tmp_path / "configs" / path.name
    config.parent.mkdir()
    config.write_text(path.read_text())
    for folder in ("own_task", "photos"):
        for part in ("labeled/a", "labeled/b", "unlabeled", "test/a", "test/b"):
            place = tmp_path / folder / part
            place.mkdir(parents=True)
            # A plan looks at names alone.
            for name in "123456":
                (place / f"{name}.jpg").touch()
    for name in ("alexnet_tiny_latin", "resnet18_tiny_latin", "convnet_tiny_generalist"):
        model = build_model(name.rpartition("_")[0], 5, seed=0)
        place = tmp_path / "results/demo/sources" / name
        place.mkdir(parents=True)
        facts = {"architecture": name.rpartition("_")[0], "num_classes": 5, "source": name}
        facts |= {"mean": [0.5] * 3, "std": [0.5] * 3, "image_size": 24, "task": "latin"}
        save_model(model, place / "model.safetensors", facts)
    run = Run.read(config)
    (target,) = run.targets
    assert (
        len(run.admissible(target)) == {"own_task.yaml": 3, "own_task_example.yaml": 2}[path.name]
    )
    assert [student.recipe.name for student in run.students] == [
        "distill_weighted-p12",
        "distill_weighted-pinf",
        "in_transfer",
        "in_fixmatch",
        "distill_prototypes-p12",
        "probe_labels",
    ]
    with pytest.raises(ConfigError, match=r"targets\.0\.labeled: .* is no folder"):
        Run.read(path if path.name == "own_task.yaml" else _moved(config, tmp_path))


def _moved(config: Path, folder: Path) -> Path:
    """A configuration in another folder, whose paths lead nowhere."""
    moved = folder / "elsewhere" / "configs" / config.name
    moved.parent.mkdir(parents=True)
    moved.write_text(config.read_text())
    return moved


def test_schema_describes_every_key_and_has_a_default_for_each_that_may_be_left_out() -> None:
    assert len(RULES) > 50
    for path, rule, required in RULES:
        assert len(rule.get("description", "")) > 5, path
        in_list = "[]" in path
        assert required or in_list or "default" in rule, path
        if rule.get("type") == "object":
            # Names of methods are checked against the grid.
            names = path == "training.learning_rates"
            assert names or rule["additionalProperties"] is False, path


def test_only_exponents_and_the_interval_of_checkpoints_may_be_infinite() -> None:
    # A number without an upper bound would let .inf through.
    unbounded = set()
    for path, rule, _ in RULES:
        for part in (rule, rule.get("items", {})):
            types = part.get("type", [])
            types = {types} if isinstance(types, str) else {*types}
            if types & {"number", "integer"} and not {"maximum", "exclusiveMaximum"} & {*part}:
                unbounded.add(path)
    intervals = {"training.checkpoint_minutes"}
    # Places of a program's outputs, as whole numbers, of which none is infinite.
    unbounded = {path for path in unbounded if not path.startswith("sources.[].outputs.")}
    assert unbounded == {"methods.distill_weighted", "methods.default_p"} | intervals


def test_defaults_are_filled_in_at_every_depth_and_the_input_stays() -> None:
    raw = changed({"training": {"sources": {"steps": 7}}})
    before = copy.deepcopy(raw)
    config = read_config(raw, SCHEMA)
    assert raw == before
    assert config["training"]["sources"]["steps"] == 7
    for path, rule, _ in RULES:
        # These are null unless they are asked for.
        skipped = "[]" in path or path == "figures.other_k"
        skipped = skipped or path.startswith(("choice.", "tuning."))
        if skipped or "default" not in rule or rule["default"] == {}:
            continue
        value = config
        for part in path.split("."):
            value = value[part]
        assert value == (7 if path == "training.sources.steps" else rule["default"]), path
    config["similarity"]["metrics"].append("changed")
    assert "changed" not in read_config(raw, SCHEMA)["similarity"]["metrics"]


def test_numbers_get_the_schemas_type() -> None:
    config = read_config(
        changed(
            {
                "training.lambda": 1,
                "training.steps": 250.0,
                "seeds": [1.0],
                "methods.distill_random_weights": 2.0,
                "methods.distill_weighted": [-0.0, 1, "Infinity", 12],
            }
        ),
        SCHEMA,
    )
    assert (config["training"]["lambda"], config["training"]["steps"]) == (1.0, 250)
    assert isinstance(config["training"]["lambda"], float)
    assert isinstance(config["training"]["steps"], int)
    assert isinstance(config["seeds"][0], int)
    assert isinstance(config["methods"]["distill_random_weights"], int)
    exponents = config["methods"]["distill_weighted"]
    assert exponents == [0.0, 1.0, math.inf, 12.0]
    assert all(isinstance(p, float) for p in exponents)
    assert math.copysign(1, exponents[0]) == 1  # -0 would be a second name for DistillEqual


NAN, INF = math.nan, math.inf
TRAINED = {"from": "trained", "architectures": ["alexnet_tiny"], "tasks": ["latin"]}

# changes, and for each problem the beginning of its line and something that it must say.
BAD = {
    "unknown key": (
        {"training.lamda": 0.5},
        [
            "training.lamda: unknown key; did you mean 'lambda'? "
            "(allowed: checkpoint_minutes, cohort, "
        ],
    ),
    "unknown key of another section": (
        {"lambda": 0.5},
        ["lambda: unknown key; did you mean 'training.lambda'?"],
    ),
    "unknown method": ({"methods.distil_single": 1}, ["methods.distil_single: unknown key; did"]),
    "key with a line break": ({"a\nb: c": 1}, ["'a\\nb: c': unknown key (allowed"]),
    "missing": (
        {"name": ABSENT, "targets": ABSENT},
        ["name: missing (needed: ", "targets: missing (needed: a list"],
    ),
    "missing in a list": (
        {"sources": [{"from": "trained", "tasks": ["latin"]}]},
        ["sources.0.architectures: missing"],
    ),
    "lambda": ({"training.lambda": 1.5}, ["training.lambda: 1.5 is not", "a number from 0 to 1)"]),
    "lambda nan": ({"training.lambda": NAN}, ["training.lambda: .nan is not allowed"]),
    "rate inf": ({"training.learning_rate": INF}, ["training.learning_rate: .inf is", "to 10)"]),
    "number as text": (
        {"training.lambda": "0.8", "training.learning_rate": "1e-3"},
        [
            "training.lambda: '0.8' is not allowed; it is text: write the number without quotes",
            "training.learning_rate: '1e-3' is not allowed; YAML reads a number like 1e-3 as text",
        ],
    ),
    "text as number": ({"training.lambda": "high"}, ["training.lambda: 'high' is not allowed ("]),
    "boolean as number": (
        {"training.lambda": True, "training.steps": True, "methods.default_p": True},
        [
            "training.lambda: true is not",
            "training.steps: true is not",
            "methods.default_p: true is",
        ],
    ),
    "number as boolean": ({"methods.distill_single": 1}, ["methods.distill_single: 1", "e, false"]),
    "fraction of a step": ({"training.steps": 0.5}, ["training.steps: 0.5", "a whole number fro"]),
    "huge": (
        {"training.steps": 10**12, "seeds": [10**6000], "training.lambda": -(2**5000)},
        [
            "training.steps: 1000000000000 is",
            "seeds.0: an integer of 19932 bits",
            "training.lambda: an integer of 5001 bits",
        ],
    ),
    "negative p": (
        {"methods.distill_weighted": [12, -1]},
        ["methods.distill_weighted.1: -1.0 is not allowed (allowed: a number from 0, or .inf)"],
    ),
    "nan p": ({"methods.distill_weighted": [12, NAN]}, ["methods.distill_weighted.1: .nan is"]),
    "text p": (
        {"methods.distill_weighted": ["large", 12], "methods.default_p": "nearest"},
        ["methods.distill_weighted.0: 'large'", "methods.default_p: 'nearest' is not"],
    ),
    "huge p": ({"methods.distill_weighted": [12, 10**400]}, ["methods.distill_weighted.1: an int"]),
    "p twice": (
        {"methods.distill_weighted": [12, 12.0]},
        ["methods.distill_weighted: 12.0 is listed twice"],
    ),
    "default_p": (
        {"methods.default_p": 3},
        ["methods.default_p: 3 is not one of methods.distill_weighted (allowed: 0, 1, 2, 4"],
    ),
    "k of other students": (
        {"methods.distill_top_k": [1]},
        ["methods.distill_top_k.0: 1 is not allowed (allowed: a whole number from 2 to"],
    ),
    "k of all sources": (
        {"methods.distill_top_k": [3, 4, 9]},
        [
            "methods.distill_top_k.1: 4 is all of the 4 sources of target 'cyrillic', or more, "
            "which distill_weighted weights equally at p = 0 (allowed: a whole number from 2 to 3)",
            "methods.distill_top_k.2: 9 is all of the 4 sources of target 'cyrillic', or more",
        ],
    ),
    "sizes of all sources": (
        {"methods.distill_subset_sizes": [1, 4]},
        [
            "methods.distill_subset_sizes.1: 4 is all of the 4 sources of target 'cyrillic', or "
            "more, which distill_weighted weights (allowed: a whole number from 1 to 3)",
        ],
    ),
    "k that is kept": (
        {"methods.distill_top_k": [2], "similarity.weighting.keep": 2},
        ["methods.distill_top_k.0: 2 is similarity.weighting.keep, so that"],
    ),
    "spread": (
        {"similarity.weighting.spread": 0, "similarity.weighting.effective_sources": 0.5},
        ["similarity.weighting.effective_sources: 0.5", "similarity.weighting.spread: 0"],
    ),
    "metric": (
        {"similarity.metrics": ["cak"]},
        ["similarity.metrics.0: unknown metric 'cak'", "mean 'cka'?"],
    ),
    "weighting": (
        {"similarity.weighting.metric": "park"},
        ["similarity.weighting.metric: unknown metric 'park'", "mean 'parc'?"],
    ),
    "origin": (
        {"sources.0.from": "banc"},
        ["sources.0.from: unknown origin 'banc'; did you mean 'bank'? (allowed: arrays, bank, "],
    ),
    "answers where views are asked about": (
        {
            "sources": [
                {"from": "trained", "architectures": ["alexnet_tiny"], "tasks": ["latin"]},
                {"from": "arrays", "file": "answers.npz", "target": "cyrillic"},
            ],
            "methods.distill_views": True,
        },
        [
            "sources.1.from: arrays has answers for the images as they are, and "
            "methods.distill_views asks sources about augmented views (allowed: other sources, or "
        ],
    ),
    "keys of another origin": (
        {"sources.0.from": "torchvision"},
        [
            "sources.0.models: missing (from: torchvision needs it)",
            "sources.0.architectures: from: torchvision does not take this key (allowed: head, ",
            "sources.0.tasks: from: torchvision does not take this key",
        ],
    ),
    "metric not computed": (
        {"similarity.metrics": ["cka"], "similarity.representations": ["pseudo_labels"]},
        [
            "similarity.weighting.metric: 'parc' is not computed; add it to similarity.metrics",
            "similarity.weighting.representation: 'features' is not computed",
        ],
    ),
    "representation": (
        {"similarity.weighting.representation": "feature"},
        ["similarity.weighting.representation: 'feature'", "did you mean 'features'?"],
    ),
    "target": (
        {"targets": ["cyrilic"]},
        ["targets.0: unknown target 'cyrilic'; did you mean 'cyrillic'? (allowed: armenian"],
    ),
    "generalist as target": ({"targets": ["generalist"]}, ["targets.0: unknown target 'general"]),
    "source task and architecture": (
        {"sources.0.tasks.0": "latn", "sources.0.architectures.1": "resnet19"},
        [
            "sources.0.architectures.1: unknown architecture 'resnet19'; did you mean 'resnet1",
            "sources.0.tasks.0: unknown task 'latn'; did you mean 'latin'?",
        ],
    ),
    "other students": (
        {"student.other_architectures": ["convnet_tiny", "convnet_tiny_x3"]},
        [
            "student.other_architectures.0: 'convnet_tiny' is student.architecture",
            "student.other_architectures.1: unknown architecture 'convnet_tiny_x3'; did you mean",
        ],
    ),
    "other students from nowhere": (
        {"student.other_architectures": ["convnet_tiny_x2"], "student.initialization": "random"},
        ["student.other_architectures.0: these students start from a model of a task"],
    ),
    "student": (
        {"student": {"architecture": "convnet", "initialization": "imagenets"}},
        [
            "student.architecture: unknown architecture 'convnet'; did you",
            "student.initialization: unknown start 'imagenets'; did you mean 'imagenet'?",
        ],
    ),
    "start from a target": (
        {"student.initialization": "species_b"},
        ["student.initialization: 'species_b' is a target"],
    ),
    "source as start of the student": (
        {"sources.0.architectures.0": "convnet_tiny", "student.initialization": "latin",
         "baselines.source_architectures": []},
        ["student.initialization: 'latin' makes the source 'convnet_tiny_latin' the start"],
    ),
    "source as start of a baseline": (
        {"student.initialization": "latin", "baselines.source_architectures": ["resnet18_tiny"]},
        ["student.initialization: 'latin' makes the source 'resnet18_tiny_latin' the start"],
    ),
    "baseline architecture": (
        {"baselines.source_architectures": ["resnet50_tiny"]},
        ["baselines.source_architectures.0: unknown architecture among the sources 'resnet50"],
    ),
    "figure 1": (
        {"figures.fig1_targets": ["species_c"]},
        ["figures.fig1_targets.0: unknown target 'species_c'; did you mean 'species_b'? (allow"],
    ),
    "reference of the pairs": (
        {"figures.paired_reference": "distil_weighted"},
        ["figures.paired_reference: unknown method 'distil_weighted'; did you mean 'distill_we"],
    ),
    "reference that is not run": (
        {"figures.paired_reference": "in_fixmatch", "baselines.in_fixmatch": False},
        ["figures.paired_reference: unknown method of this run 'in_fixmatch'", "in_transfer)"],
    ),
    "exclusions": (
        {
            "exclude": [
                {"target": "latin", "sources": ["latin"]},
                {"target": "cyrillic", "sources": ["latin", "resnet_latin"]},
            ]
        },
        [
            "exclude.0.target: unknown target 'latin' (allowed: cyrillic, species_b)",
            "exclude.1.sources.1: unknown source or source task 'resnet_latin'; did you mean",
        ],
    ),
    "no source left": (
        {"exclude": [{"target": "cyrillic", "sources": ["latin", "species_a"]}]},
        ["targets.0: no source is left for 'cyrillic'"],
    ),
    "only its own task": ({"sources.0.tasks": ["cyrillic"]}, ["targets.0: no source is left for"]),
    "source twice": (
        {"sources": [TRAINED, TRAINED]},
        ["sources: 'alexnet_tiny_latin' is listed twice (allowed: every source once)"],
    ),
    "duplicates": (
        {"targets": ["cyrillic"] * 2, "seeds": [3, 1, 3.0], "sources.0.tasks": ["latin"] * 2},
        [
            "seeds: 3.0 is listed twice",
            "sources.0.tasks: 'latin' is listed twice",
            "targets: 'cyrillic' is listed twice (allowed: every entry once)",
        ],
    ),
    "duplicate exclusions": (
        {"exclude": [{"target": "cyrillic", "sources": ["latin"]}] * 2},
        ["exclude: {'target': 'cyrillic', 'sources': ['latin']} is listed twice"],
    ),
    "empty": (
        {"seeds": [], "targets": [], "sources": []},
        ["seeds: [] is not", "sources: [] is not", "targets: [] is not allowed (allowed: a list"],
    ),
    "wrong types": (
        {"targets": None, "sources": "latin", "training": [], "methods": "all", "probe": 500},
        [
            "methods: 'all' is not allowed (allowed: a mapping with the keys distill_single, ",
            "probe: 500 is not",
            "sources: 'latin' is not allowed; write [latin] for a list of one",
            "targets: null is not",
            "training: [] is not",
        ],
    ),
    "wrong types within": (
        {"targets": [["cyrillic"], None], "sources": [None], "student": {"architecture": {}}},
        [
            "sources.0: null is not allowed",
            "student.architecture: {} is not allowed (allowed: text)",
            "targets.0: ['cyrillic'] is not",
            "targets.1: null is not",
        ],
    ),
    "date": ({"name": datetime.date(2023, 1, 1)}, ["name: datetime.date(2023, 1, 1) is not"]),
    "set": ({"targets": {"cyrillic": None}}, ["targets: {'cyrillic': None} is not allowed"]),
    "slash": ({"name": "a/b"}, ["name: 'a/b' is not allowed (allowed: Name of the run (letters"]),
    "parent": ({"name": ".."}, ["name: '..' is not"]),
    "line break": ({"name": "demo\n"}, ["name: 'demo\\n' is not"]),
    "long name": ({"name": "a" * 101}, ["name: 'aaaaaaa"]),
    "no name": ({"name": ""}, ["name: '' is not"]),
    "target as path": ({"targets": ["../cyrillic"]}, ["targets.0: unknown target '../cyrillic'"]),
    "k": (
        {"figures.other_k": [1, 3, 5]},
        ["figures.other_k.2: 5 is more than the 4 sources of target 'cyrillic' (allowed: a whole"],
    ),
    "probe": (
        {"probe.size": 30},
        ["probe.size: 30 is smaller than the 40 classes of target 'species_b' (allowed: 40 or"],
    ),
    "labels": (
        {"training.label_fraction": 0.05},
        [
            "training.label_fraction: 0.05 of 1000 images leaves 50 labelled images for the 32 cl",
            "training.label_fraction: 0.05 of 1000 images leaves 50 labelled images for the 40 cl",
        ],
    ),
    "no unlabelled images": (
        {"training.label_fraction": 0.98, "targets": ["species_b"]},
        ["training.label_fraction: 0.98 of 1000 images leaves 20 unlabelled images for the 40"],
    ),
    "digits are few": (
        {"targets": ["digits"], "embedded.target_images": 5000, "training.label_fraction": 0.01},
        ["training.label_fraction: 0.01 of 1100 images leaves 11 labelled images for the 10"],
    ),
    "test images of the generalist": (
        {"embedded.test_images": 100},
        ["embedded.test_images: 100 is too few to show every class: generalist has 129 classes"],
    ),
    "nothing to train": (
        {
            "methods": {"distill_single": False, "distill_weighted": [], "distill_inverse": False,
                        "distill_random_weights": 0},
            "baselines": {"in_transfer": False, "in_fixmatch": False, "source_architectures": []},
        },
        ["methods: no student of target 'cyrillic'", "methods: no student of target 'species_b'"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_readable_error(name: str) -> None:
    changes, expected = BAD[name]
    lines = problems_of(changed(changes))
    text = "\n".join(lines)
    starts = [part for part in expected if ": " in part]
    assert len(lines) == len(starts), text
    for part in expected:
        found = [line for line in lines if line.startswith(part)] if part in starts else [text]
        assert found and part in found[0], text
    assert all(len(line) < 600 for line in lines)


def test_all_problems_are_told_at_once() -> None:
    lines = problems_of(
        changed(
            {
                "lambda": 1,
                "training.lambda": 2,
                "targets.0": "cyrilic",
                "student.architecture": "vgg",
                "similarity.metrics": ["rsa"],
            }
        )
    )
    paths = {line.split(": ")[0] for line in lines}
    assert paths == {
        "lambda",
        "training.lambda",
        "targets.0",
        "student.architecture",
        "similarity.weighting.metric",
    }


@pytest.mark.parametrize("raw", [None, [], [VALID], "demo", 3, True, datetime.date(2023, 1, 1)])
def test_a_configuration_is_a_mapping(raw: Any) -> None:
    (line,) = problems_of(raw)
    assert line.startswith("(top level): ")
    assert "allowed: a mapping with the keys name, seeds" in line


@pytest.mark.parametrize(
    "text", ["1: x", "on: x", "null: x", "1.5: x", "2023-01-01: x", "? [a]\n: x"]
)
@pytest.mark.parametrize("inside", [False, True])
def test_keys_that_are_no_text(text: str, inside: bool) -> None:
    key = yaml.load(text, yaml.Loader) if "?" not in text else {("a",): "x"}
    config = {**VALID, "training": key} if inside else {**VALID, **key}
    (line,) = problems_of(config)
    assert line.startswith("training: the key " if inside else "(top level): the key ")
    assert "is not text" in line


def test_anchors_do_not_share_defaults_and_may_not_be_circular() -> None:
    shared = yaml.safe_load("{probe: &empty {}, similarity: *empty, student: *empty}")
    assert read_config({**VALID, **shared}, SCHEMA)["probe"] == {"size": 500}
    circle = yaml.safe_load("&a [*a]")
    lines = problems_of({**VALID, "targets": circle, "extra": circle})
    assert [line.split(": ")[0] for line in lines] == ["extra", "targets.0"]
    laughs: list = ["latin"]
    for _ in range(20):
        laughs = [laughs] * 10
    assert "anchors" in problems_of({**VALID, "targets": laughs})[0]


def test_random_start_and_a_source_like_the_student_are_fine() -> None:
    architectures = ["convnet_tiny", "alexnet_tiny"]
    config = read_config(changed({"sources.0.architectures": architectures}), SCHEMA)
    assert config["sources"][0]["architectures"] == architectures
    config = read_config(
        changed({"student.initialization": "random", "embedded.test_images": 100}), SCHEMA
    )
    assert config["embedded"]["test_images"] == 100  # there is no generalist of 129 classes


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        (["latin"], [1, 2]),
        (["latin", "species_a"], [1, 2]),
        (["latin", "species_a", "mosaics_a"], [1, 2, 5]),
    ],
)
def test_other_k_is_limited_to_the_sources_unless_set(
    tasks: list[str], expected: list[int]
) -> None:
    config = read_config(changed({"sources.0.tasks": tasks}), SCHEMA)
    assert config["figures"]["other_k"] == expected
    least = 2 * len(tasks)
    accepted = {"sources.0.tasks": tasks, "figures.other_k": [least]}
    assert read_config(changed(accepted), SCHEMA)["figures"]["other_k"] == [least]
    refused = {"sources.0.tasks": tasks, "figures.other_k": [least + 1]}
    (line,) = problems_of(changed(refused))
    assert line.startswith(f"figures.other_k.0: {least + 1} is more than the {least} sources")
    unused = changed({**refused, "methods.distill_single": False})
    assert read_config(unused, SCHEMA)["figures"]["other_k"] == [least + 1]


def test_sizes_of_tasks() -> None:
    sizes = {
        "source_images": 400,
        "generalist_images": 900,
        "target_images": 700,
        "test_images": 600,
    }
    config = {"targets": ["cyrillic"], "embedded": sizes}
    assert list_tasks(config)["latin"].sizes(config) == {"train_images": 400, "test_images": 600}
    assert list_tasks(config)["cyrillic"].sizes(config) == {"train_images": 700, "test_images": 600}
    assert list_tasks(config)["generalist"].sizes(config) == {
        "train_images": 900,
        "test_images": 600,
    }
    many = {"targets": ["digits"], "embedded": dict.fromkeys(sizes, 5000)}
    assert list_tasks(many)["digits"].sizes(many) == DIGITS_POOLS
    for pool, count in (("train", 1100), ("test", 697)):
        with pytest.raises(ValueError, match=f"{count} real images"):
            generate("digits", num_images=count + 1, pool=pool, seed=0)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers()
    | st.sampled_from([0.0, -0.0, 0.5, 1.0, 12.0, 250.0, 1e300, 10**400, NAN, INF, -INF])
    | st.floats()
    | st.sampled_from(
        ["", "latin", "cyrillic", "species_b", "generalist", "random", "resnet18_tiny", "trained",
         "resnet18_tiny_latin", "cka", "parc", "features", "inf", "1e-3", "../x", "x\ny", "\ud800"]
    )
    | st.text(max_size=5)
    | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.integers() | st.none() | st.booleans(), inner)
    ),
    max_leaves=5,
)  # fmt: skip
COMPLETE = read_config(VALID, SCHEMA)
KNOWN_KEYS = sorted({path.split(".")[-1] for path, _, _ in RULES})


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """The path of every key and entry of a nested value."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


SHIPPED = [yaml.safe_load(path.read_text()) for path in CONFIG_FILES]


@st.composite
def mutated(draw: st.DrawFn, starts: list[dict]) -> dict[str, Any]:
    """A valid configuration after a few changes anywhere."""
    config = copy.deepcopy(draw(st.sampled_from(starts)))
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        *above, last = draw(st.sampled_from(list(places(config)) or [("name",)]))
        place: Any = config
        for part in above:
            place = place[part]
        actions = ["delete", "replace", "scale", "insert", "unlist", "twice", "nest", "empty"]
        action = draw(st.sampled_from(actions))
        if action == "insert":
            if isinstance(place, list):
                place.insert(last, draw(VALUES))
            else:
                key = draw(st.sampled_from(KNOWN_KEYS) | st.text(max_size=3) | st.integers())
                place[key] = draw(VALUES)
        elif not isinstance(place, list) and last not in place:
            continue
        elif action == "replace":
            place[last] = draw(VALUES)
        elif action == "scale":
            # A larger integer times 0.5 is an error of the test's own.
            if isinstance(place[last], (int, float)) and abs(place[last]) < 1e300:
                place[last] = place[last] * draw(st.sampled_from([2, 3, 0.5, 0.9, 1e12, -1]))
        elif action == "unlist":
            if isinstance(place[last], list) and place[last]:
                place[last] = place[last][0]
            else:
                place[last] = [place[last]]
        elif action == "twice":
            if isinstance(place, list):
                place.append(copy.deepcopy(place[last]))
            elif isinstance(place[last], list):
                place[last] = place[last] * 2
        elif action == "nest":
            for _ in range(draw(st.sampled_from([1, 5, 40]))):
                place[last] = draw(st.sampled_from([lambda v: [v], lambda v: {"a": v}]))(
                    place[last]
                )
        elif action == "empty":
            place[last] = draw(st.sampled_from([{}, [], "", None]))
        else:
            del place[last]
    return config


@pytest.mark.parametrize(
    ("starts", "examples", "fewest"),
    [
        ([VALID, COMPLETE], 300, 150),
        pytest.param(SHIPPED, 1500, 1000, marks=pytest.mark.slow),
    ],
    ids=["small", "shipped"],
)
def test_bad_configurations_end_in_an_error_that_names_a_key(starts, examples, fewest) -> None:
    """Whatever the change, there is a ConfigError, or a configuration that stays as it is."""
    refused: set[str] = set()
    valid = 0

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(mutated(starts))
    def check(raw: dict[str, Any]) -> None:
        nonlocal valid
        before = repr(raw)
        try:
            config = read_config(raw, SCHEMA)
        except ConfigError as error:
            refused.add(before)
            first, *lines = str(error).split("\n")
            assert first.endswith(":") and lines
            for line in lines:
                assert line.startswith("  - ") and line.isprintable() and len(line) < 1000
                path, colon, text = line.removeprefix("  - ").partition(": ")
                # A key of the schema, or of the configuration at that place.
                key = path.split(".")[0]
                assert colon and text and (key in SCHEMA["properties"] or key in named_keys(raw))
        else:
            valid += 1
            assert read_config(config, SCHEMA) == config
        assert repr(raw) == before

    check()
    assert len(refused) >= fewest and valid >= 10, (len(refused), valid)


def named_keys(raw: dict) -> set[str]:
    """What a message may call a top-level key: as it is, or as it is shown."""
    keys = {key for key in raw if isinstance(key, str)}
    return {"(top level)", *keys, *(show(key).split(".")[0].split(": ")[0] for key in keys)}


def test_a_step_that_fixmatch_cannot_divide_by_three() -> None:
    batches = {"training.labeled_batch": 16, "training.unlabeled_batch": 33}
    (problem,) = problems_of(changed(batches))
    assert "training.unlabeled_batch: 33" in problem and "49 images a step" in problem
    without = read_config(changed({**batches, "baselines.in_fixmatch": False}), SCHEMA)
    assert without["training"]["unlabeled_batch"] == 33


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"similarity.representations": ["features"]},
            "similarity.metrics.1: 'leep' needs one of similarity.representations: pseudo_labels",
        ),
        (
            {"similarity.weighting": {"metric": "leep", "representation": "pseudo_labels"}},
            "similarity.weighting.metric: eq. 5 cannot weight by 'leep' as it is: it is not above "
            "0 for similar sources, but in (-inf, 0]; set similarity.weighting.transform to rank "
            "or softmax (allowed without: parc, parc_standardized, parc_pca32, parc_published, "
            "rsa, cka, cka_debiased, knn, knn_5, h_score, h_score_shrunk, transrate, lda)",
        ),
        (
            {"similarity.weighting": {"metric": "nce", "transform": "rank"}},
            "similarity.weighting.representation: 'nce' is not computed of features (allowed: "
            "pseudo_labels)",
        ),
        (
            {"similarity.metrics": ["parc", "leep", "nce", "parc+nleep"]},
            "similarity.metrics.3: the ranks of 'parc+nleep' need nleep too; add to "
            "similarity.metrics",
        ),
        (
            {"similarity.metrics": ["parc", "nce", "nce+nce"]},
            "similarity.metrics.2: 'nce+nce' names a metric twice (allowed: each once)",
        ),
        (
            {"similarity.metrics": ["parc", "leep", "nleep", "leep+nleep"]},
            "similarity.metrics.3: the metrics of 'leep+nleep' have no representation in common "
            "(allowed: those that are computed of one)",
        ),
        (
            {
                "similarity.metrics": ["parc", "nce", "parc+nce"],
                "similarity.weighting.metric": "parc+nce",
            },
            "similarity.weighting.representation: 'parc+nce' is not computed of features (allowed: "
            "pseudo_labels)",
        ),
    ],
)
def test_what_a_metric_is_of_and_whether_it_may_weight(
    changes: dict[str, Any], expected: str
) -> None:
    metrics = {"similarity.metrics": ["parc", "leep", "nce"]}
    assert read_config(changed(metrics), SCHEMA)["similarity"]["metrics"][1] == "leep"
    if "similarity.representations" in changes:
        metrics = {"similarity.metrics": ["parc", "leep"]}
    assert problems_of(changed({**metrics, **changes})) == [expected]


def test_an_unknown_metric_of_an_ensemble_is_named() -> None:
    (problem,) = problems_of(changed({"similarity.metrics": ["parc", "parc+lep"]}))
    assert problem.startswith("similarity.metrics.1: unknown metric 'lep'; did you mean 'leep'?")


@pytest.mark.parametrize(
    "weighting",
    [
        {"metric": "leep", "representation": "pseudo_labels", "transform": "rank"},
        {"metric": "logme", "transform": "softmax"},
        {"metric": "leep+logme", "representation": "pseudo_labels"},
        {"metric": "logme+parc"},
    ],
)
def test_metrics_that_are_not_positive_may_weight_by_rank(weighting: dict[str, str]) -> None:
    metrics = ["parc", "leep", "logme", "leep+logme", "logme+parc"]
    config = changed({"similarity.metrics": metrics, "similarity.weighting": weighting})
    found = read_config(config, SCHEMA)["similarity"]["weighting"]
    assert found["metric"] == weighting["metric"]
    assert found["transform"] == weighting.get("transform", "none")


@pytest.mark.parametrize("start", ["imagenet", "nearest_source"])
def test_a_name_that_cannot_be_printed_is_shown_as_python_writes_it(start: str) -> None:
    lines = problems_of(changed({"student.architecture": "\x1f", "student.initialization": start}))
    assert all(line.isprintable() for line in lines)
    assert lines[0].startswith("student.architecture: unknown architecture '\\x1f'")
