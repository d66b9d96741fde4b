"""Files of weights that others wrote, read without running anything in them.

torch's files are opened with its restricted unpickler, so that one that names any code is refused.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")


class CheckpointError(ValueError):
    """A file of weights that cannot be used; the message names it and says what to do."""


def read_state(path: Path, *, under: Sequence[str] = ("state_dict",)) -> OrderedDict[str, Tensor]:
    """A file's weights by the names that torchvision's and timm's networks have for them.

    The prefix `module.` goes, auxiliary classifiers too.

    Args:
        path: A file that torch wrote, or a .safetensors file.
        under: Keys under which the weights may lie; the first that is there counts.

    Raises:
        CheckpointError: Where the file cannot be read, is not safe, or holds no weights.
    """
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _unpickle(path)
    if isinstance(content, Mapping):
        inside = [content[key] for key in under if isinstance(content.get(key), Mapping)]
        content = inside[0] if inside else content
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(
            f"{path} holds no weights by name; it must be a state dict, as "
            "torch.save(model.state_dict(), path) writes it"
        )
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise CheckpointError(
                f"{path}: {name!r:.80} is of type {type(value).__name__}, not a weight; it must be "
                "a state dict, as torch.save(model.state_dict(), path) writes it"
            )
        if value.layout != torch.strided or value.device.type != "cpu":
            raise CheckpointError(f"{path}: {name!r:.80} is no plain tensor; get the file again")
    prefix = "module." if all(name.startswith("module.") for name in content) else ""
    state = OrderedDict(
        (_current_name(name.removeprefix(prefix)), value)
        for name, value in content.items()
        if not name.removeprefix(prefix).startswith(_AUXILIARY)
    )
    state._metadata = _layer_versions(content, prefix)
    return state


def _layer_versions(content: Mapping, prefix: str) -> dict[str, dict[str, int]]:
    """The versions by which torch upgrades what older versions of its layers wrote."""
    stored = getattr(content, "_metadata", None)
    versions = {}
    for layer, facts in stored.items() if isinstance(stored, Mapping) else ():
        path = f"{layer}." if layer else ""
        version = facts.get("version") if isinstance(facts, Mapping) else None
        if path.startswith(prefix) and isinstance(version, int):
            versions[path.removeprefix(prefix)[:-1]] = {"version": version}
    return versions


def _current_name(name: str) -> str:
    """The name that torchvision's DenseNet has now for what its published weights call `norm.1`."""
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)", r"\1\2", name)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    _check_there(path)
    try:
        return load_file(path)
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(
            f"{path} cannot be read as safetensors ({' '.join(str(error).split())[:200]}); it is "
            "damaged, incomplete or another kind of file: get it again"
        ) from None


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file; download it first")


def _unpickle(path: Path) -> object:
    _check_there(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a stranger's file makes an unpickler raise has no bounds
        # torch's own advice is to trust the file.
        named = re.search(r"GLOBAL (\S+)|(?:class|module) (\S+)", str(error))
        if "Weights only load failed" in str(error) and named:
            raise CheckpointError(
                f"{path} is not opened: it holds more than weights ('{named[1] or named[2]}'), and "
                "opening it could run code; get a plain state dict"
            ) from None
        raise CheckpointError(
            f"{path} cannot be read as a torch state dict ({type(error).__name__}); it is damaged, "
            "incomplete or another kind of file: get it again"
        ) from None
