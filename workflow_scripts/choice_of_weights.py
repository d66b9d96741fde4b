"""Rule choice_of_weights: what rules that choose p and k give, and lose against the best p."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from distillweighted.analysis.choice_of_weights import (
    EXPLANATION,
    choice_of_weights,
    read_validation,
)
from distillweighted.analysis.printed import publish_table


def main(
    accuracy: Path,
    nearest: Path,
    choices: Sequence[Path],
    output: Path,
    *,
    exponents: Sequence[float],
    caption: str,
) -> None:
    """Write the table of rules that choose the weights of the sources.

    Args:
        accuracy: The table of students.
        nearest: The nearest source of every target and seed.
        choices: The choices on validation images of every target and seed; none without a choice.
        output: The CSV file to write.
        exponents: The fixed p that are compared.
        caption: What the run is.
    """
    validation = [row for path in choices for row in read_validation(Path(path))]
    table = choice_of_weights(
        pd.read_csv(accuracy),
        pd.read_csv(nearest),
        exponents,
        pd.DataFrame(validation) if validation else None,
    )
    decimals = {name: 2 for name in table.columns if name.startswith(("regret", "half_width"))}
    publish_table(table, output, caption=f"{EXPLANATION} {caption}", decimals=decimals)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.input.accuracy),
            Path(snakemake.input.nearest),
            snakemake.input.choices,
            Path(snakemake.output.csv),
            exponents=[float(p) for p in snakemake.params.exponents],
            caption=snakemake.params.caption,
        )
