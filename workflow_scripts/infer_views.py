"""Rule infer_views: what a cohort of sources says of fixed views of a target's images."""

from collections.abc import Mapping
from pathlib import Path

import torch

from distillweighted.sources.asking import answer_all
from distillweighted.sources.asking_views import ViewedTarget, store_views
from distillweighted.sources.jobs import ViewsJob
from distillweighted.sources.together import Answers


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
    torch.set_num_threads(threads)
    first = next(iter(jobs.values()))
    target = ViewedTarget(images, index, first.count, first.seen, scratch=scratch, threads=threads)
    asked = {source: job.inference for source, job in jobs.items()}

    def store_one(source: str, said: Answers, path: Path) -> None:
        store_views(jobs[source], said, files[source], target, path)

    answer_all(asked, files, target, output, store_one, threads=threads)


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
