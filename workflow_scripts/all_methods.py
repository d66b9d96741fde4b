"""Rule all_methods: what every method is, gains and costs."""

from pathlib import Path

import pandas as pd

from distillweighted.analysis.all_methods import EXPLANATION, all_methods
from distillweighted.analysis.printed import publish_table


def main(
    accuracy: Path,
    nearest: Path,
    output: Path,
    *,
    default_p: float,
    oracle: bool = False,
    reference: str,
    caption: str,
) -> None:
    """Write the table of all methods."""
    table = all_methods(
        pd.read_csv(accuracy),
        pd.read_csv(nearest),
        reference=reference,
        default_p=default_p,
        oracle=oracle,
    )
    decimals = {"p_holm": 4, "relative_time": 2}
    caption = f"{EXPLANATION.format(reference=reference)} {caption}"
    publish_table(table, output, caption=caption, decimals=decimals)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.input.accuracy),
            Path(snakemake.input.nearest),
            Path(snakemake.output.csv),
            default_p=snakemake.params.default_p,
            oracle=snakemake.params.oracle,
            reference=snakemake.params.reference,
            caption=snakemake.params.caption,
        )
