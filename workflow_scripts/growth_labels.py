"""Rule growth_labels: accuracy against the share of labelled images, as table and figure."""

from pathlib import Path

import pandas as pd

from distillweighted.analysis.figures.growth import draw_labels
from distillweighted.analysis.figures.style import save
from distillweighted.analysis.growth import EXPLANATION, growth
from distillweighted.analysis.growth_rows import by_labels
from distillweighted.analysis.printed import publish_table


def main(
    accuracy: Path, nearest: Path, csv: Path, stem: Path, *, default_p: float, caption: str
) -> None:
    """Write the table of label fractions with intervals, and draw it."""
    rows = by_labels(pd.read_csv(accuracy), pd.read_csv(nearest), default_p=default_p)
    table = growth(rows, "label_fraction")
    text = EXPLANATION.format(beside=" with the same labels", first=", of the fewest labels")
    publish_table(table, csv, caption=f"{text} {caption}", decimals={"label_fraction": 3})
    save(draw_labels(table), stem)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.input.accuracy),
            Path(snakemake.input.nearest),
            Path(snakemake.output.csv),
            Path(snakemake.output.png).with_suffix(""),
            default_p=snakemake.params.default_p,
            caption=snakemake.params.caption,
        )
