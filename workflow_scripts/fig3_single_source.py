"""Rule fig3_single_source: the paper's Figure 3."""

from pathlib import Path

import pandas as pd

from distillweighted.analysis.correlation import single_source_points
from distillweighted.analysis.figures.fig3_single_source import fig3_single_source, reference_points
from distillweighted.analysis.figures.style import save


def main(
    tables: dict[str, Path],
    stem: Path,
    *,
    metric: str,
    representation: str,
    default_p: float,
) -> None:
    """Draw single-source students by similarity, with methods and baselines for reference.

    Args:
        tables: accuracy, similarity, nearest, and table2 for the correlations.
        stem: Path of the figure without an ending.
        metric: The metric that colours the dots.
        representation: Its representation.
        default_p: The p of DistillWeighted to mark, beside 1.
    """
    accuracy, similarity = pd.read_csv(tables["accuracy"]), pd.read_csv(tables["similarity"])
    points = single_source_points(
        accuracy, similarity, representation=representation, metric=metric
    )
    references = reference_points(accuracy, pd.read_csv(tables["nearest"]), default_p=default_p)
    table2 = pd.read_csv(tables["table2"]).set_index(["representation", "metric"])
    correlation = table2.loc[(representation, metric)].to_dict()
    save(fig3_single_source(points, references, correlation), stem)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            {name: Path(path) for name, path in snakemake.input.items()},
            Path(snakemake.output.png).with_suffix(""),
            metric=snakemake.params.metric,
            representation=snakemake.params.representation,
            default_p=snakemake.params.default_p,
        )
