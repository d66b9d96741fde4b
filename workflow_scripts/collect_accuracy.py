"""Rule collect_accuracy: gather students, similarities and weights into one table each."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from distillweighted.files.tables import read_facts
from distillweighted.similarity.tables import SCORE_COLUMNS, read_score_rows, read_weights

COLUMNS = ["target", "recipe", "method", "p", "source", "seed", "student"]
COLUMNS += ["accuracy", "balanced_accuracy"]
SETTINGS = ["learning_rate", "lambda", "train_seconds"]


def main(
    metrics: Sequence[Path],
    similarity: Sequence[Path],
    nearest: dict[tuple[str, int, float | None], Path],
    output: dict[str, Path],
    *,
    label_fraction: float,
    lambdas: Mapping[str, float | None] | None = None,
    lambda_recipes: Sequence[str] = (),
    students: Sequence[str] = (),
    student_recipes: Sequence[str] = (),
) -> None:
    """Write accuracy.csv (a row a student), similarity.csv, nearest.csv and compute.csv.

    Where there are several label fractions, these tables hold the first one's rows, and
    label_fractions_accuracy.csv and label_fractions_nearest.csv all of them. Targets whose labels
    are given have one label fraction of their own, and are in all tables. Students that were
    trained only for the effect of lambda are in lambda_accuracy.csv, and those of several
    architectures in students_accuracy.csv, with those that they are compared with.

    Args:
        metrics: metrics.json of every student.
        similarity: Scores of every target and seed, for the first label fraction.
        nearest: The p = inf weights of every target, seed and label fraction (None where labels are
            given): all on the nearest source.
        output: Where each table goes.
        label_fraction: The first label fraction.
        lambdas: lambda of every recipe of the table of lambda's effect, and None for the baseline.
        lambda_recipes: Which of them stand in no other table.
        students: The architectures of students that are compared.
        student_recipes: The recipes of them that stand in no other table.
    """
    facts = (*COLUMNS, *SETTINGS, "label_fraction", "gmacs", "parameters")
    trained = pd.DataFrame([read_facts(Path(path), facts) for path in metrics])
    given = {target for target, _, fraction in nearest if fraction is None}
    chosen = trained["label_fraction"] == label_fraction
    first = trained[chosen | trained["target"].isin(given)]
    if lambdas:
        compared = first[first["recipe"].isin(lambdas)]
        compared = compared.assign(**{"lambda": compared["recipe"].map(lambdas)})
        compared[[*COLUMNS, *SETTINGS]].to_csv(output["lambda_accuracy"], index=False)
    if "students_accuracy" in output:
        compared = first[first["student"].isin(students) & ~first["recipe"].isin(lambda_recipes)]
        columns = [*COLUMNS, *SETTINGS, "gmacs", "parameters"]
        compared[columns].to_csv(output["students_accuracy"], index=False)
    apart = {*lambda_recipes, *student_recipes}
    plain = trained[~trained["recipe"].isin(apart)]
    first = first[~first["recipe"].isin(apart)]
    first[[*COLUMNS, *SETTINGS]].to_csv(output["accuracy"], index=False)
    _read_similarity(similarity).to_csv(output["similarity"], index=False)
    rows = []
    for (target, seed, fraction), path in nearest.items():
        weights = read_weights(Path(path))
        row = {"target": target, "seed": seed, "source": max(weights, key=weights.__getitem__)}
        rows.append({**row, "label_fraction": fraction})
    sources = pd.DataFrame(rows)
    chosen = sources["label_fraction"] == label_fraction
    first = sources[chosen | sources["target"].isin(given)]
    first.drop(columns="label_fraction").to_csv(output["nearest"], index=False)
    if "label_fractions_accuracy" in output:
        columns = [*COLUMNS, "label_fraction"]
        plain[columns].to_csv(output["label_fractions_accuracy"], index=False)
        sources.to_csv(output["label_fractions_nearest"], index=False)
    compute = trained.groupby("student", sort=False)[["gmacs", "parameters"]]
    # Heads differ between targets by their classes; the mean stands for the architecture.
    compute.mean().reset_index().to_csv(output["compute"], index=False)


def _read_similarity(paths: Sequence[Path]) -> pd.DataFrame:
    rows = [row for path in map(Path, paths) for row in read_score_rows(path)]
    return pd.DataFrame(rows, columns=SCORE_COLUMNS).astype({"seed": int})


if "snakemake" in globals():
    from distillweighted.workflow.joblog import job_log

    with job_log(snakemake.log[0]):
        cells = [tuple(cell) for cell in snakemake.params.cells]
        main(
            snakemake.input.metrics,
            snakemake.input.similarity,
            dict(zip(cells, snakemake.input.nearest, strict=True)),
            {name: Path(path) for name, path in snakemake.output.items()},
            label_fraction=snakemake.params.label_fraction,
            lambdas=snakemake.params.lambdas,
            lambda_recipes=snakemake.params.lambda_recipes,
            students=snakemake.params.get("students", ()),
            student_recipes=snakemake.params.get("student_recipes", ()),
        )
