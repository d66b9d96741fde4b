"""Methods against a reference method, paired by target and seed.

Methods share targets, labelled splits, batches and the start of the student, so that the standard
errors of their own means (Table 1's) say little of a difference between two of them. Two questions
are kept apart: what other seeds would have given on these targets, and what other targets of their
kind would give. A claim "on average" is of the second kind.
"""

from __future__ import annotations

import pandas as pd

from distillweighted.analysis.methods_accuracy import CELL, require_columns, student_architecture
from distillweighted.analysis.paired_tests import RESOLUTION, half_width, holm, sign_flip_p
from distillweighted.methods import is_control, method_rank

PAIRED_COLUMNS = (
    "reference",
    "method",
    "student",
    "mean_difference",
    "half_width_seeds",
    "half_width_targets",
    "wins",
    "ties",
    "losses",
    "p",
    "p_holm",
    "effect_size",
    "n_seeds",
    "n_targets",
)

TARGET_COLUMNS = (
    "reference",
    "method",
    "student",
    "target",
    "difference",
    "half_width_seeds",
    "n_seeds",
)

EXPLANATION = (
    "Differences are the reference's accuracy minus the method's, in points, so that the reference "
    "is better above 0; wins are targets on which it is. half_width_seeds: of the 95% t-interval "
    "of the mean over these targets, for other seeds. half_width_targets: for other targets. p: "
    "exact sign-flip test over the targets (two-sided); p_holm: corrected for the number of rows "
    "(Holm), methods and controls apart. effect_size: mean over standard deviation over the "
    "targets. n_seeds: the seeds that both methods have."
)
"""What the columns are, for above the table."""


def table1_paired(
    methods: pd.DataFrame, *, reference: str = "distill_weighted", student: str | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every method of the student against the reference method.

    Two methods are compared on the targets that both have, and the seeds that both have for each
    of these: methods with fewer seeds than others cost the others nothing.

    Args:
        methods: What `method_accuracy` returns; methods may differ in their seeds.
        reference: The method that the others are compared with.
        student: The target architecture; None finds it by its methods.

    Returns:
        Two tables in the order of Table 1.

        The first has the columns `PAIRED_COLUMNS`, one row a method. mean_difference is the
        reference's accuracy minus the method's, in points. half_width_seeds is that of the 95%
        t-interval over seeds of the mean over targets (NaN for one seed), half_width_targets that
        over targets of the mean over seeds (NaN for one target). wins, ties and losses are the
        targets on which the reference is better, equal (within 1e-9) or worse. p is that of
        `paired_tests.sign_flip_p` over the targets (1 for one target), p_holm corrects it for the
        number of rows, those of methods and of controls apart; effect_size is Cohen's d_z, mean
        over standard deviation over targets (NaN where that is 0 or there is one target).

        The second has the columns `TARGET_COLUMNS`, one row a method and target: the difference,
        and the half width of its 95% t-interval over seeds.

    Raises:
        ValueError: The student has no result of the reference, or only of it, or a method shares
            no target and seed with it.
    """
    require_columns(methods, [*CELL, "accuracy"], "the table of methods")
    student = student_architecture(methods) if student is None else student
    rows = methods[methods["student"] == student]
    names = sorted(set(rows["method"]), key=method_rank)
    if reference not in names:
        raise ValueError(
            f"paired comparison: the reference {reference!r} has no student of architecture "
            f"{student} (methods: {', '.join(names) or 'none'}); see figures.paired_reference"
        )
    names.remove(reference)
    if not names:
        raise ValueError(f"paired comparison: {reference!r} is the only method of {student}")
    summary, by_target = [], []
    for method in names:
        cells = paired_differences(rows, reference, method)
        head = {"reference": reference, "method": method, "student": student}
        means = cells.mean()
        ties = int((means.abs() <= RESOLUTION).sum())
        wins = int((means > RESOLUTION).sum())
        spread = means.std()
        summary.append(
            {
                **head,
                "mean_difference": means.mean(),
                "half_width_seeds": half_width(cells.mean(axis=1)),
                "half_width_targets": half_width(means),
                "wins": wins,
                "ties": ties,
                "losses": len(means) - wins - ties,
                "p": sign_flip_p(means),
                "effect_size": means.mean() / spread if spread > RESOLUTION else float("nan"),
                "n_seeds": len(cells),
                "n_targets": len(means),
            }
        )
        for target in cells:
            interval = {"half_width_seeds": half_width(cells[target]), "n_seeds": len(cells)}
            by_target.append({**head, "target": target, "difference": means[target], **interval})
    table = pd.DataFrame(summary)
    # Controls and bounds are no rivals: asking for them must not make the methods' test harder.
    control = table["method"].map(is_control).astype(bool)
    for family in (control, ~control):
        table.loc[family, "p_holm"] = holm(table.loc[family, "p"])
    return table[list(PAIRED_COLUMNS)], pd.DataFrame(by_target, columns=list(TARGET_COLUMNS))


def paired_differences(rows: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """The accuracy of one method minus that of another, in points.

    Args:
        rows: What `method_accuracy` returns, of one architecture.
        first: A method.
        second: Another one.

    Returns:
        float [seeds, targets]: the targets that both have, in the order of `rows`, and the seeds
        that both have for all of these.

    Raises:
        ValueError: There are none.
    """
    targets = list(dict.fromkeys(rows["target"]))
    one, other = (
        rows[rows["method"] == method].pivot(index="seed", columns="target", values="accuracy")
        for method in (first, second)
    )
    both = [target for target in targets if target in one.columns and target in other.columns]
    # Subtraction matches the seeds; one that lacks a target in either is no pair.
    cells = (one[both] - other[both]).dropna()
    if cells.empty:
        raise ValueError(
            f"{second} cannot be compared with {first}: no seed has a result of both for every "
            "target. Train the missing students or leave the method out"
        )
    return cells
