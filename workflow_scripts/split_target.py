"""Rule split_target: choose the labelled images of a target, and copy their labels alone."""

from pathlib import Path

import numpy as np

from distillweighted.files.tables import write_table
from distillweighted.seeds import derive_seed
from distillweighted.tasks.jobs import SplitJob
from distillweighted.tasks.prepared import given_labels, read_image_names, read_labels
from distillweighted.tasks.splits import split_labeled, split_validation


def main(job: SplitJob, index: Path, labels: Path, split: Path, labeled: Path) -> None:
    """Write `split` (image, split) and `labeled` (image, label of the labelled images)."""
    train, test = (read_image_names(index, pool) for pool in ("train", "test"))
    if job.fraction is None:
        chosen = given_labels(labels, train)
    else:
        values = read_labels(labels, train)
        seed = derive_seed(job.seed, job.target, "split") % 2**32
        mask = split_labeled(values, job.fraction, seed=seed)
        known = zip(train, values.tolist(), mask, strict=True)
        chosen = {image: label for image, label, is_labeled in known if is_labeled}
    kept: set[str] = set()
    if job.validation is not None:
        seed = derive_seed(job.seed, job.target, "validation")
        mask = split_validation(np.array([*chosen.values()]), job.validation, seed=seed)
        kept = {image for image, is_kept in zip(chosen, mask, strict=True) if is_kept}
    parts = [
        "validation" if image in kept else "labeled" if image in chosen else "unlabeled"
        for image in train
    ]
    rows = zip(train + test, parts + ["test"] * len(test), strict=True)
    write_table(split, ("image", "split"), rows)
    learned = {image: label for image, label in chosen.items() if image not in kept}
    write_table(labeled, ("image", "label"), learned.items())


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            SplitJob.of(snakemake.params.job),
            Path(snakemake.input.index),
            Path(snakemake.input.labels),
            Path(snakemake.output.split),
            Path(snakemake.output.labeled),
        )
