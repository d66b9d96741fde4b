"""Rule table2_correlation: the paper's Table 2, with intervals and further coefficients."""

from pathlib import Path

import pandas as pd

from distillweighted.analysis.correlation import (
    table2_correlation,
    table2_intervals,
    table2_other_coefficients,
)
from distillweighted.analysis.printed import publish_table


def main(
    accuracy: Path,
    similarity: Path,
    outputs: dict[str, Path],
    *,
    bootstrap: int,
    caption: str,
) -> None:
    """Write correlations of similarity and accuracy, with bootstrap intervals."""
    students, scores = pd.read_csv(accuracy), pd.read_csv(similarity)
    table = table2_correlation(students, scores)
    publish_table(table, outputs["correlation"], decimals=2, caption=caption)
    intervals = table2_intervals(students, scores, n_resamples=bootstrap)
    publish_table(intervals, outputs["intervals"], decimals=2, caption=caption)
    others = table2_other_coefficients(students, scores)
    publish_table(others, outputs["others"], decimals=2, caption=caption)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.input.accuracy),
            Path(snakemake.input.similarity),
            {n: Path(snakemake.output[n]) for n in ("correlation", "intervals", "others")},
            bootstrap=snakemake.params.bootstrap,
            caption=snakemake.params.caption,
        )
