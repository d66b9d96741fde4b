"""Which learning rate is best for each method, on development tasks."""

import logging
import math
from collections.abc import Mapping, Sequence

import pandas as pd

log = logging.getLogger(__name__)


def tuning_table(students: pd.DataFrame) -> pd.DataFrame:
    """The accuracy of every method at every learning rate.

    Args:
        students: One row a student: name (under which `training.learning_rates` has its method),
            student (the architecture), learning_rate, target, seed, accuracy (percent). Several
            students of one name, rate, target and seed count by their mean.

    Returns:
        Columns name, student, learning_rate, one a target, mean (over targets; all means over
        seeds), standard_error (over seeds, of the mean over targets), behind and behind_error (how
        far below the best rate of the same name, paired by seed, and the standard error of that),
        and best, a column of yes and blank. Names as they come, rates ascending; of equal rates the
        smallest is best. Errors are NaN for one seed.

    Raises:
        ValueError: A name lacks some target, seed or rate that it has of another.
    """
    targets = list(dict.fromkeys(students["target"]))
    rows = []
    for name, group in students.groupby("name", sort=False):
        cells = group.pivot_table(
            index=["learning_rate", "seed"], columns="target", values="accuracy", aggfunc="mean"
        )[targets]
        rates = sorted(set(group["learning_rate"]))
        seeds = sorted(set(group["seed"]))
        wanted = pd.MultiIndex.from_product([rates, seeds], names=["learning_rate", "seed"])
        cells = cells.reindex(wanted)
        if cells.isna().any(axis=None):
            raise ValueError(f"{name} has not every target and seed at every learning rate")
        by_seed = cells.mean(axis=1).unstack("seed")
        best = by_seed.mean(axis=1).idxmax()
        if best in (rates[0], rates[-1]):
            log.warning(
                "%s: the best learning rate, %g, is at the end of those tried: try more beyond",
                name,
                best,
            )
        behind = by_seed - by_seed.loc[best]
        for rate in rates:
            rows.append(
                {
                    "name": name,
                    "student": group["student"].iloc[0],
                    "learning_rate": rate,
                    **cells.loc[rate].mean(),
                    "mean": by_seed.loc[rate].mean(),
                    "standard_error": by_seed.loc[rate].sem(),
                    "behind": behind.loc[rate].mean(),
                    "behind_error": behind.loc[rate].sem() if rate != best else math.nan,
                    "best": "yes" if rate == best else "",
                }
            )
    return pd.DataFrame(rows)


def best_rates(table: pd.DataFrame) -> dict[str, float]:
    """The best learning rate of each name of `tuning_table`'s table, as a configuration has it."""
    best = table[table["best"] == "yes"]
    return dict(zip(best["name"], best["learning_rate"], strict=True))


def named_students(
    metrics: Sequence[Mapping[str, object]], names: Mapping[str, str]
) -> pd.DataFrame:
    """The students of a tuning run as `tuning_table` takes them.

    Args:
        metrics: recipe, student, learning_rate, target, seed and accuracy of every student.
        names: The name of each recipe.
    """
    columns = ["student", "learning_rate", "target", "seed", "accuracy"]
    rows = [{"name": names[m["recipe"]], **{c: m[c] for c in columns}} for m in metrics]
    return pd.DataFrame(rows)
