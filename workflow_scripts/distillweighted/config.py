"""Reading and checking a run's configuration before any work starts.

`read_config` turns a raw mapping into a complete, valid one: the schema rejects unknown keys and
fills defaults, the checks below reject values that no schema can (names that do not exist, a probe
smaller than its classes). Every error names the key, the value and what is allowed.
"""

from __future__ import annotations

import copy
import difflib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator, ValidationError, validators

from distillweighted.architectures import known_architectures
from distillweighted.embedded import TASKS
from distillweighted.grid import (
    admissible_sources,
    baseline_architectures,
    format_p,
    list_sources,
    student_grid,
)

DEFAULT_OTHER_K = (1, 2, 5)

DIGITS_POOLS = {"train_images": 1100, "test_images": 697}
"""Images that there are of the embedded benchmark's real digits, by pool."""

MAX_ENTRIES = 100_000
MAX_DEPTH = 30


class ConfigError(ValueError):
    """A configuration that cannot be run; the message lists every problem found."""


class Problem(NamedTuple):
    """What is wrong with the value of a key."""

    path: str
    text: str


def read_config(raw: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Check a configuration and fill in its defaults.

    Args:
        raw: The configuration as parsed from YAML; it is not changed.
        schema: JSON schema of the configuration.

    Returns:
        A new, complete configuration; numbers are floats where the schema says number and integers
        where it says integer, and "inf" as an exponent is `math.inf`.

    Raises:
        ConfigError: With one line a problem: the key's path, the value, what is allowed.
    """
    problems: list[Problem] = []
    config = _PlainCopy(problems).copy(raw, "")
    _normalise_exponents(config)
    errors = list(_filling_validator(schema).iter_errors(config))
    problems += [problem for error in errors for problem in _describe(error, schema)]
    problems += _semantic_problems(config, broken=_broken_keys(errors))
    if problems:
        lines = dict.fromkeys(f"{path or '(top level)'}: {text}" for path, text in problems)
        raise ConfigError("The configuration cannot be run:\n  - " + "\n  - ".join(lines))
    config = _with_exact_types(config, schema)
    if config["figures"]["other_k"] is None:
        limit = _fewest_sources(config)[0]
        config["figures"]["other_k"] = [k for k in DEFAULT_OTHER_K if k <= limit]
    return config


def task_images(config: Mapping[str, Any], task: str) -> dict[str, int]:
    """How many images a task of the embedded benchmark has in each pool.

    Args:
        config: A complete configuration.
        task: Name of a task.

    Returns:
        train_images and test_images; the real digits are capped at what there is.
    """
    embedded = config["embedded"]
    sizes = {
        "train_images": embedded[_train_images_key(config, task)],
        "test_images": embedded["test_images"],
    }
    if TASKS[task].family == "digits":
        sizes = {pool: min(size, DIGITS_POOLS[pool]) for pool, size in sizes.items()}
    return sizes


def _train_images_key(config: Mapping[str, Any], task: str) -> str:
    if task in config["targets"]:
        return "target_images"
    return "generalist_images" if TASKS[task].role == "generalist" else "source_images"


# Reading what YAML may hold.


class _Oddity:
    """Stands for a value that no key may have and that could not be printed or compared."""

    def __init__(self, text: str):
        self.text = text

    def __repr__(self) -> str:
        return self.text


class _PlainCopy:
    """Copies nested mappings and lists; what YAML allows and JSON does not becomes a problem.

    YAML has keys that are no text, anchors that share a value between keys (filling defaults into
    one would fill the other) and values that contain themselves.
    """

    def __init__(self, problems: list[Problem]):
        self._problems = problems
        self._entries = 0

    def copy(self, value: Any, path: str, above: tuple[int, ...] = ()) -> Any:
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            raise ConfigError(
                "The configuration cannot be run:\n"
                f"  - (top level): more than {MAX_ENTRIES} entries (do anchors repeat each other?)"
            )
        if isinstance(value, (Mapping, list)):
            if id(value) in above or len(above) >= MAX_DEPTH:
                return _Oddity("a value that contains itself or is nested too deep")
            above = (*above, id(value))
        if isinstance(value, Mapping):
            self._problems += [
                Problem(
                    path,
                    f"the key {_show(key)} is not text (in YAML, quote keys like '1' or 'on')",
                )
                for key in value
                if not isinstance(key, str)
            ]
            return {
                str(key): self.copy(item, _join(path, key), above)
                for key, item in value.items()
                if isinstance(key, str)
            }
        if isinstance(value, list):
            return [self.copy(item, _join(path, i), above) for i, item in enumerate(value)]
        if isinstance(value, int) and not isinstance(value, bool):
            bits = value.bit_length()
            return int(value) if bits < 1000 else _Oddity(f"an integer of {bits} bits")
        return value


def _normalise_exponents(config: Any) -> None:
    methods = config.get("methods") if isinstance(config, dict) else None
    if not isinstance(methods, dict):
        return

    def number(value: Any) -> Any:
        if isinstance(value, str) and value.lower() in {"inf", "infinity"}:
            return math.inf
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return value
        return float(value) + 0.0  # -0.0 becomes 0.0

    if isinstance(methods.get("distill_weighted"), list):
        methods["distill_weighted"] = [number(p) for p in methods["distill_weighted"]]
    if "default_p" in methods:
        methods["default_p"] = number(methods["default_p"])


def _with_exact_types(value: Any, schema: Mapping[str, Any]) -> Any:
    """A valid value with 250.0 as 250 where the schema says integer, 1 as 1.0 where number."""
    types = schema.get("type", ())
    if isinstance(value, dict):
        properties = schema["properties"]
        return {key: _with_exact_types(item, properties[key]) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_exact_types(item, schema["items"]) for item in value]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    return int(value) if "integer" in types else float(value)


# The schema: filling defaults, and errors that a person can read.


def _filling_validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    check_properties = Draft202012Validator.VALIDATORS["properties"]

    def fill_defaults(validator, properties, instance, schema):
        if isinstance(instance, dict):
            for key, subschema in properties.items():
                if "default" in subschema:
                    instance.setdefault(key, copy.deepcopy(subschema["default"]))
        yield from check_properties(validator, properties, instance, schema)

    def is_number(_, value: Any) -> bool:
        # NaN passes every comparison with a bound.
        return (
            isinstance(value, (int, float))
            and not isinstance(value, bool)
            and not math.isnan(value)
        )

    return validators.extend(
        Draft202012Validator,
        {"properties": fill_defaults},
        type_checker=Draft202012Validator.TYPE_CHECKER.redefine("number", is_number),
    )(schema)


def _broken_keys(errors: Iterable[ValidationError]) -> set[str] | None:
    """Top-level keys whose values cannot be looked at further; None for all."""
    broken: set[str] = set()
    for error in errors:
        if error.validator == "additionalProperties":
            continue
        if error.absolute_path:
            broken.add(error.absolute_path[0])
        elif error.validator == "required":
            broken |= {key for key in error.validator_value if key not in error.instance}
        else:
            return None
    return broken


def _describe(error: ValidationError, schema: Mapping[str, Any]) -> Iterator[Problem]:
    path, value, rule = "", error.instance, error.schema
    for part in error.absolute_path:
        path = _join(path, part)
    if error.validator == "additionalProperties":
        allowed = sorted(rule["properties"])
        for key in value:
            if key not in allowed:
                hint = _did_you_mean(key, allowed) or _elsewhere(key, schema)
                text = f"unknown key{hint} (allowed: {', '.join(allowed)})"
                yield Problem(_join(path, key), text)
        return
    if error.validator == "required":
        for key in error.validator_value:
            if key not in value:
                text = f"missing (needed: {_allowed(rule['properties'][key])})"
                yield Problem(_join(path, key), text)
        return
    if error.validator == "uniqueItems":
        twice = next(item for i, item in enumerate(value) if item in value[:i])
        yield Problem(path, f"{_show(twice)} is listed twice (allowed: every entry once)")
        return
    hint = ""
    if error.validator == "enum":
        hint = _did_you_mean(value, [name for name in rule["enum"] if isinstance(name, str)])
    elif error.validator == "type" and isinstance(value, str):
        hint = _hint_for_text(value, rule)
    yield Problem(path, f"{_show(value)} is not allowed{hint} (allowed: {_allowed(rule)})")


def _hint_for_text(text: str, rule: Mapping[str, Any]) -> str:
    types = rule["type"]
    if "array" in types:
        return f"; write [{_show(text)[1:-1]}] for a list of one"
    if "number" not in types and "integer" not in types:
        return ""
    try:
        number = float(text)
    except ValueError:
        return ""
    if not math.isfinite(number):
        return ""
    if re.fullmatch(r"[-+]?\d+e[-+]?\d+", text, re.IGNORECASE | re.ASCII):
        return "; YAML reads a number like 1e-3 as text: write 1.0e-3"
    return "; it is text: write the number without quotes"


def _allowed(rule: Mapping[str, Any]) -> str:
    """What a schema allows, in words."""
    if "enum" in rule:
        return ", ".join(map(str, rule["enum"]))
    types = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
    return " or ".join(_allowed_of_type(name, rule) for name in types)


def _allowed_of_type(name: str, rule: Mapping[str, Any]) -> str:
    if name in ("integer", "number"):
        return {"integer": "a whole number", "number": "a number"}[name] + _bounds(name, rule)
    if name == "array":
        start = "a list of one or more of: " if rule.get("minItems") else "a list of: "
        return start + _allowed(rule["items"])
    if name == "object":
        return f"a mapping with the keys {', '.join(rule['properties'])}"
    if name == "string" and "pattern" in rule:
        return rule["description"]
    return {"string": "text", "boolean": "true, false", "null": "null"}[name]


def _bounds(name: str, rule: Mapping[str, Any]) -> str:
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to"}
    words |= {"exclusiveMaximum": "below"}
    text = "".join(f" {word} {rule[key]:g}" for key, word in words.items() if key in rule)
    # A number without an upper bound is one that may be infinite.
    unbounded = "maximum" not in rule and "exclusiveMaximum" not in rule
    return f"{text}, or .inf" if name == "number" and unbounded else text


def _elsewhere(key: str, schema: Mapping[str, Any], path: str = "") -> str:
    """A hint where a key of this name has its place, if there is one."""
    for name, rule in schema.get("properties", {}).items():
        if name == key:
            return f"; did you mean '{_join(path, name)}'?"
        if hint := _elsewhere(key, rule, _join(path, name)):
            return hint
    return ""


def _join(path: str, part: str | int) -> str:
    text = str(part)
    if not re.fullmatch(r"[\w-]{1,60}", text):
        text = _show(part)
    return f"{path}.{text}" if path else text


def _show(value: Any) -> str:
    """A value on one line, as YAML has it where that differs from Python."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else f"{'-' * (value < 0)}.inf"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a foreign object's; the message matters more than what it looks like
        text = f"an object of type {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:56]} ..."


def _did_you_mean(name: Any, allowed: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(name)[:60], list(allowed), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


# Checks that no schema can make.


def _unknown(path: str, name: str, allowed: Iterable[str], what: str) -> Problem:
    allowed = sorted(allowed)
    hint = _did_you_mean(name, allowed)
    return Problem(path, f"unknown {what} {_show(name)}{hint} (allowed: {', '.join(allowed)})")


def _semantic_problems(config: Any, *, broken: set[str] | None) -> Iterator[Problem]:
    """Problems of the checks whose keys are intact, so that one run of them tells all there is."""
    if broken is None:
        return
    for keys, check in _CHECKS:
        if broken.isdisjoint(keys.split()):
            found = list(check(config))
            broken |= {problem.path.split(".")[0] for problem in found}
            yield from found


def _exponent_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    methods = config["methods"]
    exponents = methods["distill_weighted"]
    if exponents and methods["default_p"] not in exponents:
        allowed = ", ".join(map(format_p, exponents))
        text = f"{format_p(methods['default_p'])} is not one of methods.distill_weighted"
        yield Problem("methods.default_p", f"{text} (allowed: {allowed})")


def _weighting_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    similarity = config["similarity"]
    for key, values in (("metric", "metrics"), ("representation", "representations")):
        if similarity["weighting"][key] not in similarity[values]:
            yield Problem(
                f"similarity.weighting.{key}",
                f"'{similarity['weighting'][key]}' is not computed; add it to similarity.{values} "
                f"(allowed: {', '.join(similarity[values])})",
            )


def _target_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    allowed = [name for name, task in TASKS.items() if task.role != "generalist"]
    for i, name in enumerate(config["targets"]):
        if name not in allowed:
            yield _unknown(f"targets.{i}", name, allowed, "target")


def _source_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    architectures = known_architectures()
    for i, group in enumerate(config["sources"]):
        for k, name in enumerate(group["architectures"]):
            if name not in architectures:
                path = f"sources.{i}.architectures.{k}"
                yield _unknown(path, name, architectures, "architecture")
        for k, name in enumerate(group["tasks"]):
            if name not in TASKS:
                yield _unknown(f"sources.{i}.tasks.{k}", name, TASKS, "task")
    names = [source.name for source in list_sources(config)]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Problem("sources", f"{_show(name)} is listed twice (allowed: every source once)")


def _student_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    student, architectures = config["student"], known_architectures()
    if (name := student["architecture"]) not in architectures:
        yield _unknown("student.architecture", name, architectures, "architecture")
    if (name := student["initialization"]) not in {*TASKS, "random"}:
        yield _unknown("student.initialization", name, {*TASKS, "random"}, "task")


def _initialization_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    name = config["student"]["initialization"]
    if name in config["targets"]:
        yield Problem(
            "student.initialization",
            f"'{name}' is a target; a student may not start from a model that was trained on its "
            "own target's images (allowed: random, or a task that is no target)",
        )


def _clash_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    name, student = config["student"]["initialization"], config["student"]["architecture"]
    if name == "random":
        return
    sources = {source.name for source in list_sources(config)}
    for architecture in dict.fromkeys([student, *baseline_architectures(config)]):
        model = f"{architecture}_{name}"
        if model in sources:
            yield Problem(
                "student.initialization",
                f"'{name}' makes the source '{model}' the start of a student too, and the two "
                "train for different numbers of steps (allowed: random, or a task that no source "
                "of this architecture is trained on)",
            )


def _baseline_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    known = {name for group in config["sources"] for name in group["architectures"]}
    for i, name in enumerate(config["baselines"]["source_architectures"] or []):
        if name not in known:
            path = f"baselines.source_architectures.{i}"
            yield _unknown(path, name, known, "architecture among the sources")


def _figure_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    for i, name in enumerate(config["figures"]["fig1_targets"] or []):
        if name not in config["targets"]:
            yield _unknown(f"figures.fig1_targets.{i}", name, config["targets"], "target")


def _exclusion_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    sources = list_sources(config)
    known = {source.name for source in sources} | {source.task for source in sources}
    for i, entry in enumerate(config["exclude"]):
        if entry["target"] not in config["targets"]:
            yield _unknown(f"exclude.{i}.target", entry["target"], config["targets"], "target")
        for k, name in enumerate(entry["sources"]):
            if name not in known:
                yield _unknown(f"exclude.{i}.sources.{k}", name, known, "source or source task")


def _admissible_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    for i, target in enumerate(config["targets"]):
        if not admissible_sources(config, target):
            yield Problem(
                f"targets.{i}",
                f"no source is left for '{target}' (a source trained on the target's own task "
                "never serves it); add sources or remove entries of `exclude`",
            )


def _fewest_sources(config: Mapping[str, Any]) -> tuple[int, str]:
    """The smallest number of sources that any target has, and that target."""
    return min((len(admissible_sources(config, name)), name) for name in config["targets"])


def _other_k_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    if not config["methods"]["distill_single"]:
        return
    limit, target = _fewest_sources(config)
    for i, k in enumerate(config["figures"]["other_k"] or []):
        if k > limit:
            yield Problem(
                f"figures.other_k.{i}",
                f"{k:g} is more than the {limit} sources of target '{target}' "
                f"(allowed: a whole number from 1 to {limit})",
            )


def _nothing_to_train(config: Mapping[str, Any]) -> Iterator[Problem]:
    trained = set(student_grid(config)["target"])
    for target in config["targets"]:
        if target not in trained:
            yield Problem("methods", f"no student of target '{target}'; switch a method on")


def _pool_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    initialization = config["student"]["initialization"]
    tasks = {source.task for source in list_sources(config)} | {*config["targets"]}
    if initialization != "random":
        tasks.add(initialization)
    needed: dict[str, tuple[int, str]] = {}
    for task in tasks:
        classes = (TASKS[task].num_classes, task)
        for key in (_train_images_key(config, task), "test_images"):
            needed[key] = max(needed.get(key, classes), classes)
    for key, (classes, task) in sorted(needed.items()):
        images = config["embedded"][key]
        if images < classes:
            yield Problem(
                f"embedded.{key}",
                f"{images:g} is too few to show every class: {task} has {classes} classes "
                f"(allowed: {classes} or more)",
            )


def _probe_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    classes, target = max((TASKS[name].num_classes, name) for name in config["targets"])
    if config["probe"]["size"] < classes:
        yield Problem(
            "probe.size",
            f"{config['probe']['size']:g} is smaller than the {classes} classes of target "
            f"'{target}' (allowed: {classes} or more; take at least {2 * classes}, two images a "
            "class)",
        )


def _label_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    fraction = config["training"]["label_fraction"]
    for target in config["targets"]:
        classes, images = TASKS[target].num_classes, task_images(config, target)["train_images"]
        labeled = int(images * fraction)
        start = f"{fraction:g} of {images:g} images leaves"
        if labeled < 2 * classes:
            yield Problem(
                "training.label_fraction",
                f"{start} {labeled} labelled images for the {classes} classes of target '{target}' "
                f"(allowed: what leaves {2 * classes} or more, two a class)",
            )
        elif images - labeled < classes:
            yield Problem(
                "training.label_fraction",
                f"{start} {images - labeled:g} unlabelled images for the {classes} classes of "
                f"target '{target}' (allowed: what leaves {classes} or more, one a class)",
            )


_CHECKS: tuple[tuple[str, Callable[[Mapping[str, Any]], Iterator[Problem]]], ...] = (
    ("methods", _exponent_problems),
    ("similarity", _weighting_problems),
    ("targets", _target_problems),
    ("sources", _source_problems),
    ("student", _student_problems),
    ("student targets", _initialization_problems),
    ("student sources baselines", _clash_problems),
    ("baselines sources", _baseline_problems),
    ("figures targets", _figure_problems),
    ("exclude targets sources", _exclusion_problems),
    ("exclude targets sources", _admissible_problems),
    ("exclude targets sources figures methods", _other_k_problems),
    ("exclude targets sources methods baselines student seeds training", _nothing_to_train),
    ("embedded targets sources student", _pool_problems),
    ("probe targets", _probe_problems),
    ("training embedded targets", _label_problems),
)
"""The checks, each after the top-level keys that it reads."""
