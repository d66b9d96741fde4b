"""Rule infer_sources: features and probabilities of a cohort of sources for a target's images."""

from collections.abc import Mapping
from pathlib import Path

import torch

from distillweighted.sources.asking import Target, answer_all, answers, store
from distillweighted.sources.jobs import InferenceJob
from distillweighted.sources.together import Answers


def main(
    jobs: Mapping[str, InferenceJob],
    files: Mapping[str, Mapping[str, Path]],
    images: Path,
    index: Path,
    output: Path,
    *,
    threads: int,
    scratch: str | None = None,
    test_images: Path | None = None,
) -> None:
    """Ask sources, those that see the same views in one pass; of one that fails a note says why,
    and the others go on.

    Args:
        jobs: The sources, by name, and how each is asked.
        files: Of each source its own files by name: model, facts and text of `infer`.
        images: The target's training images.
        index: Its images.csv.
        output: Folder to write: a source's answers, or its note.
        threads: CPU threads.
        scratch: Folder for copies of the images on this machine's own disk.
        test_images: The target's test images, where sources are asked about them too.
    """
    torch.set_num_threads(threads)
    target = Target(images, index, test_images, scratch)

    def store_one(source: str, said: Answers, path: Path) -> None:
        store(jobs[source], said, files[source], target, path)

    answer_all(jobs, files, target, output, store_one, threads=threads)


def infer(
    job: InferenceJob,
    images: Path,
    index: Path,
    model: Path,
    output: Path,
    *,
    threads: int,
    scratch: str | None = None,
    test_images: Path | None = None,
    facts: Path | None = None,
    text: Path | None = None,
) -> None:
    """Ask one source and store what it says; raises what it failed with.

    Args:
        job: The source and how it is asked.
        images: The target's training images.
        index: Its images.csv.
        model: The source's model.safetensors, or the user's own file of an outside source.
        output: What it says, to write.
        threads: CPU threads.
        scratch: Folder for copies of the images on this machine's own disk.
        test_images: The target's test images, where the source is asked about them too.
        facts: meta.json of an outside source.
        text: Text embeddings of classes, for head zero_shot.
    """
    torch.set_num_threads(threads)
    target = Target(images, index, test_images, scratch)
    own = {"model": model, "facts": facts, "text": text}
    own = {name: path for name, path in own.items() if path is not None}
    ((_, said),) = answers({job.source: job}, {job.source: own}, target, threads=threads)
    if isinstance(said, Exception):
        raise said
    store(job, said, own, target, output)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        of_target = snakemake.input
        main(
            {name: InferenceJob.of(job) for name, job in snakemake.params.jobs.items()},
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
            **{name: Path(path) for name, path in of_target.items() if name == "test_images"},
        )
