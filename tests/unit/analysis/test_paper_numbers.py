"""The paper's printed numbers, and what the table code makes of them."""

import numpy as np
import pandas as pd
import pytest

from distillweighted.analysis import methods_accuracy, paper_numbers, relative_accuracy
from distillweighted.analysis.comparison import COLUMNS, comparison_with_paper
from distillweighted.analysis.table1 import table1_accuracy

PAPER = paper_numbers.table1()
TARGETS = list(paper_numbers.TARGETS)
NAN = float("nan")


def student_rows(student, method, target, value):
    """Students whose results the paper could have printed as `value` for this method."""

    def row(recipe, method, p=NAN, source=None, shift=0.0):
        accuracy = value + shift
        return (target, recipe, method, p, source, 0, student, accuracy, accuracy)

    if method == "distill_weighted":
        return [row("distill_weighted-p12", "distill_weighted", 12.0)]
    if method == "distill_equal":
        return [row("distill_weighted-p0", "distill_weighted", 0.0)]
    if method == "distill_random_weights":
        draws = [("draw0", -2.5), ("draw1", 2.0), ("draw2", 0.5)]
        return [row(f"{method}-{draw}", method, shift=shift) for draw, shift in draws]
    own = student == "mobilenetv3"
    return [row(method if own else f"{method}-{student}", method)]


@pytest.fixture(scope="module")
def paper_as_students():
    """Table 1 as a long table of students: single-source students stand for two of its rows."""
    rows, nearest = [], []
    for _, line in PAPER.iterrows():
        for target in TARGETS:
            if line["method"] == "distill_nearest":
                nearest.append((target, 0, "near"))
            elif line["method"] == "distill_random_selection":
                top = PAPER.loc[PAPER["method"] == "distill_nearest", target].item()
                rest = (3 * line[target] - top) / 2
                for source, value in (("near", top), ("b", rest - 1), ("c", rest + 1)):
                    rows.append((target, f"distill_single-{source}", "distill_single", NAN))
                    rows[-1] += (source, 0, "mobilenetv3", value, value)
            else:
                rows += student_rows(line["student"], line["method"], target, line[target])
    accuracy = pd.DataFrame(rows, columns=list(methods_accuracy.ACCURACY_COLUMNS))
    accuracy = accuracy.sample(frac=1, random_state=0)  # row order must not matter
    return accuracy, pd.DataFrame(nearest, columns=["target", "seed", "source"])


def test_table1_of_the_papers_students_is_the_papers_table1(paper_as_students):
    methods = methods_accuracy.method_accuracy(*paper_as_students, targets=TARGETS)
    compute = PAPER[["student", "gflops"]].drop_duplicates().rename(columns={"gflops": "gmacs"})
    ours, errors = table1_accuracy(methods, compute.iloc[::-1])
    assert list(ours.columns) == list(PAPER.columns)
    keys = ["student", "gflops", "method"]
    pd.testing.assert_frame_equal(ours[keys], PAPER[keys], check_dtype=False)  # the paper's order
    np.testing.assert_allclose(ours[TARGETS], PAPER[TARGETS], atol=1e-9)
    # Printed to one decimal from unrounded columns: no row needs an exception.
    np.testing.assert_allclose(ours["mean"], PAPER["mean"], atol=0.0501)
    assert errors[[*TARGETS, "mean"]].isna().all(axis=None)  # one seed


def test_the_prose_that_disagrees_with_table1():
    def number(student, method, column):
        row = (PAPER["student"] == student) & (PAPER["method"] == method)
        return PAPER.loc[row, column].item()

    # "CUB200 +17.5"
    gain = number("mobilenetv3", "distill_weighted", "cub200")
    gain -= number("mobilenetv3", "in_transfer", "cub200")
    assert gain == pytest.approx(17.2)
    # "across all 4 architectures, at least 4% improvement"
    gains = {
        student: number(student, "finetune_selected_source", "mean")
        - number(student, "in_transfer", "mean")
        for student in ("alexnet", "googlenet", "resnet18", "resnet50")
    }
    expected = {"alexnet": 6.2, "googlenet": 3.6, "resnet18": 3.7, "resnet50": 6.7}
    assert gains == pytest.approx(expected)


@pytest.mark.parametrize(
    ("table", "tolerance"), [(paper_numbers.table2(), 0.00501), (paper_numbers.table3(), 0.0501)]
)
def test_printed_means_of_tables_2_and_3(table, tolerance):
    assert list(table.columns) == ["representation", "metric", *TARGETS, "mean"]
    assert set(table["representation"]) == {"pseudo_labels", "features"}
    for _, row in table.iterrows():
        assert sum(row[target] for target in TARGETS) / 8 == pytest.approx(
            row["mean"], abs=tolerance
        )


def students_with_relative_accuracy(table):
    """Sources a, b, c score highest; their students reach the printed share of the best three."""
    line = table.iloc[0]
    accuracy, similarity = [], []
    for target in TARGETS:
        for source in "abcxyz":
            value = 90.0 if source in "xyz" else 0.9 * line[target]
            accuracy.append((target, f"distill_single-{source}", "distill_single", NAN))
            accuracy[-1] += (source, 0, "mobilenetv3", value, value)
            kind = (target, 0, source, line["representation"], line["metric"])
            similarity.append((*kind, 0.2 if source in "abc" else 0.1))
    columns = ["target", "seed", "source", "representation", "metric", "score"]
    return (
        pd.DataFrame(accuracy, columns=list(methods_accuracy.ACCURACY_COLUMNS)),
        pd.DataFrame(similarity, columns=columns),
    )


def test_table3_reproduces_the_papers_means():
    paper = paper_numbers.table3()
    for position in range(len(paper)):
        line = paper.iloc[position : position + 1]
        ours = relative_accuracy.table3_relative_accuracy(*students_with_relative_accuracy(line))
        np.testing.assert_allclose(ours[TARGETS], line[TARGETS], atol=1e-9)
        assert ours["mean"].item() == pytest.approx(line["mean"].item(), abs=0.0501)


def test_comparison_with_itself_has_no_difference():
    ours = PAPER.replace({"student": {"mobilenetv3": "mobilenet_v3_large"}})
    table = comparison_with_paper(ours, paper_numbers.table2(), paper_numbers.table3())
    assert list(table.columns) == list(COLUMNS)
    # Rows times (targets and mean) of each table.
    counts = table["item"].value_counts().to_dict()
    assert counts == {"table1": 15 * 9, "table2": 6 * 9, "table3": 6 * 9}
    assert (table["difference"] == 0).all()
    assert set(table["student"].dropna()) == set(ours["student"])


def test_comparison_takes_only_what_the_paper_has():
    ours = pd.DataFrame(
        [
            ("mobilenet_v3_large", 0.2, "distill_weighted", 61.5, 80.0, 70.75),
            ("mobilenet_v3_large", 0.2, "distill_inverse", 1.0, 2.0, 1.5),  # not in Table 1
            ("resnet50", 4.1, "distill_weighted", 1.0, 2.0, 1.5),  # another student
        ],
        columns=["student", "gflops", "method", "cub200", "greek", "mean"],
    )
    table = comparison_with_paper(ours)
    # Neither greek nor the mean over other targets is a number of the paper.
    assert len(table) == 1
    row = table.iloc[0]
    assert (row["item"], row["target"], row["ours"], row["paper"]) == (
        "table1",
        "cub200",
        61.5,
        60.0,
    )
    assert row["difference"] == pytest.approx(1.5)
    # All eight and one more: still another mean.
    nine = PAPER.assign(greek=1.0)
    assert "mean" not in set(comparison_with_paper(nine)["target"])


def test_comparison_is_empty_where_no_target_matches():
    ours = PAPER[["student", "gflops", "method"]].assign(greek=50.0, mean=50.0)
    for table in (comparison_with_paper(ours), comparison_with_paper()):
        assert table.empty
        assert list(table.columns) == list(COLUMNS)
