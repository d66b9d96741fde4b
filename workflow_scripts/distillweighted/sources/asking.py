"""Jobs that ask sources about a target: what each one says, and the file that it is stored in."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from distillweighted.batches.forward import FAILURES
from distillweighted.batches.views import View, make_view
from distillweighted.files.checksums import fingerprint_files
from distillweighted.files.scratch import scratch_copy
from distillweighted.files.tables import read_facts
from distillweighted.seeds import derive_seed
from distillweighted.sources.inference import read_text_embeddings, whole_input
from distillweighted.sources.jobs import InferenceJob
from distillweighted.sources.model import NEED_CLUSTERS
from distillweighted.sources.origins.registry import ORIGINS
from distillweighted.sources.outputs import save_inference
from distillweighted.sources.together import Answers, Source, ask
from distillweighted.tasks.pools import Pool, open_pool
from distillweighted.tasks.prepared import read_image_names, read_index

log = logging.getLogger(__name__)

Files = Mapping[str, Path]
"""A source's own files by name: model, its model.safetensors or the user's own file of an outside
source; facts, meta.json of an outside source; text, text embeddings of classes."""


class Target:
    """The images that sources are asked about, opened and checked once for all of them.

    Args:
        images: The target's training images.
        index: Its images.csv.
        test_images: Its test images, where sources are asked about them too.
        scratch: Folder for copies of the images on this machine's own disk.
    """

    def __init__(self, images: Path, index: Path, test_images: Path | None, scratch: str | None):
        self.index, self._scratch = index, scratch
        self._files = {"train": images, "test": test_images}
        self._read: dict[str, Path] = {}
        self._pools: dict[str, Pool] = {}
        self._checksums: dict[Path, bytes] = {}

    whole = False
    """Whether transforms of sources' own only resize these images (`inference.whole_input`)."""

    def view(self, job: InferenceJob, threads: int) -> View | None:
        """How an image becomes what a source sees; None for its own transform."""
        return None if job.view is None else make_view(job.view, threads=threads)

    def names(self, pool: str) -> list[str]:
        """The names of a pool's images."""
        return read_image_names(self.index, pool)

    def stored_side(self) -> int | None:
        """The longest shorter side of the stored images; None where they are not shown so."""
        return max(min(row.height, row.width) for row in read_index(self.index, "train"))

    def pools(self, job: InferenceJob) -> dict[str, Pool]:
        """The pools of images that a job asks about."""
        names = ["train", "test"] if job.test_images else ["train"]
        for name in names:
            if name not in self._pools:
                self._read[name] = scratch_copy(self._files[name], self.index, self._scratch)
                self._pools[name] = open_pool(self._read[name], self.index)
        return {name: self._pools[name] for name in names}

    def fingerprint(self, job: InferenceJob, own: Files) -> str:
        """Of the files that a job's answers are made from; those of images are read once."""
        files = [self._read["train"], self.index, own["model"]]
        files += [own[name] for name in ("text",) if name in own]
        files += [self._read["test"]] if job.test_images else []
        return fingerprint_files(files, self._checksums)


def answers(
    jobs: Mapping[str, InferenceJob], files: Mapping[str, Files], target: Target, *, threads: int
) -> Iterator[tuple[str, Answers | Exception]]:
    """Ask sources; those that see the same views in one pass.

    Args:
        jobs: The sources, by name, and how each is asked.
        files: Each one's own files.
        target: The images.
        threads: CPU threads.

    Yields:
        As `together.ask`; of an outside source too.
    """
    groups: dict[str, dict[str, Source]] = {}
    for name, job in jobs.items():
        own = files[name]
        try:
            if not ORIGINS[job.origin].outside:
                text = read_text_embeddings(own["text"]) if "text" in own else None
                source = Source(own["model"], job.statistics, job.activation, job.head, text)
                alike = json.dumps([job.view, job.test_images, job.device], sort_keys=True)
                groups.setdefault(alike, {})[name] = source
                continue
            found = _outside(job, own, target, threads)
        except FAILURES as error:
            found = error
        yield name, found
    for sources in groups.values():
        job = jobs[next(iter(sources))]
        try:
            pools = target.pools(job)
            side = target.stored_side()
        except FAILURES as error:  # of the images, which is the same for all
            yield from dict.fromkeys(sources, error).items()
            continue
        yield from ask(
            sources,
            pools,
            device=job.device,
            view=target.view(job, threads),
            whole=target.whole,
            stored_side=side,
            threads=threads,
        )


def _outside(job: InferenceJob, own: Files, target: Target, threads: int) -> Answers:
    facts, outputs = read_facts(own["facts"], ("source",)), ORIGINS[job.origin].outputs
    if target.whole:
        facts = {**facts, "input": whole_input(facts["input"])}
    return {
        pool: outputs(own["model"], job, facts, images, target.names(pool), threads=threads)
        for pool, images in target.pools(job).items()
    }


def answer_all(
    jobs: Mapping[str, InferenceJob],
    files: Mapping[str, Files],
    target: Target,
    output: Path,
    store_one: Callable[[str, Answers, Path], None],
    *,
    threads: int,
) -> None:
    """Ask sources and store what each says; of one that fails a note says why, the others go on.

    Args:
        jobs: The sources, by name, and how each is asked.
        files: Each one's own files.
        target: The images.
        output: Folder to write, anew: a source's answers, or its note.
        store_one: Writes a source's answers to a file.
        threads: CPU threads.
    """
    # It has been removed, but a job of a killed run may have gone on for a moment.
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    for source, said in answers(jobs, files, target, threads=threads):
        try:
            if isinstance(said, Exception):
                raise said
            store_one(source, said, output / f"{source}.safetensors")
        except FAILURES as error:
            log.exception("source %s was not asked", source)
            hint = f"Other sources are unaffected. To try again unchanged, remove {output}"
            (output / f"{source}.failed.txt").write_text(f"error: {error}\n{hint}\n")


def with_pseudo_labels(
    outputs: Mapping[str, np.ndarray], job: InferenceJob
) -> dict[str, np.ndarray]:
    """What a source says, with those of k-means where it has no pseudo-labels to teach."""
    if job.head not in NEED_CLUSTERS and "pseudo_labels" in outputs:
        return dict(outputs)
    from distillweighted.sources.stand_ins import kmeans_pseudo_labels

    seed = derive_seed("k-means", job.target, job.source)
    return {**outputs, "pseudo_labels": kmeans_pseudo_labels(outputs["features"], seed=seed)}


def store(job: InferenceJob, said: Answers, own: Files, target: Target, output: Path) -> None:
    """Write what a source says, keyed by what made it.

    Args:
        job: The source and how it was asked.
        said: Its answers, of `answers`.
        own: Its own files.
        target: The images.
        output: The file.
    """
    outputs = with_pseudo_labels(said["train"], job)
    if "test" in said:
        outputs["test_features"] = said["test"]["features"]
    settings = [job.view, job.statistics, job.activation]
    # Only what differs from the sources of the paper, whose files keep their keys.
    told = {name: getattr(job, name) for name in ("head", "settings", "test_images")}
    if told != {"head": "own", "settings": {}, "test_images": False}:
        settings.append(told)
    key = f"{target.fingerprint(job, own)}:{json.dumps(settings)}"
    save_inference(output, outputs, {"source": job.source, "target": job.target, "key": key})
