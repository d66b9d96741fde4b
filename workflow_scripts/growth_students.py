"""Rule growth_students: accuracy and cost against the student's size, as table and figure."""

from pathlib import Path

import pandas as pd

from distillweighted.analysis.figures.growth import draw_students
from distillweighted.analysis.figures.style import save
from distillweighted.analysis.growth import EXPLANATION, MEAN, growth
from distillweighted.analysis.growth_rows import by_students
from distillweighted.analysis.printed import publish_table

COSTS = (
    "mmacs: 10^6 multiply-accumulates of one image. train_seconds: of one student, the median over "
    "targets and seeds; what the sources take before is not in it."
)


def main(
    accuracy: Path, nearest: Path, csv: Path, stem: Path, *, default_p: float, caption: str
) -> None:
    """Write the table of the students' sizes with intervals, and draw it."""
    rows = by_students(pd.read_csv(accuracy), pd.read_csv(nearest), default_p=default_p)
    table = growth(rows, "mmacs")
    sizes = rows.drop_duplicates("mmacs").set_index("mmacs")
    for place, name in enumerate(("student", "parameters"), start=1):
        table.insert(2 * place - 1, name, table["mmacs"].map(sizes[name]))
    seconds = rows.groupby(["method", "mmacs"])["train_seconds"].median().rename("train_seconds")
    table = table.merge(seconds, on=["method", "mmacs"], how="left")
    table["train_seconds"] = table["train_seconds"].where(table["target"] == MEAN)
    text = EXPLANATION.format(beside=" of the same student", first=", of the smallest student")
    decimals = {"mmacs": 3, "train_seconds": 2}
    publish_table(table, csv, caption=f"{text} {COSTS} {caption}", decimals=decimals)
    save(draw_students(table), stem)


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
