"""Rule table2_correlation: the paper's Table 2, with intervals, differences and its ceiling."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from distillweighted.analysis.correlation import table2_correlation, table2_other_coefficients
from distillweighted.analysis.noise_ceiling import noise_ceiling
from distillweighted.analysis.printed import publish_table
from distillweighted.analysis.rankings import data_free_scores
from distillweighted.analysis.source_bootstrap import table2_differences, table2_intervals
from distillweighted.analysis.source_facts import read_source_facts


def main(
    accuracy: Path,
    similarity: Path,
    sources: Sequence[Path],
    outputs: dict[str, Path],
    *,
    reference: tuple[str, str],
    bootstrap: int,
    caption: str,
) -> None:
    """Write correlations of scores and accuracy, with bootstrap intervals.

    Args:
        accuracy: One row a student.
        similarity: The similarity of every source.
        sources: meta.json of every source.
        outputs: Where each table goes: correlation, intervals, differences, others, ceiling.
        reference: Representation and metric that the differences are from.
        bootstrap: Bootstrap samples.
        caption: What the tables were made with.
    """
    students, facts = pd.read_csv(accuracy), read_source_facts(sources)
    scores = pd.concat([pd.read_csv(similarity), data_free_scores(students, facts)])
    tables = {
        "correlation": table2_correlation(students, scores),
        "intervals": table2_intervals(students, scores, facts, n_resamples=bootstrap),
        "others": table2_other_coefficients(students, scores),
        "ceiling": noise_ceiling(students),
    }
    for name, table in tables.items():
        publish_table(table, outputs[name], decimals=2, caption=caption)
    differences = table2_differences(
        students, scores, facts, reference=reference, n_resamples=bootstrap
    )
    representation, metric = reference
    of_reference = f"Minus {metric} of the {representation.replace('_', ' ')}. {caption}"
    publish_table(differences, outputs["differences"], decimals=2, caption=of_reference)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        names = ("correlation", "intervals", "differences", "others", "ceiling")
        main(
            Path(snakemake.input.accuracy),
            Path(snakemake.input.similarity),
            [Path(path) for path in snakemake.input.sources],
            {name: Path(snakemake.output[name]) for name in names},
            reference=(snakemake.params.representation, snakemake.params.metric),
            bootstrap=snakemake.params.bootstrap,
            caption=snakemake.params.caption,
        )
