"""What an origin of models has to say.

To add one: a module beside this with an `Origin`, and a line in `registry.py`; a key of `sources`
that no origin has yet goes into `rules/schemas/config.schema.yaml` too. There are three kinds:

- Models that the workflow trains (`trained`): `models` alone.
- Weights (`load`): a job reads the file that `locate` gives, once, and stores the network as this
  project's model.safetensors with meta.json; from there on a source is a source.
- Outside models (`outside`), which are no network of ours, as an ONNX program or arrays: a job
  checks the file that `locate` gives and writes meta.json alone (`describe`); inference reads the
  user's file and meta.json (`outputs`). `Run.inference_inputs` says which file that is.

`models`, `problems` and `locate` are called while planning, often: they load no torch, and look
no further than at the names of files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from distillweighted.files.downloads.file_set import FileSet
from distillweighted.sources.model import Model

if TYPE_CHECKING:
    import numpy as np

    from distillweighted.networks.classifier import Classifier
    from distillweighted.sources.jobs import InferenceJob, LoadJob
    from distillweighted.tasks.pools import Pool
    from distillweighted.tasks.registry import Task

Group = Mapping[str, Any]
"""An entry of `sources` in a configuration."""


class LoadedModel(NamedTuple):
    """A model that somebody else trained."""

    model: Classifier
    """The network, float32, on the CPU."""

    mean: Sequence[float]
    """Mean of its inputs, by channel, in 0..1."""

    std: Sequence[float]
    """Their standard deviation."""

    facts: Mapping[str, Any] = {}
    """What else meta.json says: licence where it is known; and of an origin with `own_input`,
    image_size and input (see `batches.model_inputs`)."""


class OutputsOf(Protocol):
    """Asks an outside model."""

    def __call__(
        self,
        file: Path,
        job: InferenceJob,
        facts: Mapping[str, Any],
        images: Pool,
        names: Sequence[str],
        *,
        threads: int,
    ) -> dict[str, np.ndarray]:
        """What the model says of images.

        Args:
            file: The user's file.
            job: What the job is told.
            facts: The source's meta.json.
            images: The n images.
            names: Their names, in the same order.
            threads: CPU threads.

        Returns:
            features float32 [n, d], and pseudo_labels float32 [n, c] where the source has a
            classifier of its own (rows sum to 1); where students learn something else from it, or
            it has none, inference puts k-means ones in their place.

        Raises:
            ValueError: Where the file lacks an image, or says something that is not finite.
        """


@dataclass(frozen=True)
class Origin:
    """Where models come from. Its module is light: torch is loaded by what loads a model."""

    name: str
    """What `sources: from:` of a configuration says."""

    summary: str
    """What it is, for a reader."""

    module: str
    """The dotted name of its module."""

    required: tuple[str, ...] = ()
    """The keys that an entry of `sources` needs, beside `from`."""

    optional: tuple[str, ...] = ()
    """The keys that it may have."""

    trained: bool = False
    """Whether the workflow trains these models itself."""

    outside: bool = False
    """Whether they stay in the user's files: there is no model.safetensors of them."""

    own_input: bool = False
    """Whether a source is shown images by its own transform, not by the target's view."""

    models: Callable[[Group, Mapping[str, Task]], list[Model]] | None = None
    """The sources of an entry that `problems` finds nothing wrong with, given every task by name;
    None where it has only models to start from."""

    problems: Callable[[Group], Iterable[tuple[str, str]]] | None = None
    """What is wrong with an entry that has the right keys: pairs of a key, as in models.0, and a
    text. Architectures and tasks are checked already."""

    locate: Callable[[Model, Path | None], Path | None] | None = None
    """The file of a model on this machine, given the models root; it need not be there. None where
    it is nowhere."""

    file_set: Callable[[Model], FileSet | None] | None = None
    """The file of a model under the models root, its size and where a person gets it; None for a
    model that lies elsewhere."""

    advice: Callable[[Model], str] | None = None
    """Of a model that is not on this machine and has no `file_set`: where it was looked for, and
    the command that brings it."""

    fetch: Callable[[Model], None] | None = None
    """Downloads such a model; None where a person has to bring it."""

    load: Callable[[LoadJob], LoadedModel] | None = None
    """Loads the model that a job is told of, from `job.checkpoint`, which is there. Raises
    ValueError where the file cannot be used; names it, and says what to do."""

    describe: Callable[[LoadJob], dict[str, Any]] | None = None
    """Of an outside model, what meta.json says of it (see `sources.jobs.LoadJob`); as `load`."""

    outputs: OutputsOf | None = None
    """What an outside model says of a pool of images."""

    check: Callable[[Path, Sequence[str]], None] | None = None
    """Of a file that holds answers for images by name: sees, before any work, whether it has all of
    those named. Raises ValueError where it lacks one, or cannot be used."""

    parts: Callable[[Path], list[Path]] | None = None
    """The files that belong to an outside model's, itself among them; None for itself alone."""

    @property
    def serves_sources(self) -> bool:
        """Whether sources may come from it; others are only started from."""
        return self.models is not None
