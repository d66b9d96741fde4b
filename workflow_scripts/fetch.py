"""Rule fetch: download the data sets and weights that may be downloaded automatically."""

from collections.abc import Sequence
from pathlib import Path

from distillweighted.workflow.required_files import fetch_all


def main(
    tasks: Sequence[str],
    models: Sequence[tuple[str, str, str]],
    *,
    data_root: Path | None,
    models_root: Path | None,
) -> None:
    """Download what is missing.

    Args:
        tasks: Names of the data sets that a run needs.
        models: Origin, architecture and task of the models that it loads.
        data_root: The folder that holds the data sets.
        models_root: The folder that holds the checkpoints.

    Raises:
        RuntimeError: Where files are missing still, which a person has to get; says which.
    """
    missing = fetch_all(tasks, models, data_root=data_root, models_root=models_root)
    if missing:
        raise RuntimeError(f"what may be downloaded automatically is there now, but {missing}")


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        roots = {
            name: Path(snakemake.params[name]) if snakemake.params[name] else None
            for name in ("data_root", "models_root")
        }
        main(snakemake.params.tasks, snakemake.params.models, **roots)
