"""Rule critical_difference: methods by mean rank, and which of them tests do not tell apart."""

from pathlib import Path

import pandas as pd

from distillweighted.analysis.figures.critical_difference import critical_difference
from distillweighted.analysis.figures.style import save
from distillweighted.analysis.methods_accuracy import method_accuracy
from distillweighted.analysis.ranks import mean_ranks


def main(accuracy: Path, nearest: Path, stem: Path, *, default_p: float) -> None:
    """Draw the student's methods by their mean rank over the targets."""
    methods = method_accuracy(
        pd.read_csv(accuracy), pd.read_csv(nearest), default_p=default_p, partial=True
    )
    save(critical_difference(mean_ranks(methods)), stem)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.input.accuracy),
            Path(snakemake.input.nearest),
            Path(snakemake.output.png).with_suffix(""),
            default_p=snakemake.params.default_p,
        )
