"""Rule fig6_effect_of_p: the paper's Figure 6."""

from pathlib import Path

import pandas as pd

from distillweighted.analysis.figures.fig6_effect_of_p import effect_of_p, fig6_effect_of_p
from distillweighted.analysis.figures.style import save


def main(accuracy: Path, nearest: Path, stem: Path) -> None:
    """Draw the improvement over IN+Transfer for every p."""
    save(fig6_effect_of_p(effect_of_p(pd.read_csv(accuracy), pd.read_csv(nearest))), stem)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.input.accuracy),
            Path(snakemake.input.nearest),
            Path(snakemake.output.png).with_suffix(""),
        )
