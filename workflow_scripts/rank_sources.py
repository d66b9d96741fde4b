"""Rule rank_sources: the ranking of a target's sources as a table, a figure and in words."""

import json
from collections.abc import Mapping
from pathlib import Path

from distillweighted.analysis.figures.ranking import ranking_figure
from distillweighted.analysis.figures.style import save
from distillweighted.analysis.ranking_text import ranking_page
from distillweighted.similarity.jobs import RankingJob
from distillweighted.sources.outlook import accuracy_interval, forecast, outlook_of, sentences
from distillweighted.sources.ranking import rank_sources
from distillweighted.tasks.splits import read_split


def main(
    job: RankingJob,
    target: Mapping[str, Path],
    inference: Mapping[str, Path],
    facts: Mapping[str, Path],
    output: Path,
) -> None:
    """Write the ranking's .csv, .md, .png and .pdf, and what it foretells as .json.

    Args:
        job: The sources and what is computed of them.
        target: split, labeled and index of the target.
        inference: Outputs of each source, and of the student's start where it has one.
        facts: meta.json of each source, and of the student's start where it has one.
        output: The .csv file.
    """
    rows = read_split(target["split"], target["labeled"], target["index"])
    ranking = rank_sources(job, rows, inference, facts)
    first, selecting = ranking.of_selecting_metric, ranking.metrics.iloc[0]
    probes = {source: accuracy_interval(right) for source, right in ranking.correct.items()}
    above = None
    if job.start is not None:
        found = {
            s: outlook_of(ranking, s, job.start, seed=job.scores.seed) for s in first["source"]
        }
        above = {s: (each.difference, each.low, each.high) for s, each in found.items()}
    ranking.table.to_csv(output, index=False, lineterminator="\n")
    figure = ranking_figure(
        first,
        target=job.scores.target,
        metric=f"{job.metric.upper()} of {job.representation.replace('_', ' ')}",
        probes=probes,
        constant=ranking.constant,
        start=None if job.start is None else probes[job.start],
        shuffled=(selecting["shuffled"], selecting["shuffled_sd"]),
    )
    save(figure, output.with_suffix(""))
    page = ranking_page(
        first,
        ranking.metrics,
        title=f"Sources for {job.scores.target}",
        sentences=sentences(job, ranking),
        shares=ranking.nearest_share,
        probes=probes,
        above_start=above,
    )
    output.with_suffix(".md").write_text(page, encoding="utf-8")
    foretold = {"nearest": ranking.nearest, "verdict": forecast(job, ranking).verdict}
    output.with_suffix(".json").write_text(json.dumps(foretold, indent=1, ensure_ascii=False))


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        ranking_job, files = RankingJob.of(snakemake.params.job), snakemake.input
        main(
            ranking_job,
            {name: Path(files[name]) for name in ("split", "labeled", "index")},
            dict(zip(ranking_job.models, map(Path, files.inference), strict=True)),
            dict(zip(ranking_job.models, map(Path, files.facts), strict=True)),
            Path(snakemake.output.table),
        )
