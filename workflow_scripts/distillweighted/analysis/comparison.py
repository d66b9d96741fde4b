"""This project's Tables 1 to 3 beside the paper's."""

from collections.abc import Mapping

import pandas as pd

from distillweighted.analysis import paper_numbers
from distillweighted.analysis.paired import table1_paired

COLUMNS = (
    "item",
    "student",
    "method",
    "representation",
    "metric",
    "target",
    "ours",
    "paper",
    "difference",
)


def comparison_with_paper(
    table1: pd.DataFrame | None = None,
    table2: pd.DataFrame | None = None,
    table3: pd.DataFrame | None = None,
    *,
    student_aliases: Mapping[str, str] = paper_numbers.STUDENT_ALIASES,
) -> pd.DataFrame:
    """Each number of this project that the paper also has.

    Rows are matched by architecture and method (Table 1) or representation and metric (Tables 2
    and 3), columns by the target's name. The means are compared only where the targets are the
    paper's eight, for a mean over other targets is another number.

    Args:
        table1: What `tables.table1_accuracy` gives first, or None.
        table2: What `correlation.table2_correlation` gives, or None.
        table3: What `correlation.table3_relative_accuracy` gives for k = 3, or None.
        student_aliases: Names of architectures, to the paper's names.

    Returns:
        Columns item (table1, table2, table3), student, method, representation, metric, target,
        ours, paper, difference (ours minus the paper's; percentage points in Tables 1 and 3).
        Names are this project's. No rows where no target is the paper's.
    """
    rows: list[dict[str, object]] = []
    for item, ours, paper, keys in (
        ("table1", table1, paper_numbers.table1(), ["student", "method"]),
        ("table2", table2, paper_numbers.table2(), ["representation", "metric"]),
        ("table3", table3, paper_numbers.table3(), ["representation", "metric"]),
    ):
        if ours is None:
            continue
        targets = [name for name in ours.columns if name in paper_numbers.TARGETS]
        others = set(ours.columns) - {*keys, "gflops", "mean", *targets}
        if not others and set(targets) == set(paper_numbers.TARGETS):
            targets = [*targets, "mean"]
        printed = {tuple(row[key] for key in keys): row for _, row in paper.iterrows()}
        for _, row in ours.iterrows():
            names = {key: row[key] for key in keys}
            theirs = {**names}
            if "student" in names:
                theirs["student"] = student_aliases.get(names["student"], names["student"])
            match = printed.get(tuple(theirs.values()))
            if match is None:
                continue
            for target in targets:
                if pd.isna(row[target]):
                    continue
                numbers = {"ours": row[target], "paper": match[target]}
                numbers["difference"] = numbers["ours"] - numbers["paper"]
                rows.append({"item": item, **names, "target": target, **numbers})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def comparison_paired() -> pd.DataFrame:
    """The paired comparison with DistillWeighted in the paper's own Table 1.

    The paper gives no seeds: the half width over seeds is NaN.

    Returns:
        Columns `paired.PAIRED_COLUMNS`, one row a method of the paper's student.
    """
    printed = paper_numbers.table1().drop(columns=["gflops", "mean"])
    methods = printed.melt(["student", "method"], var_name="target", value_name="accuracy")
    return table1_paired(methods.assign(seed=0))[0]
