"""A student as programs that stand alone: ONNX, and torch.export; run and compared with it.

A program reads uint8 pixels [n, 3, size, size] and gives probabilities float32 [n, classes]: it
normalises by itself, so that whoever uses it cannot forget to.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

INPUT, OUTPUT = "images", "probabilities"
"""Names of a program's input and output."""

TOLERANCE = 1e-3
"""Largest difference of a probability between a program and the model; float32 gives some 1e-6."""


class Deployed(nn.Module):
    """A classifier from pixels to probabilities.

    Args:
        network: Gives logits [n, classes] of normalised images [n, 3, size, size].
        mean: Mean of its inputs, by channel, in 0..1.
        std: Their standard deviation.
    """

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        # The exporters follow the memory's layout where it is not the plain one.
        self.network = network.to(memory_format=torch.contiguous_format)
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(list(values)).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities float32 [n, classes] of images uint8 [n, 3, size, size]."""
        floats = (images.to(torch.float32) / 255 - self.mean) / self.std
        return self.network(floats).softmax(dim=1)


def write_programs(
    model: Deployed, size: int, facts: Mapping[str, Any], *, onnx: Path, pt2: Path
) -> None:
    """Export a model; each file appears only once it is complete.

    Args:
        model: The model, on the CPU.
        size: Side of its images, in pixels.
        facts: What the programs say of themselves, JSON-able; of ONNX these are its metadata.
        onnx: Where the ONNX file goes.
        pt2: Where the program of torch.export goes; it carries the facts as `facts.json`.

    Raises:
        RuntimeError: Where the network cannot be exported; says why.
    """
    # Two images: an export of one would be for one only.
    example = torch.zeros(2, 3, size, size, dtype=torch.uint8)
    texts = {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in facts.items()
    }
    with _quietly():
        try:
            program = torch.export.export(
                model.eval(), (example,), dynamic_shapes=({0: torch.export.Dim("n")},)
            )
            exported = torch.onnx.export(
                program, dynamo=True, verbose=False, input_names=[INPUT], output_names=[OUTPUT]
            )
        except Exception as error:  # the exporters raise anything
            raise RuntimeError(
                f"{facts.get('architecture', 'the network')} cannot be exported: {error}"
            ) from error
        exported.model.metadata_props.update(texts)
        partial = onnx.with_name(f"partial-{onnx.name}")
        exported.save(partial)
        partial.replace(onnx)
        partial = pt2.with_name(f"partial-{pt2.name}")
        extra = {"facts.json": json.dumps(dict(facts), ensure_ascii=False)}
        torch.export.save(program, partial, extra_files=extra)
        partial.replace(pt2)


def run_onnx(path: Path, images: np.ndarray, *, batch: int) -> np.ndarray:
    """Probabilities float32 [n, classes] that an ONNX file gives of images uint8 [n, 3, s, s]."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    parts = [session.run([OUTPUT], {INPUT: part})[0] for part in _batches(images, batch)]
    return np.concatenate(parts)


def run_pt2(path: Path, images: np.ndarray, *, batch: int) -> np.ndarray:
    """Probabilities float32 [n, classes] that a torch.export program gives of the same images."""
    with _quietly(), torch.no_grad():
        module = torch.export.load(path).module()
        parts = [module(torch.from_numpy(part)).numpy() for part in _batches(images, batch)]
    return np.concatenate(parts)


@torch.no_grad()
def largest_differences(
    model: Deployed, images: np.ndarray, *, onnx: Path, pt2: Path
) -> dict[str, float]:
    """How far each program's probabilities lie from the model's, at most, on real images.

    Args:
        model: The model, on the CPU.
        images: uint8 [n, 3, size, size], n > 0.
        onnx: The ONNX file.
        pt2: The torch.export program.

    Returns:
        The largest difference by file name.

    Raises:
        RuntimeError: Where one is above `TOLERANCE`.
    """
    model.eval()
    wanted = torch.cat([model(torch.from_numpy(part)) for part in _batches(images, 32)]).numpy()
    found = {}
    for path, run in ((onnx, run_onnx), (pt2, run_pt2)):
        # Two sizes of batch: a program may have been cut to the size that it was exported with.
        alone = run(path, images[:1], batch=1)
        said = run(path, images, batch=32)
        parts = (alone - wanted[:1], said - wanted)
        difference = max(float(np.abs(part).max()) for part in parts)
        if not difference <= TOLERANCE:  # NaN is not below it either
            raise RuntimeError(
                f"{path}: a probability differs by {difference:.2g} from the model's "
                f"(allowed: {TOLERANCE:g}), on {len(images)} real images"
            )
        found[path.name] = difference
    return found


def _batches(images: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(images), size):
        yield np.ascontiguousarray(images[start : start + size])


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without the exporters' remarks, which are about themselves."""
    loggers = [logging.getLogger(name) for name in ("torch.export", "torch.onnx", "onnxscript")]
    levels = [logger.level for logger in loggers]
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
