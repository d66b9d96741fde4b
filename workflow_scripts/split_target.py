"""Rule split_target: choose the labelled images of a target, and copy their labels alone."""

from pathlib import Path

import numpy as np

from distillweighted.files.tables import write_table
from distillweighted.seeds import derive_seed
from distillweighted.tasks.jobs import SplitJob
from distillweighted.tasks.prepared import read_image_names, read_labels
from distillweighted.tasks.splits import split_labeled, split_validation


def main(job: SplitJob, index: Path, labels: Path, split: Path, labeled: Path) -> None:
    """Write `split` (image, split) and `labeled` (image, label of the labelled images)."""
    train, test = (read_image_names(index, pool) for pool in ("train", "test"))
    values = read_labels(labels, train)
    seed = derive_seed(job.seed, job.target, "split") % 2**32
    mask = split_labeled(values, job.fraction, seed=seed)
    names = np.where(mask, "labeled", "unlabeled").astype(object)
    if job.validation is not None:
        rows, seed = np.flatnonzero(mask), derive_seed(job.seed, job.target, "validation")
        kept = rows[split_validation(values[rows], job.validation, seed=seed)]
        mask[kept], names[kept] = False, "validation"
    parts = [*names.tolist(), *["test"] * len(test)]
    write_table(split, ("image", "split"), zip(train + test, parts, strict=True))
    known = zip(train, values.tolist(), mask, strict=True)
    write_table(labeled, ("image", "label"), ([i, label] for i, label, chosen in known if chosen))


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
