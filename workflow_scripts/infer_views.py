"""Rule infer_views: what a cohort of sources says of fixed views of a target's images."""

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch

from distillweighted.batches.forward import FAILURES
from distillweighted.sources.asking import answers
from distillweighted.sources.asking_views import ViewedTarget, store_views
from distillweighted.sources.jobs import ViewsJob

log = logging.getLogger(__name__)


def main(
    jobs: Mapping[str, ViewsJob],
    files: Mapping[str, Mapping[str, Path]],
    images: Path,
    index: Path,
    output: Path,
    *,
    threads: int,
    scratch: str | None = None,
) -> None:
    """Ask sources about the same views; of one that fails a note says why, and the others go on.

    Args:
        jobs: The sources, by name, and how each is asked; one or more.
        files: Of each source its own files by name (`sources.asking.Files`).
        images: The target's training images.
        index: Its images.csv.
        output: Folder to write: a source's answers, or its note.
        threads: CPU threads.
        scratch: Folder for copies of the images on this machine's own disk.
    """
    # It has been removed, but a job of a killed run may have gone on for a moment.
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    torch.set_num_threads(threads)
    first = next(iter(jobs.values()))
    target = ViewedTarget(images, index, first.count, first.seen, scratch=scratch, threads=threads)
    asked = {source: job.inference for source, job in jobs.items()}
    for source, said in answers(asked, files, target, threads=threads):
        try:
            if isinstance(said, Exception):
                raise said
            path = output / f"{source}.safetensors"
            store_views(jobs[source], said, files[source], target, path)
        except FAILURES as error:
            log.exception("source %s was not asked", source)
            hint = f"Other sources are unaffected. To try again unchanged, remove {output}"
            (output / f"{source}.failed.txt").write_text(f"error: {error}\n{hint}\n")


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        of_target = snakemake.input
        main(
            {name: ViewsJob.of(job) for name, job in snakemake.params.jobs.items()},
            {
                source: {name: Path(path) for name, path in own.items()}
                for source, own in snakemake.params.files.items()
            },
            Path(of_target.images),
            Path(of_target.index),
            Path(snakemake.output[0]),
            threads=snakemake.threads,
            # No parameter of the rule: another folder infers nothing again.
            scratch=snakemake.config["scratch"],
        )
