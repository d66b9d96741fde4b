"""Rule comparison_with_paper: our numbers beside the paper's, where targets have its names."""

from pathlib import Path

import pandas as pd

from distillweighted.analysis.comparison import comparison_with_paper
from distillweighted.analysis.printed import publish_table


def main(tables: dict[str, Path], output: Path) -> None:
    """Write item, row, target, ours, paper, difference; no rows where no name matches."""
    read = {name: pd.read_csv(path) for name, path in tables.items()}
    publish_table(comparison_with_paper(**read), output, decimals=2)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            {name: Path(path) for name, path in snakemake.input.items()},
            Path(snakemake.output.csv),
        )
