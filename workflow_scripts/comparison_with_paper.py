"""Rule comparison_with_paper: our numbers beside the paper's, and a test of the paper's own."""

from pathlib import Path

import pandas as pd

from distillweighted.analysis.comparison import comparison_paired, comparison_with_paper
from distillweighted.analysis.paired import EXPLANATION
from distillweighted.analysis.printed import publish_table


def main(tables: dict[str, Path], output: Path, paired: Path) -> None:
    """Write item, row, target, ours, paper, difference; no rows where no name matches.

    Args:
        tables: CSV files of this run's tables by name: table1, table2, table3.
        output: Where the numbers of both go.
        paired: Where the paired comparison in the paper's own Table 1 goes.
    """
    read = {name: pd.read_csv(path) for name, path in tables.items()}
    publish_table(comparison_with_paper(**read), output, decimals=2)
    caption = f"The paper's own Table 1; it gives no seeds. {EXPLANATION}"
    decimals = {"p": 4, "p_holm": 4, "effect_size": 2, "half_width_targets": 2}
    decimals["mean_difference"] = 2
    publish_table(comparison_paired(), paired, caption=caption, decimals=decimals)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            {name: Path(path) for name, path in snakemake.input.items()},
            Path(snakemake.output.csv),
            Path(snakemake.output.paired),
        )
