"""Reading and checking a run's configuration before any work starts.

`read_config` turns a raw mapping into a complete, valid one: the schema rejects unknown keys and
fills defaults, the checks below reject values that no schema can (names that do not exist, a probe
smaller than its classes). Every error names the key, the value and what is allowed.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators

from distillweighted.methods import METHODS
from distillweighted.networks.architectures import suggest
from distillweighted.workflow.config_checks import semantic_problems
from distillweighted.workflow.problems import Problem, show
from distillweighted.workflow.weighting_checks import fewest_sources

DEFAULT_OTHER_K = (1, 2, 5)

MAX_ENTRIES = 100_000
MAX_DEPTH = 30


class ConfigError(ValueError):
    """A configuration that cannot be run; the message lists every problem found."""


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
    config = _with_exact_types(config, schema)
    problems += semantic_problems(config, broken=_broken_keys(errors))
    if problems:
        lines = dict.fromkeys(f"{path or '(top level)'}: {text}" for path, text in problems)
        raise ConfigError("The configuration cannot be run:\n  - " + "\n  - ".join(lines))
    if config["figures"]["other_k"] is None:
        limit = fewest_sources(config)[0]
        config["figures"]["other_k"] = [k for k in DEFAULT_OTHER_K if k <= limit]
    return config


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

    def copy(self, value: Any, path: str, depth: int = 0) -> Any:
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            raise ConfigError(
                "The configuration cannot be run:\n"
                f"  - (top level): more than {MAX_ENTRIES} entries (do anchors repeat each other?)"
            )
        if depth > MAX_DEPTH:
            return _Oddity("a value that contains itself or is nested too deep")
        if isinstance(value, Mapping):
            self._problems += [
                Problem(
                    path,
                    f"the key {show(key)} is not text (in YAML, quote keys like '1' or 'on')",
                )
                for key in value
                if not isinstance(key, str)
            ]
            return {
                str(key): self.copy(item, _join(path, key), depth + 1)
                for key, item in value.items()
                if isinstance(key, str)
            }
        if isinstance(value, list):
            return [self.copy(item, _join(path, i), depth + 1) for i, item in enumerate(value)]
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

    several = [m.switch.split(".")[1] for m in METHODS.values() if m.variants == "exponents"]
    for key in several:
        if isinstance(methods.get(key), list):
            methods[key] = [number(p) for p in methods[key]]
    if "default_p" in methods:
        methods["default_p"] = number(methods["default_p"])


def _with_exact_types(value: Any, schema: Mapping[str, Any]) -> Any:
    """A value with 250.0 as 250 where the schema says integer, 1 as 1.0 where it says number.

    What is not valid stays as it is.
    """
    types = schema.get("type", ())
    if isinstance(value, dict):
        rules, others = schema.get("properties", {}), schema.get("additionalProperties")
        others = others if isinstance(others, Mapping) else {}
        return {key: _with_exact_types(item, rules.get(key, others)) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_exact_types(item, schema.get("items", {})) for item in value]
    if "integer" in types and isinstance(value, float) and value.is_integer():
        return int(value)
    if "number" in types and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


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
                hint = suggest(key, allowed) or _elsewhere(key, schema)
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
        yield Problem(path, f"{show(twice)} is listed twice (allowed: every entry once)")
        return
    hint = ""
    if error.validator == "enum":
        hint = suggest(value, [name for name in rule["enum"] if isinstance(name, str)])
    elif error.validator == "type" and isinstance(value, str):
        hint = _hint_for_text(value, rule)
    yield Problem(path, f"{show(value)} is not allowed{hint} (allowed: {_allowed(rule)})")


def _hint_for_text(text: str, rule: Mapping[str, Any]) -> str:
    types = rule["type"]
    if "array" in types:
        return f"; write [{show(text)[1:-1]}] for a list of one"
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
        if "properties" not in rule:
            return f"a mapping of names to {_allowed(rule['additionalProperties'])}"
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
        text = show(part)
    return f"{path}.{text}" if path else text
