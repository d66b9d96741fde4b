"""Rule fig4_similarity_vs_accuracy: the paper's Figure 4."""

from pathlib import Path

import pandas as pd

from distillweighted.analysis.correlation import single_source_points
from distillweighted.analysis.figures.fig4_similarity_vs_accuracy import fig4_similarity_vs_accuracy
from distillweighted.analysis.figures.style import save


def main(
    tables: dict[str, Path],
    stem: Path,
    *,
    metric: str,
    representation: str,
    sources: list[dict[str, str]],
) -> None:
    """Draw accuracy against similarity, a panel a target.

    Args:
        tables: accuracy, similarity, and table2 for the correlations.
        stem: Path of the figure without an ending.
        metric: The metric on the x axis.
        representation: Its representation.
        sources: source, architecture and task of every source.
    """
    points = single_source_points(
        pd.read_csv(tables["accuracy"]),
        pd.read_csv(tables["similarity"]),
        representation=representation,
        metric=metric,
    )
    table2 = pd.read_csv(tables["table2"]).set_index(["representation", "metric"])
    correlation = table2.loc[(representation, metric)].to_dict()
    label = f"{metric.upper().replace('_', ' ')} of the {representation.replace('_', ' ')}"
    figure = fig4_similarity_vs_accuracy(
        points, correlation, pd.DataFrame(sources), score_label=label
    )
    save(figure, stem)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            {name: Path(path) for name, path in snakemake.input.items()},
            Path(snakemake.output.png).with_suffix(""),
            metric=snakemake.params.metric,
            representation=snakemake.params.representation,
            sources=snakemake.params.sources,
        )
