"""Rule compare_methods: every method of a target on its test part, against transfer."""

import json
from pathlib import Path

from distillweighted.analysis.figures.style import save
from distillweighted.deployment.answers import ComparisonFiles, read_answers
from distillweighted.deployment.card import markdown_table
from distillweighted.deployment.comparison import (
    clearly_better,
    compare,
    verdict,
    what_intervals_cover,
)
from distillweighted.deployment.figures import draw_comparison
from distillweighted.deployment.jobs import ComparisonJob
from distillweighted.deployment.wording import comparison_rows
from distillweighted.files.tables import read_facts


def main(
    job: ComparisonJob, files: ComparisonFiles, forecast: Path, export: Path, folder: Path
) -> None:
    """Write comparison.csv and .md, the figure, and the verdict as verdict.json.

    Args:
        job: What is compared.
        files: What it is read from.
        forecast: What the ranking of the sources foretells.
        export: export.json of the student that is handed over.
        folder: Where to.
    """
    answers = read_answers(job, files)
    recipe = read_facts(export, ("recipe",))["recipe"]
    deployed = next((m.method for m in job.methods if m.recipe == recipe), None)
    table = compare(answers, job.reference, deployed, draws=job.draws)
    better = clearly_better(answers, job.reference, draws=job.draws)
    rivals = clearly_better(answers, deployed, draws=job.draws)
    foretold = read_facts(forecast, ("verdict",))["verdict"]
    said = verdict(table, better, job.reference, rivals, chosen=job.chosen, forecast=foretold)
    covered = what_intervals_cover(table, answers[0].right.shape[1])
    table.to_csv(folder / "comparison.csv", index=False, lineterminator="\n")
    shown = markdown_table(*comparison_rows(table))
    (folder / "comparison.md").write_text(f"{said}\n\n{shown}\n\n{covered}\n", encoding="utf-8")
    save(draw_comparison(table, job.reference), folder / "figures/comparison")
    facts = {"verdict": said, "intervals": covered, "reference": job.reference}
    (folder / "verdict.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False))


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        job, inputs = ComparisonJob.of(snakemake.params.job), snakemake.input
        students = zip(snakemake.params.students, inputs.metrics, strict=True)
        main(
            job,
            ComparisonFiles(
                index=Path(inputs.index),
                labels=Path(inputs.labels),
                students={tuple(name): Path(path).parent for name, path in students},
                nearest=dict(zip(job.replicates, map(Path, inputs.nearest))),
                probes=dict(zip(job.replicates, map(Path, inputs.probes))),
                sources={Path(path).parent.name: Path(path) for path in inputs.sources},
            ),
            Path(inputs.forecast),
            Path(inputs.export),
            Path(snakemake.output.csv).parent,
        )
