"""Rankings of the sources that look at no image of the target: what a similarity has to beat.

A fixed list of models, the same for every target, can outrank all transferability metrics ("How NOT
to benchmark your SITE metric", arXiv 2510.06448). Their scores have the form of a similarity's, so
that Tables 2 and 3 treat them alike.
"""

from __future__ import annotations

import logging

import pandas as pd

from distillweighted.analysis.methods_accuracy import check_accuracy

log = logging.getLogger(__name__)

DATA_FREE = "data_free"
"""What stands for the representation of these rankings in tables."""

_COLUMNS = ["target", "seed", "source", "representation", "metric", "score"]


def data_free_scores(
    accuracy: pd.DataFrame, sources: pd.DataFrame, *, value: str = "accuracy"
) -> pd.DataFrame:
    """Scores of the sources by facts that were known before the target was.

    - macs, parameters: of the source's network, the mean over the sources of its architecture.
      They differ within an architecture by their heads alone, that is by the number of classes.
    - source_accuracy: on the test set of the source's own task.
    - other_targets: over the other targets and all seeds, the mean of the source's student's
      accuracy minus the mean of that target's students. A target has no say in its own scores.

    A ranking is left out, and the log says so, where a source lacks its number or all have the same
    one; other_targets needs two targets, and each source of a target to serve another one.

    Args:
        accuracy: One row a student, columns `methods_accuracy.ACCURACY_COLUMNS`.
        sources: Columns of `source_facts.SOURCE_COLUMNS`; every source with a student is there.
        value: accuracy or balanced_accuracy; of the students.

    Returns:
        Columns target, seed, source, representation ("data_free"), metric, score: gigaMACs,
        number of parameters, percent, percentage points. Larger is ranked higher.

    Raises:
        ValueError: `accuracy` is faulty, or a source with a student is not among `sources`.
    """
    students = _single_students(accuracy, value)
    if lacking := sorted({*students["source"]} - {*sources["source"]}):
        raise ValueError(f"the table of sources lacks {lacking}")
    facts = sources[sources["source"].isin(students["source"])].set_index("source")
    numbers = facts[["gmacs", "parameters", "test_accuracy"]].apply(pd.to_numeric)
    of_architecture = numbers.groupby(facts["architecture"]).transform("mean")
    # A mean of those that are known would stand for others too.
    of_architecture = of_architecture.where(numbers.notna())
    scores = {
        "macs": students["source"].map(of_architecture["gmacs"]),
        "parameters": students["source"].map(of_architecture["parameters"]),
        "source_accuracy": students["source"].map(numbers["test_accuracy"]),
        "other_targets": _accuracy_elsewhere(students),
    }
    parts = []
    for metric, score in scores.items():
        if unknown := sorted(set(students.loc[score.isna(), "source"])):
            log.warning("no ranking by %s: not known of %s", metric, ", ".join(unknown))
        elif score.groupby(students["target"]).nunique().max() < 2:
            log.warning("no ranking by %s: all sources have the same", metric)
        else:
            parts.append(students.assign(representation=DATA_FREE, metric=metric, score=score))
    if not parts:
        parts = [students[:0].assign(representation="", metric="", score=0.0)]
    return pd.concat(parts, ignore_index=True)[_COLUMNS]


def random_scores(accuracy: pd.DataFrame) -> pd.DataFrame:
    """The same score for every source: Table 3 then gives what a random order comes to.

    Args:
        accuracy: One row a student, columns `methods_accuracy.ACCURACY_COLUMNS`.

    Returns:
        Columns target, seed, source, representation ("data_free"), metric ("random"), score (0).
    """
    students = _single_students(accuracy, "accuracy")
    return students.assign(representation=DATA_FREE, metric="random", score=0.0)[_COLUMNS]


def _single_students(accuracy: pd.DataFrame, value: str) -> pd.DataFrame:
    """Columns target, seed, source, accuracy of the single-source students."""
    check_accuracy(accuracy)
    singles = accuracy[accuracy["method"] == "distill_single"]
    singles = singles.assign(accuracy=singles[value])
    return singles[["target", "seed", "source", "accuracy"]].reset_index(drop=True)


def _accuracy_elsewhere(students: pd.DataFrame) -> pd.Series:
    """The mean centred accuracy of each row's source on other targets; NaN where it serves none."""
    mean = students.groupby(["target", "seed"])["accuracy"].transform("mean")
    centred = students.assign(accuracy=students["accuracy"] - mean)
    # Seeds first: every target counts the same.
    gains = centred.groupby(["source", "target"])["accuracy"].mean()
    by_source = gains.groupby("source")
    own = students.set_index(["source", "target"]).index
    total, count = (students["source"].map(by_source.agg(how)) for how in ("sum", "size"))
    elsewhere = (total - gains.loc[own].to_numpy()) / (count - 1)
    return elsewhere.where(count > 1)
