"""Fingerprints of code: work is redone exactly when the code it depends on changed."""

from __future__ import annotations

import ast
import atexit
import contextlib
import functools
import hashlib
import json
import os
import sys
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PACKAGE = "distillweighted"

SCRIPTS = Path(__file__).parents[2]
"""The folder of the rules' scripts, in which this library lies."""

REGISTRIES = (
    "distillweighted.similarity.metrics.registry",
    "distillweighted.sources.origins.registry",
    "distillweighted.tasks.datasets.registry",
    "distillweighted.training.objectives.registry",
)
"""Modules that only list alternatives, of which a job's result depends on those that it uses."""


def code_of(*rules: str, uses: Collection[str] = (), facts: Collection[str] = ()) -> str:
    """Fingerprint of the code that the scripts of some rules run.

    Args:
        rules: Names of rules; each has a script of its name.
        uses: Dotted names of the modules of this library that the job takes from `REGISTRIES`.
        facts: What else of their rows the result depends on.
    """
    return _code_of(rules, tuple(sorted(uses)), tuple(sorted(facts)))


def import_from_here() -> None:
    """Let the processes that this one starts import the library that was fingerprinted.

    Python would give them that of another checkout, where one is installed.
    """
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if paths[0] != str(SCRIPTS):
        os.environ["PYTHONPATH"] = os.pathsep.join([str(SCRIPTS), *filter(None, paths)])


@functools.cache
def _code_of(rules: tuple[str, ...], uses: tuple[str, ...], facts: tuple[str, ...]) -> str:
    scripts = map(_source_file, [*rules, *uses])
    code = fingerprint_code(*scripts, without=[*map(_source_file, REGISTRIES)])
    if not facts:
        return code
    return hashlib.sha256("\n".join([code, *facts]).encode()).hexdigest()[:16]


def _source_file(name: str) -> Path:
    """The file of a script or a module of this library, by its dotted name."""
    return SCRIPTS.joinpath(*name.split(".")).with_suffix(".py")


def fingerprint_code(*scripts: Path, without: Collection[Path] = ()) -> str:
    """SHA-256 over scripts and every module of this library that they import, however indirectly.

    Comments, docstrings and formatting do not count, so editing those redoes nothing. The tables
    (CSV) that lie in an imported package count as they are.

    Args:
        scripts: Python files: the first lies beside the library's folder, the others there or in
            the library.
        without: Modules that do not count, nor what they import: a list of alternatives of which
            the result depends on one, which is among `scripts`.
    """
    digest = hashlib.sha256()
    for path in sorted(import_closure(*scripts, without=without)):
        digest.update(_read(path).code.encode())
        if path.name == "__init__.py":
            for table in sorted(path.parent.glob("*.csv")):
                digest.update(table.read_bytes())
    return digest.hexdigest()[:16]


def import_closure(*scripts: Path, without: Collection[Path] = ()) -> set[Path]:
    """The scripts and every module of this library that they import, lazily imported ones too.

    A package's `__init__` counts where it does something of its own. One that only passes on names
    of its modules counts only where a name is taken from it: otherwise every figure would depend on
    every other. The library's own `__init__` never counts; it holds nothing but the version.

    Args:
        scripts: As of `fingerprint_code`.
        without: As of `fingerprint_code`.
    """
    excluded = {Path(path).resolve() for path in without}
    pending = [Path(script).resolve() for script in scripts]
    root = pending[0].parent
    found: set[Path] = set()
    while pending:
        path = pending.pop()
        if path not in found | excluded:
            found.add(path)
            pending += _imported_files(root, path)
    return found


@dataclass(frozen=True)
class _Module:
    """What counts of a file: its code, its imports (level, dotted name, names), its nature."""

    code: str
    """SHA-256 of its syntax tree."""

    imports: tuple[tuple[int, str, tuple[str, ...]], ...]
    only_passes_names_on: bool


ANALYSED = Path(__file__).parent / "__pycache__" / f"analysed.{sys.implementation.cache_tag}.json"
"""What counts of files, by checksum: to take it from 200 files anew takes half a second, at every
plan and in every job of a cluster."""

FORGET = 2000
"""From so many files in `ANALYSED` on, most of which are no more, those before are forgotten."""


def _read(path: Path) -> _Module:
    return _analyse_once(path.read_bytes(), str(path))


@functools.cache
def _analyse_once(content: bytes, path: str) -> _Module:
    known, key = _analysed(), hashlib.sha256(_own_code() + content).hexdigest()
    if key not in known:
        known[key] = asdict(_analyse(content, path))
    code, imports, only_passes_names_on = known[key].values()
    named = tuple((level, name, tuple(names)) for level, name, names in imports)
    return _Module(code, named, only_passes_names_on)


@functools.cache
def _own_code() -> bytes:
    """Of this module: what is found depends on it."""
    return hashlib.sha256(Path(__file__).read_bytes()).digest()


@functools.cache
def _analysed() -> dict[str, dict[str, Any]]:
    """What `ANALYSED` has, and what this process adds to it, which is written when it ends."""
    known: dict[str, dict[str, Any]] = {}
    # One that is not there, or is damaged, says nothing.
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(ANALYSED.read_bytes())
    if not sys.dont_write_bytecode:
        atexit.register(_keep, known, frozenset(known))
    return known


def _keep(known: dict[str, dict[str, Any]], before: frozenset[str]) -> None:
    added = known.keys() - before
    if not added:
        return
    kept = known if len(known) <= FORGET else {key: known[key] for key in added}
    mine = ANALYSED.with_suffix(f".{os.getpid()}")
    # Where it cannot be written, the next process does without.
    with contextlib.suppress(OSError):
        ANALYSED.parent.mkdir(exist_ok=True)
        mine.write_text(json.dumps(kept))
        mine.replace(ANALYSED)


_BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")
"""Where statements hold others."""


def _analyse(content: bytes, path: str) -> _Module:
    tree = ast.parse(content, filename=path)
    imports: list[tuple[int, str, tuple[str, ...]]] = []
    # Statements alone: they are a tenth of the nodes, and no expression holds one of these.
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            imports += [(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            imports.append((node.level, node.module or "", names))
        for block in _BLOCKS:
            statements = getattr(node, block, None)
            if isinstance(statements, list):
                statements[:] = [s for s in statements if not _is_docstring(s)]
                pending += statements
    return _Module(
        code=hashlib.sha256(ast.dump(tree).encode()).hexdigest(),
        imports=tuple(imports),
        only_passes_names_on=all(_passes_names_on(statement) for statement in tree.body),
    )


def _is_docstring(statement: ast.AST) -> bool:
    """Whether a statement is a text on its own, which does nothing wherever it stands."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _passes_names_on(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.ImportFrom):
        return statement.level > 0 or (statement.module or "").split(".")[0] == PACKAGE
    if isinstance(statement, ast.Assign):
        return [ast.unparse(target) for target in statement.targets] == ["__all__"]
    return False


def _imported_files(root: Path, path: Path) -> frozenset[Path]:
    """Files of this library that the imports of a file name."""
    return _named_files(root, path, _read(path).imports)


@functools.cache
def _named_files(
    root: Path, path: Path, imports: tuple[tuple[int, str, tuple[str, ...]], ...]
) -> frozenset[Path]:
    found: set[Path] = set()
    for level, name, members in imports:
        base = name.split(".") if name else []
        if level > 0:
            package = path.relative_to(root).parent.parts
            base = [*package[: len(package) - level + 1], *base]
        if not members:
            found.update(_files_of(root, base))
        for member in members:
            # `from package import name` names a module where there is one.
            is_module = _find_module(root, [*base, member]) is not None
            found.update(_files_of(root, [*base, member] if is_module else base))
    return frozenset(found)


def _files_of(root: Path, parts: list[str]) -> Iterator[Path]:
    """The module of a dotted name, and each `__init__` on the way to it that does something."""
    for end in range(2, len(parts) + 1):
        module = _find_module(root, parts[:end])
        if module and (end == len(parts) or not _read(module).only_passes_names_on):
            yield module


def _find_module(root: Path, parts: list[str]) -> Path | None:
    if parts[:1] != [PACKAGE] or len(parts) < 2:
        return None
    path = root.joinpath(*parts)
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None
