"""Rule rank_sources: the ranking of a target's sources as a table, a figure and in words."""

from collections.abc import Mapping
from pathlib import Path

from distillweighted.analysis.figures.ranking import ranking_figure
from distillweighted.analysis.figures.style import save
from distillweighted.analysis.ranking_text import ranking_page
from distillweighted.similarity.jobs import RankingJob
from distillweighted.sources.outlook import accuracy_interval, outlook_of
from distillweighted.sources.ranking import Ranking, rank_sources
from distillweighted.tasks.splits import read_split


def main(
    job: RankingJob,
    target: Mapping[str, Path],
    inference: Mapping[str, Path],
    facts: Mapping[str, Path],
    output: Path,
) -> None:
    """Write the ranking's .csv, .md, .png and .pdf.

    Args:
        job: The sources and what is computed of them.
        target: split, labeled and index of the target.
        inference: Outputs of each source, and of the student's start where it has one.
        facts: meta.json of each source.
        output: The .csv file.
    """
    rows = read_split(target["split"], target["labeled"], target["index"])
    ranking = rank_sources(job, rows, inference, facts)
    table = ranking.table
    chosen = (table["metric"] == job.metric) & (table["representation"] == job.representation)
    first = table[chosen]
    name, metric = job.scores.target, f"{job.metric} of {job.representation.replace('_', ' ')}"
    probes = {source: accuracy_interval(right) for source, right in ranking.correct.items()}
    table.to_csv(output, index=False, lineterminator="\n")
    start = None if job.start is None else probes[job.start][0]
    figure = ranking_figure(first, target=name, metric=metric, chance=ranking.chance, start=start)
    save(figure, output.with_suffix(""))
    page = ranking_page(
        first,
        title=f"Sources for {name}",
        sentences=sentences(job, ranking, first.iloc[0]["source"], probes),
        shares=ranking.nearest_share,
        probes=probes,
    )
    output.with_suffix(".md").write_text(page, encoding="utf-8")


def sentences(
    job: RankingJob,
    ranking: Ranking,
    nearest: str,
    probes: Mapping[str, tuple[float, float, float]],
) -> list[str]:
    """What a ranking says, in words.

    Args:
        job: What it was computed from.
        ranking: The ranking.
        nearest: The nearest source.
        probes: Accuracy of the linear probe on each source and on the start, with its interval.
    """
    outlook = outlook_of(ranking, nearest, job.start)
    share = ranking.nearest_share[nearest]
    sure = "" if share != share else f" (the nearest in {share:.0%} of half-samples)"
    low_high = "{:.1f} ({:.1f} to {:.1f})"
    if job.start is None:
        rival = f"a constant answer's {ranking.chance:.1f}% (the student starts from no model)"
    else:
        rival = f"{low_high.format(*probes[job.start])}% on the student's own start, {job.start}"
    difference = f"{outlook.difference:+.1f} points, {outlook.low:+.1f} to {outlook.high:+.1f}"
    verdicts = {
        "likely": "so distillation is likely to pay",
        "unclear": "so it is unclear whether distillation pays",
        "unlikely": "so distillation is unlikely to pay",
    }
    return [
        f"The source nearest to {job.scores.target} is {nearest}{sure}.",
        f"A linear probe on its features reaches {low_high.format(*probes[nearest])}% on "
        f"{ranking.num_labeled} labelled images, cross-validated, against {rival}: {difference}, "
        f"{verdicts[outlook.verdict]} (an assumption: that a student learns most from features "
        "better than its own).",
        f"A constant answer reaches {ranking.chance:.1f}%; with shuffled labels the nearest "
        f"source's similarity would be {ranking.shuffled[0]:.3f} ± {ranking.shuffled[1]:.3f}.",
    ]


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        ranking_job, files = RankingJob.of(snakemake.params.job), snakemake.input
        models = ranking_job.scores.sources
        asked = models if ranking_job.start is None else (*models, ranking_job.start)
        main(
            ranking_job,
            {name: Path(files[name]) for name in ("split", "labeled", "index")},
            dict(zip(asked, map(Path, files.inference), strict=True)),
            dict(zip(models, map(Path, files.facts), strict=True)),
            Path(snakemake.output.table),
        )
