"""Rule describe_run: the configuration in force, the sources, the exclusions, the versions."""

import importlib.metadata
import platform
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import yaml

from distillweighted.analysis.source_facts import read_source_facts

PACKAGES = ("snakemake", "torch", "torchvision", "timm", "numpy", "scipy", "pandas", "matplotlib")


def main(
    metas: Sequence[Path],
    outputs: dict[str, Path],
    *,
    config: dict,
    exclusions: Sequence[dict[str, str]],
) -> None:
    """Write config.yaml, sources.csv, exclusions.csv and versions.csv.

    Args:
        metas: meta.json of every source.
        outputs: Paths by name: config, sources, exclusions, versions.
        config: The complete configuration.
        exclusions: target, source and reason of every exclusion in force.
    """
    outputs["config"].write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    # A loaded source has no test accuracy: its own task's images need not be there.
    read_source_facts(metas).to_csv(outputs["sources"], index=False)
    table = pd.DataFrame(exclusions, columns=["target", "source", "reason"])
    table.to_csv(outputs["exclusions"], index=False)
    versions = {"python": platform.python_version()}
    versions |= {name: importlib.metadata.version(name) for name in PACKAGES}
    versions |= {"machine": platform.platform()}
    pd.DataFrame(versions.items(), columns=["what", "version"]).to_csv(
        outputs["versions"], index=False
    )


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            snakemake.input.sources,
            {name: Path(path) for name, path in snakemake.output.items()},
            config=snakemake.params.config,
            exclusions=snakemake.params.exclusions,
        )
