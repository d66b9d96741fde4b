"""What an origin of models has to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from distillweighted.files.downloads.file_set import FileSet

if TYPE_CHECKING:
    from distillweighted.networks.classifier import Classifier


class LoadedModel(NamedTuple):
    """A model that somebody else trained."""

    model: Classifier
    """The network, float32, on the CPU."""

    mean: Sequence[float]
    """Mean of its inputs, by channel, in 0..1."""

    std: Sequence[float]
    """Their standard deviation."""


@dataclass(frozen=True)
class Origin:
    """Where models come from. Its module is light: torch is loaded by what loads a model."""

    name: str
    """What `sources: from:` of a configuration says."""

    summary: str
    """What it is, for a reader."""

    module: str
    """The dotted name of its module."""

    serves_sources: bool = True
    """Whether sources may come from it; others are only started from."""

    trained: bool = False
    """Whether the workflow trains these models itself; the functions below are then None."""

    path: Callable[[str, str], str] | None = None
    """Of an architecture and its task, where its file lies under the models root."""

    file_set: Callable[[str, str], FileSet] | None = None
    """Of an architecture and its task, the file, its size and where a person gets it."""

    load: Callable[[Path, str, str, int], LoadedModel] | None = None
    """Loads the model of a file, an architecture, its task and its number of outputs. Raises
    `published_weights.CheckpointError` where the file cannot be used."""
