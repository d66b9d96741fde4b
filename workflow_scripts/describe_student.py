"""Rule describe_student: the model card, the figures and the page of the student handed over."""

from pathlib import Path

from distillweighted.analysis.figures.style import save
from distillweighted.deployment.card import model_card
from distillweighted.deployment.description import Description, DescriptionFiles
from distillweighted.deployment.figures import draw_confusion, draw_reliability
from distillweighted.deployment.jobs import DescriptionJob
from distillweighted.deployment.page import student_page
from distillweighted.tasks.pools import open_pool


def main(job: DescriptionJob, files: DescriptionFiles, folder: Path) -> None:
    """Write model_card.md, report.html and the figures confusion and reliability.

    Args:
        job: What is described.
        files: What it is read from.
        folder: Where to; figures/comparison.png is there already.
    """
    of = Description.read(job, files)
    figures = folder / "figures"
    save(draw_confusion(of.evaluation), figures / "confusion")
    save(draw_reliability(of.evaluation), figures / "reliability")
    index = files.task / "images.csv"
    pools = {
        name: open_pool(files.task / f"{name}_images.npy", index) for name in ("train", "test")
    }
    page = student_page(of, pools, figures)
    (folder / "model_card.md").write_text(model_card(of), encoding="utf-8")
    (folder / "report.html").write_text(page, encoding="utf-8")


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        inputs, params = snakemake.input, snakemake.params
        ranking = [Path(path) for path in inputs.ranking if path.endswith(".md")]
        main(
            DescriptionJob.of(params.job),
            DescriptionFiles(
                folder=Path(inputs.export).parent,
                task=Path(inputs.index).parent,
                metrics=dict(zip(params.candidates, map(Path, inputs.metrics), strict=True)),
                weights={recipe: Path(path) for recipe, path in params.weights.items()},
                sources={Path(path).parent.name: Path(path) for path in inputs.sources},
                ranking=ranking[0] if ranking else None,
            ),
            Path(snakemake.output.page).parent,
        )
