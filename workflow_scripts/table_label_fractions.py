"""Rule table_label_fractions: accuracy by label fraction (the supplement's fewer labels)."""

from pathlib import Path

import pandas as pd

from distillweighted.analysis.printed import publish_table
from distillweighted.analysis.supplement import table_label_fractions


def main(accuracy: Path, nearest: Path, output: Path, *, default_p: float, caption: str) -> None:
    """Write the table of the student's methods for every label fraction."""
    table = table_label_fractions(pd.read_csv(accuracy), pd.read_csv(nearest), default_p=default_p)
    publish_table(table, output, caption=caption, decimals={"label_fraction": 3})


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.input.accuracy),
            Path(snakemake.input.nearest),
            Path(snakemake.output.csv),
            default_p=snakemake.params.default_p,
            caption=snakemake.params.caption,
        )
