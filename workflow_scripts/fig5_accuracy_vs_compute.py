"""Rule fig5_accuracy_vs_compute: the paper's Figure 5."""

from pathlib import Path

import pandas as pd

from distillweighted.analysis.figures.fig5_accuracy_vs_compute import (
    accuracy_vs_compute,
    fig5_accuracy_vs_compute,
)
from distillweighted.analysis.figures.style import save
from distillweighted.analysis.methods_accuracy import method_accuracy


def main(accuracy: Path, nearest: Path, compute: Path, stem: Path, *, default_p: float) -> None:
    """Draw mean accuracy against measured multiply-accumulates."""
    methods = method_accuracy(pd.read_csv(accuracy), pd.read_csv(nearest), default_p=default_p)
    save(fig5_accuracy_vs_compute(accuracy_vs_compute(methods, pd.read_csv(compute))), stem)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.input.accuracy),
            Path(snakemake.input.nearest),
            Path(snakemake.input.compute),
            Path(snakemake.output.png).with_suffix(""),
            default_p=snakemake.params.default_p,
        )
