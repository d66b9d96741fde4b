"""Rule table3_relative_accuracy: the paper's Table 3, for k = 3 and for other k, and regret."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from distillweighted.analysis.printed import publish_table
from distillweighted.analysis.rankings import data_free_scores, random_scores
from distillweighted.analysis.relative_accuracy import (
    table3_other_k,
    table3_regret,
    table3_relative_accuracy,
)
from distillweighted.analysis.source_facts import read_source_facts


def main(
    accuracy: Path,
    similarity: Path,
    sources: Sequence[Path],
    outputs: dict[str, Path],
    *,
    k: int,
    other_k: Sequence[int],
    caption: str,
) -> None:
    """Write the accuracy of the best ranked sources' students relative to the best students'.

    Args:
        accuracy: One row a student.
        similarity: The similarity of every source.
        sources: meta.json of every source.
        outputs: Where each table goes: relative, other_k, regret.
        k: Students of the paper's table.
        other_k: Students of the other one.
        caption: What the tables were made with.
    """
    students, facts = pd.read_csv(accuracy), read_source_facts(sources)
    data_free = [data_free_scores(students, facts), random_scores(students)]
    scores = pd.concat([pd.read_csv(similarity), *data_free])
    relative = table3_relative_accuracy(students, scores, k)
    publish_table(relative, outputs["relative"], caption=caption)
    publish_table(table3_other_k(students, scores, other_k), outputs["other_k"], caption=caption)
    publish_table(table3_regret(students, scores), outputs["regret"], decimals=2, caption=caption)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.input.accuracy),
            Path(snakemake.input.similarity),
            [Path(path) for path in snakemake.input.sources],
            {name: Path(snakemake.output[name]) for name in ("relative", "other_k", "regret")},
            k=snakemake.params.k,
            other_k=snakemake.params.other_k,
            caption=snakemake.params.caption,
        )
