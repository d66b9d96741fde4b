"""Rule answer: what the run says, in sentences, for the terminal and the report's first page."""

from pathlib import Path

import pandas as pd

from distillweighted.analysis.paired_text import answer, answer_rst


def main(table1: Path, paired: Path | None, figure: Path, outputs: dict[str, Path]) -> None:
    """Write the sentences as text, one a paragraph, and as reStructuredText with a figure.

    Args:
        table1: table1_accuracy.csv.
        paired: table1_paired.csv; None for a run without the reference method.
        figure: A PNG file of Figure 1.
        outputs: Paths by name: text, rst.
    """
    pairs = None if paired is None else pd.read_csv(paired)
    sentences = answer(pd.read_csv(table1), pairs)
    outputs["text"].write_text("\n".join(sentences) + "\n", encoding="utf-8")
    shows = "Figure 1: mean test accuracy for different ways to weight the sources"
    rst = answer_rst(sentences, figure.read_bytes(), shows=shows)
    outputs["rst"].write_text(rst, encoding="utf-8")


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        pairs = snakemake.input.get("paired")
        main(
            Path(snakemake.input.table1),
            Path(pairs) if pairs else None,
            Path(snakemake.input.figure),
            {name: Path(snakemake.output[name]) for name in ("text", "rst")},
        )
