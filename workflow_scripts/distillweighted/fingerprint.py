"""Fingerprints of code and files, so that work is redone exactly when what it depends on changed."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path

PACKAGE = "distillweighted"


def fingerprint_files(paths: Iterable[Path]) -> str:
    """SHA-256 over the contents of files, in the given order (their names do not count)."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def fingerprint_code(*scripts: Path) -> str:
    """SHA-256 over scripts and every module of this library that they import, however indirectly.

    Comments, docstrings and formatting do not count, so editing those redoes nothing.

    Args:
        scripts: Python files beside the library's folder.
    """
    digest = hashlib.sha256()
    for path in sorted(_import_closure(scripts)):
        digest.update(ast.dump(_without_docstrings(_parse(path))).encode())
    return digest.hexdigest()[:16]


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _import_closure(scripts: Iterable[Path]) -> set[Path]:
    pending = [Path(script).resolve() for script in scripts]
    root = pending[0].parent
    found: set[Path] = set()
    while pending:
        path = pending.pop()
        if path in found:
            continue
        found.add(path)
        for name in _imported_names(_parse(path)):
            pending += _module_files(root, name)
    return found


def _imported_names(tree: ast.Module) -> Iterable[str]:
    """Dotted names that a module imports from this library, lazily imported ones too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            # `from package import module` names a module where there is one.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _module_files(root: Path, name: str) -> list[Path]:
    parts = name.split(".")
    if parts[0] != PACKAGE:
        return []
    path = root.joinpath(*parts)
    if path.with_suffix(".py").is_file():
        return [path.with_suffix(".py")]
    if (path / "__init__.py").is_file() and len(parts) > 1:
        return [path / "__init__.py"]
    return []


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) or not body:
            continue
        first = body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            if isinstance(first.value.value, str):
                node.body = body[1:] or [ast.Pass()]
    return tree
