"""Rule table1_accuracy: the paper's Table 1, and its standard errors over seeds."""

from pathlib import Path

import pandas as pd

from distillweighted.analysis.methods_accuracy import method_accuracy
from distillweighted.analysis.printed import publish_table
from distillweighted.analysis.table1 import table1_accuracy


def main(
    accuracy: Path,
    nearest: Path,
    compute: Path,
    outputs: dict[str, Path],
    *,
    default_p: float,
    oracle: bool = False,
    caption: str,
) -> None:
    """Write the table of accuracies, its standard errors, and the balanced accuracies."""
    students, sources = pd.read_csv(accuracy), pd.read_csv(nearest)
    methods = method_accuracy(students, sources, default_p=default_p, oracle=oracle)
    costs = pd.read_csv(compute)
    decimals = {"gflops": 4}
    mean, error = table1_accuracy(methods, costs)
    balanced, _ = table1_accuracy(methods, costs, value="balanced_accuracy")
    publish_table(mean, outputs["mean"], caption=caption, decimals=decimals)
    caption_error = f"Standard errors over seeds. {caption}"
    publish_table(error, outputs["error"], caption=caption_error, decimals=decimals)
    caption_balanced = f"Balanced accuracy. {caption}"
    publish_table(balanced, outputs["balanced"], caption=caption_balanced, decimals=decimals)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.input.accuracy),
            Path(snakemake.input.nearest),
            Path(snakemake.input.compute),
            {name: Path(snakemake.output[name]) for name in ("mean", "error", "balanced")},
            default_p=snakemake.params.default_p,
            oracle=snakemake.params.oracle,
            caption=snakemake.params.caption,
        )
