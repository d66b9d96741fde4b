"""The paper's methods read out of the students' accuracies, and Table 1.

Everything here takes and returns data frames; nothing is trained or read from disk. The long
table of students (`accuracy.csv`) has one row a student: target, recipe, method, p, source, seed,
student, accuracy, balanced_accuracy. `student` is the architecture that was trained; accuracies
are in percent; p is NaN for recipes that have none, and source for those that use several.

Three of the paper's methods train nothing of their own. DistillRandomSelection is the mean of the
single-source students, DistillNearest the single-source student of the most similar source, and
DistillEqual is DistillWeighted with p = 0.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

import numpy as np
import pandas as pd

from distillweighted.methods import BASELINES_OF_ANY_ARCHITECTURE, METHODS

ACCURACY_COLUMNS = (
    "target",
    "recipe",
    "method",
    "p",
    "source",
    "seed",
    "student",
    "accuracy",
    "balanced_accuracy",
)

_VALUES = ["accuracy", "balanced_accuracy"]
CELL = ["student", "method", "target", "seed"]


def require_columns(table: pd.DataFrame, columns: Iterable[str], name: str) -> None:
    """Raises ValueError if a column is missing or a target has the name of a summary column."""
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ValueError(f"{name} lacks the columns {missing}; it has {list(table.columns)}")
    taken = {"mean", "student", "gflops", "method", "representation", "metric", "coefficient", "k"}
    clash = sorted(taken & set(table["target"])) if "target" in table.columns else []
    if clash:
        raise ValueError(f"a target cannot be called {clash}: the tables have columns of that name")


def check_accuracy(accuracy: pd.DataFrame) -> None:
    """Raises ValueError where the table of students cannot be what it says it is.

    Args:
        accuracy: One row a student, with the columns of `ACCURACY_COLUMNS`.

    Raises:
        ValueError: A column is missing, an accuracy is not a number, one student is listed twice,
            a distill_weighted row has no p or a distill_single row no source.
    """
    require_columns(accuracy, ACCURACY_COLUMNS, "the accuracy table")
    method = accuracy["method"]
    problems = [
        (accuracy[_VALUES].isna().any(axis=1), "has no accuracy"),
        (accuracy.duplicated(["target", "recipe", "seed", "student"]), "is there twice"),
        ((method == "distill_weighted") & accuracy["p"].isna(), "has no p"),
        ((method == "distill_single") & accuracy["source"].isna(), "has no source"),
    ]
    for wrong, what in problems:
        if wrong.any():
            row = accuracy[wrong].iloc[0]
            raise ValueError(
                f"accuracy table: recipe {row['recipe']!r} of target {row['target']!r}, "
                f"seed {row['seed']}, {what}"
            )


def require_complete(
    rows: pd.DataFrame,
    by: Sequence[str],
    targets: Sequence[str],
    seeds: Sequence[int] | None = None,
) -> None:
    """Raises ValueError unless every group of `rows` has every target and seed.

    Args:
        rows: Columns `by`, target, seed.
        by: The columns that make a group.
        targets: The targets that every group must have.
        seeds: The seeds that every group must have for each target; None for those that the group
            has of any, since methods may have different numbers of seeds.
    """
    for key, group in rows.groupby(list(by), sort=False):
        wanted = set(product(targets, sorted(set(group["seed"])) if seeds is None else seeds))
        missing = sorted(wanted - set(zip(group["target"], group["seed"], strict=True)))
        if missing:
            name = ", ".join(f"{column} {value}" for column, value in zip(by, key, strict=True))
            cells = ", ".join(f"{target!r} seed {seed}" for target, seed in missing)
            raise ValueError(
                f"{name} has no result for {cells}: a mean over the others would compare unlike "
                "with unlike. Train the missing students or leave the method out"
            )


def nearest_students(accuracy: pd.DataFrame, nearest: pd.DataFrame | None) -> pd.DataFrame:
    """DistillNearest: the student distilled from the most similar source.

    It is the single-source student of that source where the grid has one, and the student of
    recipe `distill_weighted-pinf` where not; never both.

    Args:
        accuracy: One row a student.
        nearest: Columns target, seed, source: the source that ranks first. None reads
            `distill_weighted-pinf` only.

    Returns:
        The rows of `accuracy`, at most one a (target, seed).
    """
    trained = accuracy[(accuracy["method"] == "distill_weighted") & np.isinf(accuracy["p"])]
    if nearest is None:
        return trained
    require_columns(nearest, ("target", "seed", "source"), "the table of nearest sources")
    twice = nearest[nearest.duplicated(["target", "seed"])]
    if len(twice):
        target, seed = twice.iloc[0][["target", "seed"]]
        raise ValueError(f"target {target!r}, seed {seed}: more than one nearest source")
    first = set(zip(nearest["target"], nearest["seed"], nearest["source"], strict=True))
    singles = accuracy[accuracy["method"] == "distill_single"]
    keys = zip(singles["target"], singles["seed"], singles["source"], strict=True)
    # An array: pandas takes an empty list for a choice of no columns.
    singles = singles[np.array([key in first for key in keys], bool)]
    found = set(zip(singles["target"], singles["seed"], strict=True))
    cells = zip(trained["target"], trained["seed"], strict=True)
    return pd.concat([singles, trained[np.array([cell not in found for cell in cells], bool)]])


def student_architecture(rows: pd.DataFrame) -> str | None:
    """The target architecture: the one with methods beyond transfer and fine-tuning.

    Args:
        rows: Columns student and method.

    Returns:
        Its name, or None where only transfer and fine-tuning were run.

    Raises:
        ValueError: There is more than one.
    """
    own = rows.loc[~rows["method"].isin(BASELINES_OF_ANY_ARCHITECTURE), "student"]
    names = sorted(set(own))
    if len(names) > 1:
        raise ValueError(f"one table holds one student architecture, not {names}")
    return names[0] if names else None


def without_repeated_transfer(accuracy: pd.DataFrame) -> pd.DataFrame:
    """The rows of `accuracy` with each ImageNet transfer once.

    A student that is also a source architecture has this baseline under two recipes, in_transfer
    and in_transfer-<architecture>: the first is kept.
    """
    own = set(accuracy.loc[accuracy["recipe"] == "in_transfer", "student"])
    again = accuracy["recipe"].isin([f"in_transfer-{student}" for student in own])
    return accuracy[~again]


def method_accuracy(
    accuracy: pd.DataFrame,
    nearest: pd.DataFrame | None,
    *,
    default_p: float = 12.0,
    targets: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    partial: bool = False,
    oracle: bool = False,
) -> pd.DataFrame:
    """The accuracy of each of the paper's methods for every target and seed.

    A method that was not run is absent. Methods that the paper does not have are passed on under
    their own names, one student a target and seed; those of several k or sizes, which no one stands
    for, are left out.

    Args:
        accuracy: One row a student, columns `ACCURACY_COLUMNS`.
        nearest: Columns target, seed, source: the source that ranks first.
        default_p: The p of DistillWeighted (12 in the paper).
        targets: The targets to keep, in this order; None keeps those of `accuracy`.
        seeds: The seeds to keep; None keeps those of `accuracy`.
        partial: Allow a method that lacks some targets or seeds.
        oracle: Add oracle_selection, which sees the test labels (`oracle_students`).

    Returns:
        Columns student, method, target, seed, accuracy, balanced_accuracy (percent), ordered by
        target as given.

    Raises:
        ValueError: `accuracy` is faulty, two students claim one cell, or (unless `partial`) a
            method or single-source student is there for some targets or seeds and not for others.
    """
    check_accuracy(accuracy)
    targets = list(dict.fromkeys(accuracy["target"])) if targets is None else list(targets)
    seeds = sorted(set(accuracy["seed"])) if seeds is None else list(seeds)
    accuracy = accuracy[accuracy["target"].isin(targets) & accuracy["seed"].isin(seeds)]
    accuracy = without_repeated_transfer(accuracy)
    method, p = accuracy["method"], accuracy["p"]

    singles = accuracy[method == "distill_single"]
    weighted = method == "distill_weighted"
    several = {m.name for m in METHODS.values() if m.variants == "exponents"}
    drawn = [m.name for m in METHODS.values() if m.variants == "draws"]
    kept = [m.name for m in METHODS.values() if m.variants in ("keeps", "subsets")]
    parts = [
        accuracy[~method.isin({"distill_single", *several, *drawn, *kept})],
        _mean_of_students(singles, "distill_random_selection"),
        nearest_students(accuracy, nearest).assign(method="distill_nearest"),
        accuracy[weighted & (p == 0)].assign(method="distill_equal"),
        *(_mean_of_students(accuracy[method == name], name) for name in drawn),
        accuracy[method.isin(several) & (p == default_p)],
        *([oracle_students(accuracy)] if oracle else []),
    ]
    rows = pd.concat([part[CELL + _VALUES] for part in parts], ignore_index=True)
    twice = rows[rows.duplicated(CELL)]
    if len(twice):
        raise ValueError(f"two results for one cell: {twice.iloc[0][CELL].to_dict()}")
    if not partial:
        require_complete(rows, ["student", "method"], targets)
        of_singles = sorted(set(singles["seed"]))
        for target, group in singles.groupby("target", sort=False):
            require_complete(group, ["student", "source"], [target], of_singles)
    order = {target: position for position, target in enumerate(targets)}
    return rows.sort_values("target", key=lambda t: t.map(order), kind="stable", ignore_index=True)


def methods_by_fraction(
    accuracy: pd.DataFrame, nearest: pd.DataFrame, *, default_p: float = 12.0
) -> Iterator[tuple[float, pd.DataFrame]]:
    """`method_accuracy` for every share of labelled images.

    Args:
        accuracy: One row a student, with the column label_fraction too.
        nearest: Columns target, seed, source, label_fraction: the source that ranks first.
        default_p: The p of DistillWeighted.

    Yields:
        Each label fraction, in rising order, and the methods at it.
    """
    for table, name in ((accuracy, "the accuracy table"), (nearest, "the table of sources")):
        require_columns(table, ("label_fraction",), name)
    for fraction in sorted(set(accuracy["label_fraction"])):
        yield (
            fraction,
            method_accuracy(
                accuracy[accuracy["label_fraction"] == fraction],
                nearest[nearest["label_fraction"] == fraction],
                default_p=default_p,
            ),
        )


def method_seconds(
    accuracy: pd.DataFrame, nearest: pd.DataFrame, *, default_p: float = 12.0
) -> pd.DataFrame:
    """Seconds of training of each method's students, as `method_accuracy` has their accuracy.

    Args:
        accuracy: One row a student, with the column train_seconds too.
        nearest: Columns target, seed, source: the source that ranks first.
        default_p: The p of DistillWeighted.

    Returns:
        The columns `CELL` and train_seconds.
    """
    require_columns(accuracy, ["train_seconds"], "the accuracy table")
    seconds = accuracy.assign(accuracy=accuracy["train_seconds"])
    rows = method_accuracy(seconds, nearest, default_p=default_p, partial=True)
    return rows[[*CELL, "accuracy"]].rename(columns={"accuracy": "train_seconds"})


def oracle_students(accuracy: pd.DataFrame) -> pd.DataFrame:
    """Oracle selection: for each target the source whose students do best on the test images.

    It is chosen by the mean accuracy over all seeds, so that one source stands for a target (of
    equal ones the first by name). No method may see these labels: it bounds what choosing one
    source can reach, a little too high.

    Args:
        accuracy: One row a student.

    Returns:
        The rows of the chosen sources, with the method oracle_selection.
    """
    singles = accuracy[accuracy["method"] == "distill_single"]
    means = singles.groupby(["target", "source"])["accuracy"].mean().reset_index()
    means = means.sort_values(["accuracy", "source"], ascending=[False, True])
    best = means.drop_duplicates("target").set_index("target")["source"]
    chosen = singles[singles["source"] == singles["target"].map(best)]
    return chosen.assign(method="oracle_selection")


def _mean_of_students(rows: pd.DataFrame, method: str) -> pd.DataFrame:
    """One row a (student, target, seed): the mean over the students of that cell."""
    cell = ["student", "target", "seed"]
    return rows.groupby(cell, sort=False)[_VALUES].mean().reset_index().assign(method=method)
