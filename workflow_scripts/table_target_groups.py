"""Rule table_target_groups: improvement over IN+Transfer by group of targets (VTAB)."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from distillweighted.analysis.printed import publish_table
from distillweighted.analysis.supplement import table_target_groups


def main(
    accuracy: Path,
    nearest: Path,
    output: Path,
    *,
    groups: Sequence[dict],
    default_p: float,
    caption: str,
) -> None:
    """Write the table of the student's methods for every group; each has a name and targets."""
    table = table_target_groups(
        pd.read_csv(accuracy),
        pd.read_csv(nearest),
        {group["name"]: group["targets"] for group in groups},
        default_p=default_p,
    )
    publish_table(table, output, caption=caption)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.input.accuracy),
            Path(snakemake.input.nearest),
            Path(snakemake.output.csv),
            groups=snakemake.params.groups,
            default_p=snakemake.params.default_p,
            caption=snakemake.params.caption,
        )
