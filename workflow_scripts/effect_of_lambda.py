"""Rule effect_of_lambda: what lambda does to DistillWeighted, as a table and a figure."""

from pathlib import Path

import pandas as pd

from distillweighted.analysis.figures.effect_of_lambda import (
    effect_of_lambda,
    fig_effect_of_lambda,
)
from distillweighted.analysis.figures.style import save
from distillweighted.analysis.printed import publish_table


def main(students: Path, csv: Path, stem: Path, *, caption: str) -> None:
    """Write the improvement over IN+Transfer for every lambda, and draw it."""
    table = effect_of_lambda(pd.read_csv(students))
    publish_table(table, csv, decimals={"lambda": 2, "standard_error": 2}, caption=caption)
    save(fig_effect_of_lambda(table), stem)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.input[0]),
            Path(snakemake.output.csv),
            Path(snakemake.output.png).with_suffix(""),
            caption=snakemake.params.caption,
        )
