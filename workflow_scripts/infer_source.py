"""Rule infer_source: one source's features and probabilities for a target's training images."""

import json
from pathlib import Path

import torch

from distillweighted.batches.views import make_view
from distillweighted.files.checksums import fingerprint_files
from distillweighted.files.scratch import scratch_copy
from distillweighted.sources.inference import run_source
from distillweighted.sources.jobs import InferenceJob
from distillweighted.sources.outputs import save_inference
from distillweighted.tasks.pools import open_pool


def main(
    job: InferenceJob,
    images: Path,
    index: Path,
    model: Path,
    output: Path,
    *,
    threads: int,
    scratch: str | None = None,
) -> None:
    """Run the source over the images and store what it says, keyed by what made it."""
    torch.set_num_threads(threads)
    images = scratch_copy(images, index, scratch)
    outputs = run_source(
        model,
        open_pool(images, index),
        device=job.device,
        view=make_view(job.view, threads=threads),
        statistics=job.statistics,
        activation=job.activation,
    )
    settings = json.dumps([job.view, job.statistics, job.activation])
    key = f"{fingerprint_files([images, index, model])}:{settings}"
    save_inference(output, outputs, {"source": job.source, "target": job.target, "key": key})


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            InferenceJob.of(snakemake.params.job),
            Path(snakemake.input.images),
            Path(snakemake.input.index),
            Path(snakemake.input.model),
            Path(snakemake.output[0]),
            threads=snakemake.threads,
            # No parameter of the rule: another folder infers nothing again.
            scratch=snakemake.config["scratch"],
        )
