"""Asking sources what they say of images, networks of this project and outside ones alike."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from distillweighted.batches.views import View
from distillweighted.files.tables import read_facts
from distillweighted.sources.inference import read_text_embeddings, run_over_pools, whole_input
from distillweighted.sources.jobs import InferenceJob
from distillweighted.sources.origins.registry import ORIGINS
from distillweighted.tasks.pools import Pool

log = logging.getLogger(__name__)


def ask_one_by_one(sources: Iterable[str], output: Path, ask: Callable[[str, Path], None]) -> None:
    """Ask sources one after the other; of one that fails a note says why, and the others go on.

    Args:
        sources: Their names.
        output: Folder to write: a source's answers, or its note.
        ask: Asks the source of a name, and writes its answers to a file.
    """
    # It has been removed, but a job of a killed run may have gone on for a moment.
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    for source in sources:
        try:
            ask(source, output / f"{source}.safetensors")
        except (ValueError, RuntimeError, OSError) as error:
            log.exception("source %s was not asked", source)
            hint = f"Other sources are unaffected. To try again unchanged, remove {output}"
            (output / f"{source}.failed.txt").write_text(f"error: {error}\n{hint}\n")


def answers(
    job: InferenceJob,
    model: Path,
    pools: Mapping[str, Pool],
    names: Callable[[str], Sequence[str]],
    *,
    view: View | None,
    threads: int,
    facts: Path | None = None,
    text: Path | None = None,
    whole: bool = False,
    stored_side: int | None = None,
) -> dict[str, dict[str, np.ndarray]]:
    """What a source says of pools of images.

    Args:
        job: The source and how it is asked.
        model: Its model.safetensors, or the user's own file of an outside source.
        pools: The images by pool.
        names: Gives the names of a pool's images; called for outside sources alone.
        view: How an image becomes what the network sees; None for its own transform.
        threads: CPU threads.
        facts: meta.json of an outside source.
        text: Text embeddings of classes, for head zero_shot.
        whole: Whether its own transform only resizes, and cuts nothing off (`whole_input`).
        stored_side: As of `run_over_pools`.

    Returns:
        For each pool features, and where the head has them pseudo_labels, as `run_over_pools`.
    """
    origin = ORIGINS[job.origin]
    if origin.outside:
        meta = read_facts(facts, ("source",))
        if whole:
            meta = {**meta, "input": whole_input(meta["input"])}
        return {
            pool: origin.outputs(model, job, meta, images, names(pool), threads=threads)
            for pool, images in pools.items()
        }
    return run_over_pools(
        model,
        pools,
        device=job.device,
        view=view,
        statistics=job.statistics,
        activation=job.activation,
        head=job.head,
        text=None if text is None else read_text_embeddings(text),
        whole=whole,
        stored_side=stored_side,
        threads=threads,
    )
