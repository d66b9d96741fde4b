"""Where pretrained models lie on this machine: the hub's and torch's caches, without either.

The layouts are huggingface_hub's (`models--<owner>--<name>/{refs,snapshots}`) and torch.hub's
(`hub/checkpoints`). Both libraries read their environment when they are imported, and take a second
to import; a plan asks for hundreds of files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit


def hub_folder() -> Path:
    """The cache of the Hugging Face hub."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if folder := os.environ.get(variable):
            return Path(folder).expanduser()
    home = os.environ.get("HF_HOME")
    return (Path(home).expanduser() if home else _cache_folder() / "huggingface") / "hub"


def torch_folder() -> Path:
    """The folder of the files that torch.hub downloads."""
    home = os.environ.get("TORCH_HOME")
    return (Path(home).expanduser() if home else _cache_folder() / "torch") / "hub/checkpoints"


def own_folder() -> Path:
    """The folder of what this project keeps from run to run, as lists of models."""
    return _cache_folder() / "distillweighted"


def cached_hub_file(repository: str, names: Iterable[str]) -> Path | None:
    """The first of some files of a repository of the hub that is in the cache.

    Args:
        repository: <owner>/<name>, or with a revision <owner>/<name>@<revision>.
        names: Names of files.
    """
    repository, _, revision = repository.partition("@")
    folder = hub_folder() / f"models--{repository.replace('/', '--')}"
    reference = folder / "refs" / (revision or "main")
    # A revision is a branch or a tag, which a file names the commit of, or a commit.
    commit = reference.read_text().strip() if reference.is_file() else revision
    if not commit:
        return None
    paths = (folder / "snapshots" / commit / name for name in names)
    return next((path for path in paths if path.is_file()), None)


def torch_file_name(url: str) -> str:
    """The name that torch.hub gives a download."""
    return unquote(urlsplit(url).path.rpartition("/")[2])


def cached_torch_file(url: str) -> Path | None:
    """The file that torch.hub downloaded from an address, where it is in the cache."""
    path = torch_folder() / torch_file_name(url)
    return path if path.is_file() else None


def _cache_folder() -> Path:
    folder = os.environ.get("XDG_CACHE_HOME")
    return Path(folder).expanduser() if folder else Path.home() / ".cache"
