"""Rule fig1_weightings: the paper's Figure 1."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from distillweighted.analysis.figures.fig1_weightings import fig1_weightings, weightings
from distillweighted.analysis.figures.style import save
from distillweighted.analysis.methods_accuracy import method_accuracy


def main(
    accuracy: Path,
    nearest: Path,
    stem: Path,
    *,
    default_p: float,
    targets: Sequence[str] | None,
) -> None:
    """Draw mean accuracy by weighting over some targets (None: all)."""
    methods = method_accuracy(pd.read_csv(accuracy), pd.read_csv(nearest), default_p=default_p)
    save(fig1_weightings(weightings(methods, targets=targets)), stem)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.input.accuracy),
            Path(snakemake.input.nearest),
            Path(snakemake.output.png).with_suffix(""),
            default_p=snakemake.params.default_p,
            targets=snakemake.params.targets,
        )
