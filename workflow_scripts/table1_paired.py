"""Rule table1_paired: every method of the student against the reference, in pairs."""

from pathlib import Path

import pandas as pd

from distillweighted.analysis.methods_accuracy import method_accuracy
from distillweighted.analysis.paired import EXPLANATION, table1_paired
from distillweighted.analysis.printed import publish_table


def main(
    accuracy: Path,
    nearest: Path,
    outputs: dict[str, Path],
    *,
    default_p: float,
    oracle: bool = False,
    reference: str,
    caption: str,
) -> None:
    """Write the comparison over targets, and the differences on each target."""
    # Methods may differ in their seeds: each pair is compared on those that both have.
    students, sources = pd.read_csv(accuracy), pd.read_csv(nearest)
    methods = method_accuracy(students, sources, default_p=default_p, partial=True, oracle=oracle)
    table, by_target = table1_paired(methods, reference=reference)
    decimals = {"p": 4, "p_holm": 4, "effect_size": 2, "half_width_seeds": 2}
    decimals |= {"half_width_targets": 2, "mean_difference": 2, "difference": 2}
    caption = f"{EXPLANATION} {caption}"
    publish_table(table, outputs["pairs"], caption=caption, decimals=decimals)
    publish_table(by_target, outputs["targets"], caption=caption, decimals=decimals)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.input.accuracy),
            Path(snakemake.input.nearest),
            {name: Path(snakemake.output[name]) for name in ("pairs", "targets")},
            default_p=snakemake.params.default_p,
            oracle=snakemake.params.oracle,
            reference=snakemake.params.reference,
            caption=snakemake.params.caption,
        )
