"""How much DistillRandomSelection depends on the source that it draws.

Its accuracy in Table 1 and Figure 1 is the mean over all single-source students, what a draw gives
on average; the standard error there is that of this mean. Who uses the method draws one source.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from distillweighted.analysis.methods_accuracy import check_accuracy

COLUMNS = ("student", "target", "n_sources", "n_seeds", "mean", "sd_over_sources", "worst", "best")


def table1_random_selection(
    accuracy: pd.DataFrame, *, targets: Sequence[str] | None = None
) -> pd.DataFrame:
    """The spread of the single-source students over the sources, for each target.

    Args:
        accuracy: One row a student, the columns of `methods_accuracy.ACCURACY_COLUMNS`.
        targets: The targets to keep, in this order; None keeps those of `accuracy`.

    Returns:
        Columns student, target, n_sources, n_seeds, mean, sd_over_sources, worst, best (percent).
        mean, the standard deviation over sources and the accuracies of the worst and the best
        source are taken within a seed, then averaged over the seeds. Below the targets a row
        `mean`: the means of the columns over the targets (n_sources and n_seeds are the fewest).

    Raises:
        ValueError: `accuracy` is faulty, or a target has fewer than 2 single-source students for
            a seed.
    """
    check_accuracy(accuracy)
    singles = accuracy[accuracy["method"] == "distill_single"]
    targets = list(dict.fromkeys(accuracy["target"])) if targets is None else list(targets)
    rows = []
    for target in targets:
        own = singles[singles["target"] == target]
        by_seed = own.groupby("seed")["accuracy"].agg(["size", "mean", "std", "min", "max"])
        if by_seed.empty or (by_seed["size"] < 2).any():
            raise ValueError(f"target {target!r}: a spread needs at least 2 single-source students")
        mean = by_seed.mean()
        rows.append(
            (
                own["student"].iloc[0],
                target,
                int(by_seed["size"].min()),
                len(by_seed),
                *mean[["mean", "std", "min", "max"]],
            )
        )
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    last = {"student": table["student"].iloc[0], "target": "mean"}
    last |= {name: table[name].min() for name in ("n_sources", "n_seeds")}
    last |= {name: table[name].mean() for name in ("mean", "sd_over_sources", "worst", "best")}
    return pd.concat([table, pd.DataFrame([last])], ignore_index=True)


def source_spread(accuracy: pd.DataFrame, *, targets: Sequence[str] | None = None) -> float | None:
    """`sd_over_sources` of the row `mean` of `table1_random_selection`, in points.

    None where a target has no 2 single-source students.
    """
    targets = list(dict.fromkeys(accuracy["target"])) if targets is None else list(targets)
    singles = accuracy[accuracy["method"] == "distill_single"]
    counts = singles.groupby(["target", "seed"]).size().groupby("target").min()
    if counts.reindex(targets).fillna(0).min() < 2:
        return None
    table = table1_random_selection(accuracy, targets=targets)
    return float(table["sd_over_sources"].iloc[-1])
