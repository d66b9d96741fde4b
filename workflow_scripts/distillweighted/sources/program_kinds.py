"""The three kinds of programs, opened: ONNX, TorchScript and torch.export."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from distillweighted.errors import DataError
from distillweighted.sources.program_files import (
    program_kind,
    repacked_export,
    repacked_torchscript,
)

_FLOATS = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16}


class Dimension(NamedTuple):
    """What a program takes along one side of its input: low to high."""

    low: int = 1
    high: int | None = None

    @property
    def fixed(self) -> int | None:
        """The only length that it takes, if there is one."""
        return self.low if self.low == self.high else None


@dataclass(frozen=True)
class Program:
    """An opened program."""

    path: Path
    """Its file."""

    kind: str
    """onnx, torchscript or export."""

    dimensions: tuple[Dimension, ...] | None
    """What it takes along each side of its input; None where it does not say."""

    parameters: int | None
    """How many weights it has; None where it does not say."""

    call: Callable[[Tensor], dict[str, Tensor]]
    """Its outputs by name, in order, for float32 [n, 3, h, w] on the CPU."""


def open_program(path: Path, *, threads: int = 1) -> Program:
    """Open a program; nothing in it is unpickled.

    Args:
        path: Its file.
        threads: CPU threads of ONNX Runtime; torch has a setting of its own.

    Raises:
        DataError: Where it is not a program, or does not take one batch of images.
    """
    path = Path(path)
    kind = program_kind(path)
    if kind == "onnx":
        return _open_onnx(path, threads)
    return _open_export(path) if kind == "export" else _open_torchscript(path)


def _named(outputs: Any) -> dict[str, Tensor]:
    """What a torch program gave, by name: keys of a dictionary, or places in a tuple."""
    if isinstance(outputs, Tensor):
        outputs = [outputs]
    pairs = outputs.items() if isinstance(outputs, Mapping) else enumerate(outputs)
    return {str(name): values for name, values in pairs if isinstance(values, Tensor)}


def _open_onnx(path: Path, threads: int) -> Program:
    import onnxruntime

    parameters = _onnx_parameters(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own errors have no common class
        reason = str(error).splitlines()[0][:200]
        raise DataError(f"{path} cannot be opened by ONNX Runtime ({reason})") from None
    inputs, names = session.get_inputs(), [output.name for output in session.get_outputs()]
    _check_one_input(path, [value.name for value in inputs])
    if inputs[0].type not in _FLOATS:
        raise _wrong_type(path, inputs[0].type)
    kind, name = _FLOATS[inputs[0].type], inputs[0].name

    def call(batch: Tensor) -> dict[str, Tensor]:
        values = session.run(names, {name: batch.contiguous().to(kind).numpy()})
        return {n: torch.from_numpy(np.array(v)) for n, v in zip(names, values, strict=True)}

    dimensions = tuple(
        Dimension(side, side) if isinstance(side, int) else Dimension() for side in inputs[0].shape
    )
    return Program(path, "onnx", dimensions or None, parameters, call)


def _onnx_parameters(path: Path) -> int | None:
    """Floats among the initialisers; also checks that their files are there."""
    import onnx

    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception as error:  # protobuf's and onnx's own
        raise DataError(
            f"{path} is no program (torch.export, TorchScript or ONNX), or damaged "
            f"({type(error).__name__})"
        ) from None
    count = 0
    for tensor in graph.initializer:
        for entry in tensor.external_data:
            if entry.key != "location":
                continue
            if Path(entry.value).name != entry.value:
                raise DataError(f"{path}: its weights are in {entry.value!r:.80}, not beside it")
            if not (path.parent / entry.value).is_file():
                raise DataError(
                    f"{path}: its weights are in {entry.value}, which is not beside it; copy both "
                    "files"
                )
        kinds = onnx.TensorProto
        if tensor.data_type in (kinds.FLOAT, kinds.FLOAT16, kinds.BFLOAT16, kinds.DOUBLE):
            count += int(np.prod(tensor.dims, dtype=np.int64))
    return count or None


def _open_torchscript(path: Path) -> Program:
    packed = repacked_torchscript(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            module = torch.jit.load(packed, map_location="cpu").eval()
        arguments = module.forward.schema.arguments[1:]
    except Exception as error:  # torch's readers raise anything for a damaged file
        raise _unreadable(path, error) from None
    _check_one_input(path, [a.name for a in arguments if not a.has_default_value()] or ["none"])
    weights = list(module.parameters())
    kind = weights[0].dtype if weights and weights[0].is_floating_point() else torch.float32
    return Program(
        path, "torchscript", None, sum(w.numel() for w in weights) or None,
        lambda batch: _named(module(batch.to(kind))),
    )  # fmt: skip


def _open_export(path: Path) -> Program:
    packed = repacked_export(path)
    try:
        program = torch.export.load(packed)
        module = program.module()
        taken = program.graph_signature.user_inputs
        nodes = {node.name: node for node in program.graph.nodes}
        _, words = program.call_spec.in_spec.children()
    except Exception as error:  # as above
        raise _unreadable(path, error) from None
    _check_one_input(path, list(taken))
    value = nodes[taken[0]].meta["val"]
    if not value.is_floating_point():
        raise _wrong_type(path, str(value.dtype))
    word = words.context[0] if words.num_children else None

    def call(batch: Tensor) -> dict[str, Tensor]:
        batch = batch.contiguous().to(value.dtype)
        return _named(module(batch) if word is None else module(**{word: batch}))

    dimensions = tuple(_dimension(side, program.range_constraints) for side in value.shape)
    parameters = sum(weight.numel() for weight in program.parameters())
    return Program(path, "export", dimensions, parameters or None, call)


def _dimension(side: Any, ranges: Mapping[Any, Any]) -> Dimension:
    if isinstance(side, int):
        return Dimension(side, side)
    found = ranges.get(side.node.expr)
    if found is None:
        return Dimension()
    high = int(found.upper) if found.upper.is_Integer and found.upper < 10**9 else None
    return Dimension(max(1, int(found.lower)), high)


def _check_one_input(path: Path, names: Sequence[str]) -> None:
    if len(names) != 1:
        raise DataError(
            f"{path} takes {len(names)} inputs ({', '.join(names)}), not one batch of images"
        )


def _wrong_type(path: Path, kind: str) -> DataError:
    return DataError(f"{path} takes {kind}, not normalised floats; export it without its transform")


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = (str(error).splitlines() or [""])[0][:200]
    return DataError(
        f"{path} cannot be opened by torch {torch.__version__} ({type(error).__name__}: {reason}); "
        "it is damaged, or of another version: export it again"
    )
