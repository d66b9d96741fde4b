"""Configuration files: read without running anything, every key said once.

The workflow's engine reads a configuration file by itself before any code here: it takes the last
of two equal keys without a word, and runs Python in a file that asks for it (`__use_yte__`, YAML
with templates). So the workflow reads the file once more, and `python -m distillweighted
check FILE` checks one that somebody else wrote.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from distillweighted.workflow.config import MAX_ENTRIES, ConfigError, read_config
from distillweighted.workflow.locations import located

MAX_BYTES = 1_000_000

SCHEMA = Path(__file__).parents[3] / "rules/schemas/config.schema.yaml"


def read_schema() -> dict[str, Any]:
    """The JSON schema of configurations, which lies in the checkout with the rules."""
    return yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))


def read_config_file(path: Path) -> dict[str, Any]:
    """What a YAML or JSON file says, not checked further.

    Raises:
        ConfigError: Where it cannot be read as one mapping, says a key twice, repeats itself beyond
            `MAX_ENTRIES`, or asks for Python to be run; names the file, and the line.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_BYTES} bytes: no configuration")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}") from None
    try:
        content = _parse(path, text)
    except RecursionError:
        raise ConfigError(f"{path}: nested too deep") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: has to be a mapping: keys with values")
    if "__use_yte__" in content:
        raise ConfigError(
            f"{path}: '__use_yte__' makes the workflow run Python that is in the file; remove the "
            "key, and use the file only if you trust who wrote it"
        )
    return content


def _parse(path: Path, text: str) -> Any:
    try:
        # JSON may be indented by tabs, YAML may not.
        return json.loads(text, object_pairs_hook=lambda pairs: _without_repeats(path, pairs))
    except json.JSONDecodeError:
        pass
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check(path, node, {})
        return loader.construct_document(node)
    except ConfigError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" line {mark.line + 1}:" if mark else ""
        raise ConfigError(f"{path}:{line} {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: of a date that does not exist
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from None


def _without_repeats(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"{path}: the key {twice[:60]!r} is there twice; keep one")
    return content


def _check(path: Path, node: yaml.Node, sizes: dict[int, int | None]) -> int:
    """Number of entries of a node with all that its aliases repeat.

    Raises:
        ConfigError: For too many, a node that contains itself, and a key that is there twice.
    """
    line = node.start_mark.line + 1
    if id(node) in sizes:
        size = sizes[id(node)]
        if size is None:
            raise ConfigError(f"{path}: line {line}: a value that contains itself")
        return size
    sizes[id(node)] = None
    parts: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        parts = node.value
    elif isinstance(node, yaml.MappingNode):
        parts = [part for pair in node.value for part in pair]
        first: dict[str, int] = {}
        for key in parts[::2]:
            if not isinstance(key, yaml.ScalarNode):
                continue
            there = key.start_mark.line + 1
            if key.value in first:
                raise ConfigError(
                    f"{path}: line {there}: the key {key.value[:60]!r} is on line "
                    f"{first[key.value]} already; keep one"
                )
            first[key.value] = there
    size = 1 + sum(_check(path, part, sizes) for part in parts)
    if size > MAX_ENTRIES:
        raise ConfigError(
            f"{path}: line {line}: more than {MAX_ENTRIES} entries (do anchors repeat each other?)"
        )
    sizes[id(node)] = size
    return size


def merge(first: dict, second: dict) -> dict:
    """Two configurations in one: where both have a value, the second one's."""
    merged = dict(first)
    for key, value in second.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def read_complete_config(files: Sequence[Path]) -> dict[str, Any]:
    """The complete configuration of some files, of which later ones complete earlier ones.

    Paths in each are relative to that file.

    Raises:
        ConfigError: Where it cannot be run.
    """
    raw: dict[str, Any] = {}
    for path in files:
        raw = merge(raw, located(read_config_file(path), path.parent))
    return read_config(raw, read_schema())
