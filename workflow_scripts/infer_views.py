"""Rule infer_views: what a cohort of sources says of fixed views of a target's images."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from distillweighted.batches.fixed_views import FixedViews
from distillweighted.batches.views import AS_STORED, make_view
from distillweighted.files.checksums import fingerprint_files
from distillweighted.files.scratch import scratch_copy
from distillweighted.seeds import derive_seed
from distillweighted.sources.asking import answers, ask_one_by_one
from distillweighted.sources.jobs import ViewsJob
from distillweighted.sources.model import NEED_CLUSTERS, NEED_FEATURES
from distillweighted.sources.outputs import save_inference
from distillweighted.tasks.pools import open_pool
from distillweighted.tasks.prepared import read_image_names


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
    """Ask sources one after the other; of one that fails a note says why, and the others go on.

    Args:
        jobs: The sources, by name, and how each is asked.
        files: Of each source its own files by name: model, facts and text of `infer`.
        images: The target's training images.
        index: Its images.csv.
        output: Folder to write: a source's answers, or its note.
        threads: CPU threads.
        scratch: Folder for copies of the images on this machine's own disk.
    """

    def ask(source: str, path: Path) -> None:
        infer(
            jobs[source],
            images,
            index,
            output=path,
            threads=threads,
            scratch=scratch,
            **files[source],
        )

    ask_one_by_one(jobs, output, ask)


def infer(
    job: ViewsJob,
    images: Path,
    index: Path,
    model: Path,
    output: Path,
    *,
    threads: int,
    scratch: str | None = None,
    facts: Path | None = None,
    text: Path | None = None,
) -> None:
    """Run the source over the views and store what it says, keyed by what made it.

    The file has pseudo_labels of the views of number 0 in the order of the images, then of number
    1, and so on; and features where students learn from those.

    Args:
        job: The source and how it is asked.
        images: The target's training images.
        index: Its images.csv.
        model: The source's model.safetensors, or the user's own file of an outside source.
        output: What it says, to write.
        threads: CPU threads.
        scratch: Folder for copies of the images on this machine's own disk.
        facts: meta.json of an outside source.
        text: Text embeddings of classes, for head zero_shot.
    """
    torch.set_num_threads(threads)
    asked = job.inference
    read = scratch_copy(images, index, scratch)
    view = make_view(job.seen, threads=threads)
    views = FixedViews(open_pool(read, index), view, job.count, target=asked.target)
    found = answers(
        asked,
        model,
        {str(k): views.pool(k) for k in range(job.count)},
        lambda _: read_image_names(index, "train"),
        # A view has the size that networks see; a source's own transform makes it its own size.
        view=None if asked.view is None else AS_STORED,
        facts=facts,
        text=text,
        whole=True,
        threads=threads,
    ).values()
    outputs = {kind: np.concatenate([of[kind] for of in found]) for kind in next(iter(found))}
    if asked.head in NEED_CLUSTERS or "pseudo_labels" not in outputs:
        from distillweighted.sources.stand_ins import kmeans_pseudo_labels

        seed = derive_seed("k-means", asked.target, asked.source)
        outputs["pseudo_labels"] = kmeans_pseudo_labels(outputs["features"], seed=seed)
    if asked.head not in NEED_FEATURES:
        del outputs["features"]
    files = [read, index, model, *([] if text is None else [text])]
    told = [job.count, job.seen, asked.view, asked.statistics, asked.activation, asked.head]
    key = f"{fingerprint_files(files)}:{json.dumps([*told, asked.settings])}"
    of = {"source": asked.source, "target": asked.target, "views": job.count}
    save_inference(output, outputs, {**of, "key": key})


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
