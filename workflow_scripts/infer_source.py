"""Rule infer_source: one source's features and probabilities for a target's training images."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from distillweighted.batches.views import make_view
from distillweighted.files.checksums import fingerprint_files
from distillweighted.files.scratch import scratch_copy
from distillweighted.sources.inference import run_source
from distillweighted.sources.outputs import save_inference
from distillweighted.tasks.pools import open_pool


def main(
    images: Path,
    index: Path,
    model: Path,
    output: Path,
    *,
    source: str,
    target: str,
    view: dict,
    statistics: tuple[Sequence[float], Sequence[float]] | None,
    activation: str,
    device: str,
    threads: int,
    scratch: str | None = None,
) -> None:
    """Run the source over the images and store what it says, keyed by what made it."""
    torch.set_num_threads(threads)
    images = scratch_copy(images, index, scratch)
    outputs = run_source(
        model,
        open_pool(images, index),
        device=device,
        view=make_view(view, threads=threads),
        statistics=statistics,
        activation=activation,
    )
    settings = json.dumps([view, statistics, activation])
    key = f"{fingerprint_files([images, index, model])}:{settings}"
    save_inference(output, outputs, {"source": source, "target": target, "key": key})


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.input.images),
            Path(snakemake.input.index),
            Path(snakemake.input.model),
            Path(snakemake.output[0]),
            source=snakemake.wildcards.source,
            target=snakemake.wildcards.target,
            view=snakemake.params.view,
            statistics=snakemake.params.statistics,
            activation=snakemake.params.activation,
            device=snakemake.params.device,
            threads=snakemake.threads,
            # No parameter of the rule: another folder infers nothing again.
            scratch=snakemake.config["scratch"],
        )
