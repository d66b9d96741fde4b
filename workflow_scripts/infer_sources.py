"""Rule infer_sources: features and probabilities of a cohort of sources for a target's images."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch

from distillweighted.batches.views import make_view
from distillweighted.files.checksums import fingerprint_files
from distillweighted.files.scratch import scratch_copy
from distillweighted.seeds import derive_seed
from distillweighted.sources.asking import answers, ask_one_by_one
from distillweighted.sources.jobs import InferenceJob
from distillweighted.sources.model import NEED_CLUSTERS
from distillweighted.sources.outputs import save_inference
from distillweighted.tasks.pools import open_pool
from distillweighted.tasks.prepared import read_image_names, read_index


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
    """Ask sources one after the other; of one that fails a note says why, and the others go on.

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

    def ask(source: str, path: Path) -> None:
        infer(
            jobs[source],
            images,
            index,
            output=path,
            threads=threads,
            scratch=scratch,
            test_images=test_images,
            **files[source],
        )

    ask_one_by_one(jobs, output, ask)


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
    """Run the source over the images and store what it says, keyed by what made it.

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
    files = {"train": images} | ({"test": test_images} if job.test_images else {})
    read = {pool: scratch_copy(path, index, scratch) for pool, path in files.items()}
    pools = {pool: open_pool(path, index) for pool, path in read.items()}
    found = answers(
        job,
        model,
        pools,
        partial(read_image_names, index),
        view=None if job.view is None else make_view(job.view, threads=threads),
        facts=facts,
        text=text,
        stored_side=max(min(row.height, row.width) for row in read_index(index, "train")),
        threads=threads,
    )
    outputs = found["train"]
    if job.head in NEED_CLUSTERS or "pseudo_labels" not in outputs:
        from distillweighted.sources.stand_ins import kmeans_pseudo_labels

        seed = derive_seed("k-means", job.target, job.source)
        outputs["pseudo_labels"] = kmeans_pseudo_labels(outputs["features"], seed=seed)
    if "test" in found:
        outputs["test_features"] = found["test"]["features"]
    settings = [job.view, job.statistics, job.activation]
    # Only what differs from the sources of the paper, whose files keep their keys.
    told = {name: getattr(job, name) for name in ("head", "settings", "test_images")}
    if told != {"head": "own", "settings": {}, "test_images": False}:
        settings.append(told)
    made_from = [read["train"], index, model, *([] if text is None else [text])]
    made_from += [read["test"]] if "test" in read else []
    key = f"{fingerprint_files(made_from)}:{json.dumps(settings)}"
    save_inference(output, outputs, {"source": job.source, "target": job.target, "key": key})


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
