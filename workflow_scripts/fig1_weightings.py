"""Rule fig1_weightings: the paper's Figure 1."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from distillweighted.analysis.figures.fig1_weightings import fig1_weightings, weightings
from distillweighted.analysis.figures.style import save
from distillweighted.analysis.methods_accuracy import method_accuracy
from distillweighted.analysis.random_selection import source_spread


def main(
    accuracy: Path,
    nearest: Path,
    stem: Path,
    *,
    default_p: float,
    targets: Sequence[str] | None,
) -> None:
    """Draw mean accuracy by weighting over some targets (None: all)."""
    students = pd.read_csv(accuracy)
    methods = method_accuracy(students, pd.read_csv(nearest), default_p=default_p)
    spread = source_spread(students, targets=targets)
    save(fig1_weightings(weightings(methods, targets=targets), source_spread=spread), stem)


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
