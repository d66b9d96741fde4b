"""Rule infer_source: one source's features and probabilities for a target's training images."""

from pathlib import Path

import torch

from distillweighted.checksums import fingerprint_files
from distillweighted.data import read_images
from distillweighted.inference import run_source
from distillweighted.source_outputs import save_inference


def main(
    images: Path, model: Path, output: Path, *, source: str, target: str, device: str, threads: int
) -> None:
    """Run the source over the images and store what it says, keyed by what made it."""
    torch.set_num_threads(threads)
    outputs = run_source(model, read_images(images), device=device)
    key = fingerprint_files([images, model])
    save_inference(output, outputs, {"source": source, "target": target, "key": key})


if "snakemake" in globals():
    from distillweighted.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.input.images),
            Path(snakemake.input.model),
            Path(snakemake.output[0]),
            source=snakemake.wildcards.source,
            target=snakemake.wildcards.target,
            device=snakemake.params.device,
            threads=snakemake.threads,
        )
