"""Values of a configuration that a command line gives, as `key=value` texts.

A command line has no types, so the schema decides where a value can be read in more than one way:
3 is a number for a key that holds numbers, text for one that holds text, and [3] for one that
holds a list. In a configuration file YAML has said what a value is; nothing here is done to one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from distillweighted.workflow.config import ConfigError
from distillweighted.workflow.config_file import merge

TYPED_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "null")}
TEXT_TAG = "tag:yaml.org,2002:str"

# How Python writes 0.00001 and infinity, and how a profile's values come here; text to YAML 1.1.
PYTHON_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?[eE][-+]?\d+|inf)", re.ASCII)


def read_overrides(
    arguments: Iterable[str], schema: Mapping[str, Any], part: str | None = None
) -> dict[str, Any]:
    """Values by key, nested as the configuration is; `merge` puts them over it.

    A value is read as YAML. Where the schema holds text it stays text; where it holds a list, a
    single value becomes a list of one. What cannot be read is text. Values are not checked against
    the schema: `read_config` does that.

    Args:
        arguments: Texts `key=value`; of a key that is given twice, the later value counts, and
            mappings complete each other. Quotes around a value are taken off.
        schema: JSON schema of the configuration.
        part: The key under which the configuration stands in a larger one, whose other keys are
            left out; None where it is the whole.

    Raises:
        ConfigError: Where a value has a key twice, repeats a part of itself by an alias, or is
            nested too deep.
    """
    whole = schema if part is None else {"properties": {part: schema}}
    overrides: dict[str, Any] = {}
    for argument in arguments:
        key, _, text = argument.partition("=")
        if part is not None and key != part:
            continue
        rule = whole.get("properties", {}).get(key, {})
        try:
            value = _read(_parse(text.strip("'\""), rule), rule, key, set())
        except RecursionError:
            raise _error(key, "nested too deep") from None
        overrides = merge(overrides, {key: value})
    if part is None:
        return overrides
    inner = overrides.get(part)
    return inner if isinstance(inner, dict) else {}


def _parse(text: str, rule: Mapping[str, Any]) -> yaml.Node:
    as_text = yaml.ScalarNode(TEXT_TAG, text)
    # A path may have what means something in YAML: `: ` or ` #`.
    if "string" in _types(rule) and text.strip():
        resolved = yaml.SafeLoader("").resolve(yaml.ScalarNode, text, (True, False))
        return yaml.ScalarNode(resolved, text)
    try:
        node = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError:
        return as_text
    return yaml.ScalarNode("tag:yaml.org,2002:null", "") if node is None else node


def _read(node: yaml.Node, rule: Mapping[str, Any], path: str, seen: set[int]) -> Any:
    types = _types(rule)
    if isinstance(node, yaml.ScalarNode):
        value = _scalar(node, rule)
        if "array" in types and value is not None:
            return [_scalar(node, rule.get("items", {}))]
        return value
    if id(node) in seen:
        raise _error(path, "an alias (*) repeats a part of the value; write it out")
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        items = rule.get("items", {})
        return [_read(item, items, f"{path}.{i}", seen) for i, item in enumerate(node.value)]
    if "array" in types:
        seen.remove(id(node))
        return [_read(node, rule.get("items", {}), f"{path}.0", seen)]
    rules, content = rule.get("properties", {}), {}
    for key_node, value_node in node.value:
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else str(key_node.value)
        if key in content:
            raise _error(path, f"the key {key[:60]!r} is there twice; keep one")
        content[key] = _read(value_node, rules.get(key, {}), f"{path}.{key[:60]}", seen)
    return content


def _scalar(node: yaml.ScalarNode, rule: Mapping[str, Any]) -> Any:
    text, types = node.value, _types(rule)
    plain = node.style is None
    is_null = node.tag.endswith(":null") or (plain and text == "None")
    if is_null and "null" in types:
        return None
    if "string" in types or text in rule.get("enum", ()):
        return text
    if node.tag in TYPED_TAGS:
        try:
            return yaml.constructor.SafeConstructor().construct_object(node)
        except ValueError:  # of what only looks like a number, such as 0x_
            return text
    if plain and types & {"number", "integer"} and PYTHON_NUMBER.fullmatch(text):
        return float(text)
    return text


def _types(rule: Mapping[str, Any]) -> set[str]:
    types = rule.get("type", ())
    return {types} if isinstance(types, str) else set(types)


def _error(path: str, text: str) -> ConfigError:
    return ConfigError(f"The configuration cannot be run:\n  - {path}: {text}")
