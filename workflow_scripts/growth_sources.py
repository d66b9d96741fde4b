"""Rule growth_sources: accuracy and cost against the number of sources, as table and figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from distillweighted.analysis.figures.growth import draw_sources
from distillweighted.analysis.figures.style import save
from distillweighted.analysis.growth import EXPLANATION, MEAN, growth, relative
from distillweighted.analysis.growth_rows import by_sources, cost_of_sources
from distillweighted.analysis.printed import publish_table
from distillweighted.analysis.source_facts import read_source_facts

COSTS = (
    "source_gmacs: 10^9 multiply-accumulates of asking all sources of a subset about one image, "
    "the mean over subsets. relative_time: seconds of the student's training over those of the "
    "fewest sources, the median over targets and seeds."
)


def main(
    accuracy: Path,
    similarity: Path,
    sources: Sequence[Path],
    csv: Path,
    stem: Path,
    *,
    subsets: Sequence[tuple[str, int, Sequence[str]]],
    recipes: Mapping[str, int],
    all_sources: str | None,
    metric: str,
    representation: str,
    caption: str,
) -> None:
    """Write the table of the number of sources, and draw it.

    Args:
        accuracy: The table of students.
        similarity: The table of similarities.
        sources: meta.json of every source.
        csv: The table to write.
        stem: The figure, without an ending.
        subsets: Target, seed and sources of every subset.
        recipes: How many sources each recipe of a subset has.
        all_sources: The recipe of all sources; None where there is none.
        metric: The metric that weights sources.
        representation: On which representation.
        caption: What the run is.
    """
    scores = pd.read_csv(similarity)
    used = (scores["metric"] == metric) & (scores["representation"] == representation)
    rows = by_sources(
        pd.read_csv(accuracy), scores[used], subsets, recipes=recipes, all_sources=all_sources
    )
    facts = read_source_facts(sources).set_index("source")["gmacs"]
    table = growth(rows, "sources").astype({"sources": int})
    of_all = table["target"] == MEAN
    weighted = rows[rows["method"] == "distill_weighted"]
    for name, costs in (
        ("source_gmacs", cost_of_sources(facts.to_dict(), subsets)),
        ("relative_time", relative(weighted, "sources", "train_seconds")),
    ):
        table[name] = table["sources"].map(costs).where(of_all)
    text = EXPLANATION.format(beside="", first=", of the fewest sources")
    publish_table(table, csv, caption=f"{text} {COSTS} {caption}", decimals={"source_gmacs": 4})
    save(draw_sources(table), stem)


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        main(
            Path(snakemake.input.accuracy),
            Path(snakemake.input.similarity),
            list(map(Path, snakemake.input.sources)),
            Path(snakemake.output.csv),
            Path(snakemake.output.png).with_suffix(""),
            subsets=snakemake.params.subsets,
            recipes=snakemake.params.recipes,
            all_sources=snakemake.params.all_sources,
            metric=snakemake.params.metric,
            representation=snakemake.params.representation,
            caption=snakemake.params.caption,
        )
