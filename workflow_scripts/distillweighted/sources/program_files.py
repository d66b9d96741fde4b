"""Opening programs that torch wrote without running what somebody hid in the file.

`torch.export.load` (torch 2.12) unpickles with weights_only=False: sample inputs that cannot be
read otherwise, and weights and constants that the file says are pickled. It also runs Python made
from names, sizes and guards of the file, and native code of AOTInductor. `torch.jit.load` reads its
pickles by a reader of its own in C++, which builds TorchScript's types alone, and runs TorchScript,
which can write files. So a file is read here, looked through, and packed anew with what a program
needs; torch opens that. A program is run still: it computes on images and can take long.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distillweighted.errors import DataError

_LARGEST_CODE = 2**28
"""Bytes that the compressed parts of an archive may have."""

_MODEL = "models/model.json"
_WEIGHTS = "data/weights/"
_CONSTANTS = "data/constants/"
_SAMPLES = "data/sample_inputs/model.pt"
_HEAD = ("archive_format", "archive_version", "byteorder", ".data/version")

_LIBRARIES = r"aten|prims|quantized|quantized_decomposed|torchvision"
_SCOPES = r"wrap_with_set_grad_enabled|wrap_with_autocast"
_OPERATOR = re.compile(
    rf"(torch\.ops\.({_LIBRARIES})\.(?!from_file|save|load)\w+\.\w+"
    rf"|torch\.ops\.higher_order\.({_SCOPES})|(_operator|math)\.\w+|torch\._?sym_\w+)"
)
"""Operations of a torch.export program: torch's own, but those that touch files."""

_SIZE_FUNCTIONS = """
FloorDiv ModularIndexing Where PythonMod Mod CleanDiv CeilToInt FloorToInt CeilDiv LShift RShift
PowByNatural FloatPow FloatTrueDiv IntTrueDiv TruncToFloat TruncToInt RoundToInt RoundDecimal
ToFloat Identity Max Min Equality Unequality GreaterThan StrictGreaterThan LessThan StrictLessThan
Integer Mul Add Pow Abs
"""
_SIZE = re.compile(
    r"(Symbol\('[a-z]{1,4}\d+'(, \w+=(True|False))*\)"
    rf"|(?:{'|'.join(_SIZE_FUNCTIONS.split())})\(|-?\d+|[), ])*"
)
"""Sizes that depend on others, which sympy would evaluate as Python."""

_PLAIN = {
    "as_string": re.compile(r"[\w.,>\- ]*"),  # as of an einsum
    "as_operator": _OPERATOR,
    "target": _OPERATOR,
    "expr_str": _SIZE,
}
_NAME = re.compile(r"[\w.:\-]*")
_CONTAINERS = ("builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict", None)

_TOUCHES_FILES = re.compile(
    r"\b(?:save|load|from_file)\b"
    r"|(?<![\w.])ops\s*\.(?!(?:prim|aten|quantized|torchvision)\.)[\s\w.]+"
)
_PLAIN_GETATTR = re.compile(r"\bgetattr\(\w+, \"[\w.\-/ ]*\"\)")


def program_kind(path: Path) -> str:
    """What a file holds, by its contents: export, torchscript or onnx.

    Raises:
        DataError: Where it is a torch file that is no program. Whether any other file is one of
            ONNX, who opens it sees.
    """
    if not zipfile.is_zipfile(path):
        return "onnx"
    names = _names(path)
    if _MODEL in names:
        return "export"
    if "data.pkl" in names and any(name.startswith("code/") for name in names):
        return "torchscript"
    if "serialized_exported_program.json" in names:
        raise DataError(f"{path} was written by an old torch.export; export the program again")
    raise DataError(
        f"{path} is no program (torch.export, TorchScript or ONNX); of weights alone, use `from: "
        "checkpoint`"
    )


def repacked_export(path: Path) -> io.BytesIO:
    """A torch.export program as `torch.export.load` may open it.

    Raises:
        DataError: Where it holds pickles, or operations and names that torch itself does not write.
    """
    files = _read(path)
    document = _json(path, files, _MODEL)
    if not isinstance(document, dict) or not isinstance(document.get("graph_module"), dict):
        raise DataError(f"{path} is no torch.export program; export it again")
    document["guards_code"] = []
    document = _without_metadata(document)
    for key in ("graph_module", "range_constraints", "opset_version"):
        _check(path, document.get(key), key)
    kept = {name: files[name] for name in _HEAD if name in files}
    kept |= {_MODEL: json.dumps(document).encode(), _SAMPLES: b""}
    for folder, config in ((_WEIGHTS, "weights"), (_CONSTANTS, "constants")):
        name = f"{folder}model_{config}_config.json"
        payload = _json(path, files, name)
        kept[name] = files[name]
        for part in _payload_files(path, payload):
            if folder + part not in files:
                raise DataError(f"{path} is incomplete: it has no {folder}{part}")
            kept[folder + part] = files[folder + part]
    return _packed(kept)


def repacked_torchscript(path: Path) -> io.BytesIO:
    """A TorchScript program as `torch.jit.load` may open it.

    Raises:
        DataError: Where its code reads or writes files, or calls what torch does not have.
    """
    files = _read(path)
    for name, content in files.items():
        if name.startswith("code/") and name.endswith(".py"):
            code = content.decode("utf-8", "replace")
            found = _TOUCHES_FILES.search(code)
            # A name of another spelling could be any.
            if found is None and "getattr" in _PLAIN_GETATTR.sub("", code):
                found = re.search("getattr.*", code)
            if found:
                raise DataError(
                    f"{path} is not opened: its {name} has '{found[0]:.60}', which could touch "
                    "files or is not torch's own; export it to ONNX instead"
                )
    return _packed({n: content for n, content in files.items() if not n.startswith("extra/")})


def _names(path: Path) -> list[str]:
    """Names in an archive, without the folder that torch puts everything into."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.partition("/")[2] or name for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path} is damaged, or incomplete ({error}); get it again") from None


def _read(path: Path) -> dict[str, bytes]:
    """Contents of an archive by name, as torch writes them: once each, only code is compressed."""
    files: dict[str, bytes] = {}
    unpacked = 0
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                name = entry.filename.partition("/")[2] or entry.filename
                unpacked += entry.file_size if entry.compress_type != zipfile.ZIP_STORED else 0
                if unpacked > _LARGEST_CODE or name in files:
                    raise DataError(
                        f"{path} is not as torch wrote it: {name!r:.80} unpacks to too much, or is "
                        "twice in it"
                    )
                files[name] = archive.read(entry)
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError) as error:
        raise DataError(f"{path} is damaged, or incomplete ({error}); get it again") from None
    return files


def _packed(files: Mapping[str, bytes]) -> io.BytesIO:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(f"program/{name}", content)
    packed.seek(0)
    return packed


def _json(path: Path, files: Mapping[str, bytes], name: str) -> Any:
    if name not in files:
        raise DataError(f"{path} is no torch.export program: it has no {name}; export it again")
    try:
        return json.loads(files[name])
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: {name} is damaged ({error}); export it again") from None


def _payload_files(path: Path, payload: Any) -> list[str]:
    try:
        parts = list(payload["config"].values())
        names = sorted({part["path_name"] for part in parts})
        pickled = [name for name, part in payload["config"].items() if part["use_pickle"]]
    except (TypeError, KeyError, AttributeError):
        raise DataError(f"{path}: its list of weights is damaged; export it again") from None
    if pickled:
        raise DataError(
            f"{path} is not opened: {pickled[0]!r:.80} is stored as a pickle, which could run "
            "code; export the program with plain tensors"
        )
    if not all(re.fullmatch(r"\w+", name) for name in names):
        raise DataError(f"{path}: its list of weights is damaged; export it again")
    return names


def _without_metadata(value: Any) -> Any:
    """A document without what is said of where its operations come from."""
    if isinstance(value, dict):
        return {k: {} if k == "metadata" else _without_metadata(v) for k, v in value.items()}
    return [_without_metadata(item) for item in value] if isinstance(value, list) else value


def _check(path: Path, value: Any, key: str) -> None:
    """That every text of a part of a program is one that torch writes and that does nothing."""
    if isinstance(value, dict):
        for name, item in value.items():
            _check_text(path, name, "name")
            if key == "as_custom_obj" or name == "as_custom_obj":
                raise DataError(f"{path} is not opened: it holds a custom object")
            _check(path, item, name)
    elif isinstance(value, list):
        for item in value:
            _check(path, item, "as_string" if key == "as_strings" else key)
    elif isinstance(value, str) and key in ("in_spec", "out_spec"):
        try:
            _check_structure(path, json.loads(value))
        except DataError:
            raise
        except (ValueError, TypeError, KeyError, RecursionError):
            raise _refused(path, value) from None
    elif isinstance(value, str):
        _check_text(path, value, key)


def _check_structure(path: Path, value: Any) -> None:
    """That inputs or outputs lie in tuples, lists and dictionaries with plain keys."""
    if isinstance(value, dict):
        context = json.loads(value["context"] or "null")
        if value["type"] not in _CONTAINERS:
            raise _refused(path, str(value["type"]))
        if isinstance(context, dict):
            raise _refused(path, str(context))
        _check(path, context, "name")
        value = value["children_spec"]
    for item in value if isinstance(value, list) else ():
        _check_structure(path, item)


def _check_text(path: Path, text: str, key: str) -> None:
    if not _PLAIN.get(key, _NAME).fullmatch(text):
        raise _refused(path, text)


def _refused(path: Path, text: str) -> DataError:
    return DataError(
        f"{path} is not opened: {text!r:.80} is nothing that a program of torch's own operations "
        "has; export it to ONNX instead"
    )
