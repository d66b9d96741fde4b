"""Rule tuning: which learning rate is best for each method, on development tasks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from distillweighted.analysis.printed import publish_table
from distillweighted.analysis.tuning import best_rates, named_students, tuning_table
from distillweighted.files.tables import read_facts


def main(
    metrics: Sequence[Path], names: Mapping[str, str], csv: Path, rates: Path, *, caption: str
) -> None:
    """Write the table of rates, and the best ones as a configuration has them.

    Args:
        metrics: metrics.json of every student.
        names: Under which name of `training.learning_rates` each recipe counts.
        csv: The table to write.
        rates: The YAML file to write.
        caption: What the table was made with.
    """
    facts = ("recipe", "student", "learning_rate", "target", "seed", "accuracy")
    students = [read_facts(Path(path), facts) for path in metrics]
    table = tuning_table(named_students(students, names))
    decimals = {"learning_rate": 4, "standard_error": 2, "behind": 2, "behind_error": 2}
    publish_table(table, csv, decimals=decimals, caption=caption)
    rates.write_text(yaml.safe_dump({"learning_rates": best_rates(table)}, sort_keys=False))


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            snakemake.input,
            snakemake.params.names,
            Path(snakemake.output.csv),
            Path(snakemake.output.rates),
            caption=snakemake.params.caption,
        )
