"""Rule table3_relative_accuracy: the paper's Table 3, for k = 3 and for other k."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from distillweighted.analysis.correlation import table3_other_k, table3_relative_accuracy
from distillweighted.analysis.printed import publish_table


def main(
    accuracy: Path,
    similarity: Path,
    outputs: dict[str, Path],
    *,
    k: int,
    other_k: Sequence[int],
    caption: str,
) -> None:
    """Write the accuracy of the best ranked sources' students relative to the best students'."""
    students, scores = pd.read_csv(accuracy), pd.read_csv(similarity)
    publish_table(
        table3_relative_accuracy(students, scores, k), outputs["relative"], caption=caption
    )
    publish_table(table3_other_k(students, scores, other_k), outputs["other_k"], caption=caption)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.input.accuracy),
            Path(snakemake.input.similarity),
            {name: Path(snakemake.output[name]) for name in ("relative", "other_k")},
            k=snakemake.params.k,
            other_k=snakemake.params.other_k,
            caption=snakemake.params.caption,
        )
