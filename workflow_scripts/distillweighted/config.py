"""Reading and checking a run's configuration before any work starts.

`read_config` turns a raw mapping into a complete, valid one: the schema rejects unknown keys and fills
defaults, the checks below reject values that no schema can (names that do not exist, a probe smaller
than its classes). Every error names the key, the value and what is allowed.
"""

from __future__ import annotations

import copy
import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any

from jsonschema import Draft202012Validator, validators

from distillweighted.architectures import known_architectures
from distillweighted.embedded import TASKS
from distillweighted.grid import SourceModel, excluded_sources, list_sources


class ConfigError(ValueError):
    """A configuration that cannot be run; the message lists every problem found."""


def read_config(raw: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Check a configuration and fill in its defaults.

    Args:
        raw: The configuration as parsed from YAML; it is not changed.
        schema: JSON schema of the configuration.

    Returns:
        A new, complete configuration; exponents are floats and "inf" is `math.inf`.

    Raises:
        ConfigError: With one line a problem: the key's path, the value, what is allowed.
    """
    config = copy.deepcopy(dict(raw))
    _normalise_exponents(config)
    problems = [_describe(error) for error in _filling_validator(schema).iter_errors(config)]
    # Names and numbers can only be looked at once the types are right.
    problems = problems or list(_semantic_problems(config))
    if problems:
        raise ConfigError("The configuration cannot be run:\n  - " + "\n  - ".join(problems))
    return config


def _filling_validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    check_properties = Draft202012Validator.VALIDATORS["properties"]

    def fill_defaults(validator, properties, instance, schema):
        if isinstance(instance, dict):
            for key, subschema in properties.items():
                if "default" in subschema:
                    instance.setdefault(key, copy.deepcopy(subschema["default"]))
        yield from check_properties(validator, properties, instance, schema)

    return validators.extend(Draft202012Validator, {"properties": fill_defaults})(schema)


def _normalise_exponents(config: dict[str, Any]) -> None:
    methods = config.get("methods")
    if not isinstance(methods, dict):
        return

    def number(value: Any) -> Any:
        if isinstance(value, str) and value.lower() in {"inf", "infinity"}:
            return math.inf
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    if isinstance(methods.get("distill_weighted"), list):
        methods["distill_weighted"] = [number(p) for p in methods["distill_weighted"]]
    if "default_p" in methods:
        methods["default_p"] = number(methods["default_p"])


def _describe(error) -> str:
    path = ".".join(str(part) for part in error.absolute_path) or "(top level)"
    if error.validator == "additionalProperties":
        allowed = sorted(error.schema["properties"])
        unknown = sorted(str(key) for key in error.instance if key not in allowed)
        prefix = "" if path == "(top level)" else f"{path}."
        return "; ".join(
            f"{prefix}{key}: unknown key{_did_you_mean(key, allowed)} (allowed: {', '.join(allowed)})"
            for key in unknown
        )
    if error.validator == "required":
        return f"{path}: {error.message} (see config.yaml for an example)"
    message = f"{path}: {error.message}"
    if error.validator == "type" and isinstance(error.instance, str):
        try:
            float(error.instance)
        except ValueError:
            pass
        else:
            message += " (YAML reads a number like 1e-3 as text: write 1.0e-3)"
    return message


def _did_you_mean(name: Any, allowed: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(name), list(allowed), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def _unknown(path: str, name: str, allowed: Iterable[str], what: str) -> str:
    allowed = sorted(allowed)
    return (
        f"{path}: unknown {what} '{name}'{_did_you_mean(name, allowed)} "
        f"(allowed: {', '.join(allowed)})"
    )


def _semantic_problems(config: Mapping[str, Any]) -> Iterable[str]:
    yield from _number_problems(config)
    names = list(_name_problems(config))
    yield from names
    if names:
        return
    sources = list_sources(config)
    yield from _exclusion_problems(config, sources)
    yield from _size_problems(config)


def _number_problems(config: Mapping[str, Any]) -> Iterable[str]:
    methods, similarity = config["methods"], config["similarity"]
    for p in methods["distill_weighted"]:
        if math.isnan(p):
            yield "methods.distill_weighted: nan is not an exponent (allowed: numbers >= 0, .inf)"
    if methods["distill_weighted"] and methods["default_p"] not in methods["distill_weighted"]:
        yield (
            f"methods.default_p: {methods['default_p']:g} is not one of methods.distill_weighted "
            f"({', '.join(f'{p:g}' for p in methods['distill_weighted'])})"
        )
    for key, values in (("metric", "metrics"), ("representation", "representations")):
        if similarity["weighting"][key] not in similarity[values]:
            yield (
                f"similarity.weighting.{key}: '{similarity['weighting'][key]}' is not computed; "
                f"add it to similarity.{values} ({', '.join(similarity[values])})"
            )


def _name_problems(config: Mapping[str, Any]) -> Iterable[str]:
    targets = [name for name, task in TASKS.items() if task.role != "generalist"]
    for i, name in enumerate(config["targets"]):
        if name not in targets:
            yield _unknown(f"targets.{i}", name, targets, "target")
    architectures = known_architectures()
    for i, group in enumerate(config["sources"]):
        for name in group["tasks"]:
            if name not in TASKS:
                yield _unknown(f"sources.{i}.tasks", name, TASKS, "task")
        for name in group["architectures"]:
            if name not in architectures:
                yield _unknown(f"sources.{i}.architectures", name, architectures, "architecture")
    student = config["student"]
    if student["architecture"] not in architectures:
        yield _unknown(
            "student.architecture", student["architecture"], architectures, "architecture"
        )
    if student["initialization"] not in {*TASKS, "random"}:
        yield _unknown(
            "student.initialization", student["initialization"], {*TASKS, "random"}, "task"
        )
    elif student["initialization"] in config["targets"]:
        yield (
            f"student.initialization: '{student['initialization']}' is a target; a student may not "
            "start from a model that was trained on its own target's images"
        )
    for name in config["baselines"]["source_architectures"] or []:
        if name not in {a for group in config["sources"] for a in group["architectures"]}:
            yield (
                f"baselines.source_architectures: no source has the architecture '{name}'; list "
                "architectures of `sources`"
            )
    for name in config["figures"]["fig1_targets"] or []:
        if name not in config["targets"]:
            yield _unknown("figures.fig1_targets", name, config["targets"], "target")


def _exclusion_problems(config: Mapping[str, Any], sources: list[SourceModel]) -> Iterable[str]:
    names = [source.name for source in sources]
    for name in sorted({n for n in names if names.count(n) > 1}):
        yield f"sources: the source '{name}' is listed twice"
    known = {*names, *(source.task for source in sources)}
    for i, entry in enumerate(config["exclude"]):
        if entry["target"] not in config["targets"]:
            yield _unknown(f"exclude.{i}.target", entry["target"], config["targets"], "target")
        for name in entry["sources"]:
            if name not in known:
                yield _unknown(f"exclude.{i}.sources", name, known, "source or source task")
    for target in config["targets"]:
        left = [s for s in sources if s.name not in excluded_sources(config, target)]
        if not left:
            yield (
                f"targets: no source is left for '{target}' (a source trained on the target's own "
                "task never serves it); add sources or remove entries of `exclude`"
            )


def _size_problems(config: Mapping[str, Any]) -> Iterable[str]:
    embedded, fraction = config["embedded"], config["training"]["label_fraction"]
    for target in config["targets"]:
        classes = TASKS[target].num_classes
        labeled = int(embedded["target_images"] * fraction)
        if config["probe"]["size"] < classes:
            yield (
                f"probe.size: {config['probe']['size']} is smaller than the {classes} classes of "
                f"target '{target}'; take at least {2 * classes} (two images a class)"
            )
        if labeled < 2 * classes:
            yield (
                f"training.label_fraction: {fraction:g} of {embedded['target_images']} images leaves "
                f"{labeled} labelled images for the {classes} classes of target '{target}'; at least "
                f"{2 * classes} (two a class) are needed"
            )
