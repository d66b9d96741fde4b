"""Rule choose_settings: each method's learning rate and lambda, and the method to deploy."""

from pathlib import Path

from distillweighted.training.choice import ChoiceJob, choose


def main(job: ChoiceJob, output: Path) -> None:
    """Write the choice between the candidates (see `distillweighted.training.choice`)."""
    choose(job, output)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(ChoiceJob.of(snakemake.params.job), Path(snakemake.output[0]))
