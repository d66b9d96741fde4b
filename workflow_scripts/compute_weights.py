"""Rule compute_weights: turn similarity scores into one recipe's weights over the sources."""

from pathlib import Path

from distillweighted.similarity.jobs import WeightsJob
from distillweighted.similarity.weighting import write_weights


def main(job: WeightsJob, similarity: Path, output: Path) -> None:
    """Write source, weight (see `distillweighted.similarity.weighting`).

    Args:
        job: The recipe, and how it weights.
        similarity: Table of the target's scores for one replicate.
        output: The table to write.
    """
    write_weights(job, similarity, output)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            WeightsJob.of(snakemake.params.job),
            Path(snakemake.input[0]),
            Path(snakemake.output[0]),
        )
