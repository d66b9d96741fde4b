"""Rule table1_random_selection: how much random selection depends on the source that it draws."""

from pathlib import Path

import pandas as pd

from distillweighted.analysis.printed import publish_table
from distillweighted.analysis.random_selection import table1_random_selection


def main(accuracy: Path, output: Path, *, caption: str) -> None:
    """Write the spread of the single-source students over the sources, for each target."""
    explanation = (
        "Single-source students of which DistillRandomSelection draws one: mean, standard "
        "deviation over sources, worst and best, each within a seed and then averaged over seeds."
    )
    table = table1_random_selection(pd.read_csv(accuracy))
    publish_table(table, output, caption=f"{explanation} {caption}")


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.input.accuracy),
            Path(snakemake.output.csv),
            caption=snakemake.params.caption,
        )
