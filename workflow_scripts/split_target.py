"""Rule split_target: choose the labelled images of a target, and copy their labels alone."""

from pathlib import Path

import pandas as pd

from distillweighted.data import read_image_names, read_labels, split_labeled
from distillweighted.seeds import derive_seed


def main(
    index: Path,
    labels: Path,
    split: Path,
    labeled: Path,
    *,
    target: str,
    fraction: float,
    seed: int,
) -> None:
    """Write `split` (image, split) and `labeled` (image, label of the labelled images)."""
    train, test = (read_image_names(index, pool) for pool in ("train", "test"))
    values = read_labels(labels, train)
    mask = split_labeled(values, fraction, seed=derive_seed(seed, target, "split") % 2**32)
    table = pd.DataFrame({"image": train + test, "split": "test"})
    table.loc[: len(train) - 1, "split"] = ["labeled" if m else "unlabeled" for m in mask]
    table.to_csv(split, index=False)
    known = pd.DataFrame({"image": train, "label": values})[mask]
    known.to_csv(labeled, index=False)


if "snakemake" in globals():
    from distillweighted.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.input.index),
            Path(snakemake.input.labels),
            Path(snakemake.output.split),
            Path(snakemake.output.labeled),
            target=snakemake.wildcards.target,
            fraction=snakemake.params.fraction,
            seed=snakemake.params.seed,
        )
