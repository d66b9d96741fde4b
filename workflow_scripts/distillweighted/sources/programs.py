"""Programs as sources: ONNX, TorchScript and torch.export files of networks that others wrote.

A program takes one batch of images, floats [n, 3, h, w] with h = w, normalised, and gives one or
several outputs: features [n, d] (or maps [n, d, h, w], of which the mean over places is taken),
logits [n, c] or probabilities [n, c]. Which is which, a configuration says by name or by index
(`outputs`); where it does not, outputs that have one of those three names are what they are called,
and a single output of another name is logits, or features where students learn something else from
the source than its own classifier. Where there are no features, logits are, or else probabilities.

A program always sees as many images at once: as many as its input is fixed to, or `BATCH`, or 1
where it cannot take those; the last batch is filled up with images whose outputs are dropped.
Programs run on the CPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distillweighted.batches.forward import forward
from distillweighted.batches.views import View
from distillweighted.errors import DataError
from distillweighted.sources.arrays import SUM_TOLERANCE
from distillweighted.sources.program_kinds import Dimension, Program, open_program
from distillweighted.tasks.pools import Pool

BATCH = 16
"""Images at once, where the program does not say how many."""

SIZE = 224
"""Side of the images in pixels, where neither the program nor the configuration says."""

KINDS = ("features", "logits", "probabilities")


def describe_program(
    path: Path, *, size: int | None, outputs: Mapping[str, str | int], head: str
) -> dict[str, Any]:
    """What a program is, seen by running it on a black image and on a patterned one.

    Args:
        path: Its file.
        size: Side of its images, where the configuration says.
        outputs: Names or indices of its outputs by kind, as the configuration says.
        head: What students learn from it: one of `sources.model.HEADS`.

    Returns:
        num_classes (0 for none), image_size, batch_size, outputs (names by kind), parameters (None
        where unknown).

    Raises:
        DataError: Where it cannot serve; names the program, and says what to change.
    """
    program = open_program(path)
    size = _image_size(program, size)
    batch, shown = _try(program, size)
    chosen = _choose_outputs(program, shown, outputs, head)
    values = _by_kind(program, shown, chosen)
    if "logits" in values and _are_probabilities(values["logits"]):
        raise DataError(
            f"{path}: output '{chosen['logits']}' sums to 1 and is nowhere below 0: it is not "
            f"logits. Say `outputs: {{probabilities: {chosen['logits']}}}`"
        )
    classes = next((v.shape[1] for k, v in values.items() if k != "features"), 0)
    return {
        "num_classes": classes,
        "image_size": size,
        "batch_size": batch,
        "outputs": chosen,
        "parameters": program.parameters,
    }


def run_program(
    path: Path,
    images: Pool | np.ndarray,
    facts: Mapping[str, Any],
    *,
    view: View,
    threads: int = 1,
) -> dict[str, np.ndarray]:
    """What a program says of images.

    Args:
        path: Its file.
        images: The n images; an array is uint8 [n, h, w, 3].
        facts: image_size, batch_size and outputs of `describe_program`, mean and std.
        view: How an image becomes what the program sees, of image_size.
        threads: CPU threads.

    Returns:
        features float32 [n, d], and pseudo_labels float32 [n, c] where it has a classifier.

    Raises:
        DataError: Where an output is not finite, or what it is said to be.
    """
    program, batch = open_program(path, threads=threads), facts["batch_size"]

    def outputs_of(shown: Tensor) -> tuple[Tensor, ...]:
        values = _by_kind(program, _call(program, _filled(shown, batch)), facts["outputs"])
        features = values.get("features", values.get("logits", values.get("probabilities")))
        given = (features[: len(shown)],)
        if "probabilities" in values:
            return *given, values["probabilities"][: len(shown)]
        if "logits" in values:
            return *given, values["logits"][: len(shown)].softmax(dim=1)
        return given

    found = forward(
        outputs_of, images, facts["mean"], facts["std"],
        device=torch.device("cpu"), view=view, batch_size=batch,
    )  # fmt: skip
    outputs = dict(zip(("features", "pseudo_labels"), (v.numpy() for v in found), strict=False))
    for name, values in outputs.items():
        if not np.isfinite(values).all():
            raise DataError(f"{path}: its {name} are not finite")
    if "pseudo_labels" in outputs:
        labels = outputs["pseudo_labels"]
        outputs["pseudo_labels"] = labels / labels.sum(axis=1, keepdims=True)
    return outputs


def _filled(shown: Tensor, batch: int) -> Tensor:
    """A batch of `batch` images, of which the first are those given."""
    lacking = batch - len(shown)
    return torch.cat([shown, shown[-1:].expand(lacking, -1, -1, -1)]) if lacking else shown


# Trying a program before it is used.


def _image_size(program: Program, wanted: int | None) -> int:
    if program.dimensions is None:
        return wanted or SIZE
    shape = [dimension.fixed for dimension in program.dimensions]
    text = "[" + ", ".join("any" if side is None else str(side) for side in shape) + "]"
    if len(shape) != 4 or shape[1] not in (None, 3):
        raise DataError(
            f"{program.path} takes input {text}, not images [n, 3, h, w]; export it with colour "
            "channels first"
        )
    sides = {side for side in shape[2:] if side is not None}
    if len(sides) > 1:
        raise DataError(f"{program.path} takes input {text}, and only square images are shown")
    if wanted is not None and sides and wanted not in sides:
        raise DataError(
            f"{program.path} takes images of {min(sides)} pixels, and `size` says {wanted}; leave "
            "`size` out"
        )
    return min(sides) if sides else wanted or SIZE


def _try(program: Program, size: int) -> tuple[int, dict[str, Tensor]]:
    """How many images it takes at once, and its outputs for a black image and a patterned one."""
    ramp = torch.linspace(-2, 2, size).expand(size, size)
    images = torch.stack([torch.zeros(3, size, size), torch.stack([ramp, ramp.T, -ramp * ramp.T])])
    number = program.dimensions[0] if program.dimensions else Dimension()
    batch = max(BATCH, number.low)
    batch = batch if number.high is None else min(batch, number.high)
    try:
        shown = _in_batches(program, images, batch)
    except DataError:
        if batch == 1 or number.low > 1:
            raise
        batch, shown = 1, _in_batches(program, images, 1)
    again = _in_batches(program, images.flip(0), batch)
    for name, values in shown.items():
        if not torch.isfinite(values).all():
            raise DataError(f"{program.path}: output '{name}' of a plain image is not finite")
        # What quantises by batch may differ a little.
        if (values - again[name].flip(0)).abs().max() > 1e-4 + 0.02 * values.abs().max():
            raise DataError(
                f"{program.path} says two things of one image, by chance or by the images beside "
                "it; export it in evaluation mode"
            )
    return batch, shown


def _in_batches(program: Program, images: Tensor, batch: int) -> dict[str, Tensor]:
    parts = []
    for start in range(0, len(images), batch):
        shown = images[start : start + batch]
        outputs = _call(program, _filled(shown, batch))
        for name, values in outputs.items():
            if values.ndim == 0 or len(values) != batch:
                raise DataError(
                    f"{program.path}: of {batch} images, output '{name}' is "
                    f"{list(values.shape)}; it has to have a row an image"
                )
        parts.append({name: values[: len(shown)] for name, values in outputs.items()})
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _call(program: Program, batch: Tensor) -> dict[str, Tensor]:
    try:
        with torch.no_grad():
            return {name: values.float() for name, values in program.call(batch).items()}
    except Exception as error:  # what a stranger's program raises has no bounds
        if isinstance(error, DataError):
            raise
        reason = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
        raise DataError(
            f"{program.path} cannot run on images {list(batch.shape)} "
            f"({type(error).__name__}: {reason[-1][:200]}); if it needs another size, say `size`"
        ) from None


def _choose_outputs(
    program: Program, shown: Mapping[str, Tensor], wanted: Mapping[str, str | int], head: str
) -> dict[str, str]:
    """Which output is what: names by kind."""
    names = list(shown)
    there = ", ".join(f"{name} {list(values.shape[1:])}" for name, values in shown.items())
    chosen = {}
    for kind, name in wanted.items():
        found = names[name] if isinstance(name, int) and name < len(names) else str(name)
        if found not in names:
            raise DataError(f"{program.path} has no output '{name}', but {there} (outputs.{kind})")
        chosen[kind] = found
    if not wanted:
        chosen = {kind: kind for kind in KINDS if kind in names}
        if not chosen and len(names) == 1:
            chosen = {"logits" if head == "own" else "features": names[0]}
    if not chosen:
        raise DataError(
            f"{program.path} has the outputs {there}; say which is what, as in `outputs: "
            f"{{features: {names[0]}}}` (kinds: {', '.join(KINDS)})"
        )
    return chosen


def _by_kind(
    program: Program, shown: Mapping[str, Tensor], chosen: Mapping[str, str]
) -> dict[str, Tensor]:
    """Its outputs by kind, checked: features [n, d], logits and probabilities [n, c]."""
    values = {}
    for kind, name in chosen.items():
        value = shown[name]
        if kind == "features" and value.ndim == 4:
            value = value.mean(dim=(2, 3))
        if value.ndim != 2 or value.shape[1] < (1 if kind == "features" else 2):
            raise DataError(
                f"{program.path}: output '{name}' is [n, {', '.join(map(str, value.shape[1:]))}], "
                f"which are no {kind}"
            )
        if kind == "probabilities" and not _are_probabilities(value):
            raise DataError(
                f"{program.path}: output '{name}' does not sum to 1 within {SUM_TOLERANCE}, or is "
                f"below 0: it is not probabilities. Say `outputs: {{logits: {name}}}`"
            )
        values[kind] = value
    return values


def _are_probabilities(values: Tensor) -> bool:
    sums = values.sum(dim=1)
    return bool((values >= 0).all() and ((sums - 1).abs() <= SUM_TOLERANCE).all())
