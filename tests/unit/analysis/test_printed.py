"""Tables as text."""

import pandas as pd
import pytest

from distillweighted.analysis import printed

NAN = float("nan")


def test_print_table1_marks_the_best_of_the_students_rows():
    table = pd.DataFrame(
        [
            ("mob", 0.24, "in_transfer", 50.0, 60.04, 55.02),
            ("mob", 0.24, "distill_weighted", 55.0, 60.01, 57.505),
            ("res", 4.14, "in_transfer", 99.0, NAN, NAN),
        ],
        columns=["student", "gflops", "method", "t1", "a_b", "mean"],
    )
    lines = printed.print_table1(table).splitlines()
    assert lines[0].split() == ["architecture", "method", "t1", "a", "b", "mean"]
    assert lines[2].split() == ["mob", "(0.24", "GMACs)", "in_transfer", "50.0", "60.0*", "55.0"]
    assert lines[3].split() == ["distill_weighted", "55.0*", "60.0*", "57.5*"]
    assert lines[5].split() == ["res", "(4.14", "GMACs)", "in_transfer", "99.0", "-", "-"]


def test_written_tables(tmp_path):
    name = "a_b&50%#{x}$y|\nπ^~\\"
    table = pd.DataFrame({"target": [name, "b"], "ours": [1 / 3, NAN], "k": [3, 10]})
    path = tmp_path / "sub" / "table.csv"
    printed.publish_table(table, path, decimals={"ours": 2}, caption="50% of_")
    back = pd.read_csv(path, float_precision="round_trip")
    pd.testing.assert_frame_equal(back, table, check_exact=True)  # unrounded
    lines = path.with_suffix(".md").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "50% of\\_"
    assert lines[2:4] == ["| target | ours | k |", "| :--- | ---: | ---: |"]
    assert lines[4] == "| a_b\\&50%#{x}\\$y\\| π^\\~\\\\ | 0.33 | 3 |"
    assert lines[5] == "| b | – | 10 |"
    tex = path.with_suffix(".tex").read_text(encoding="utf-8").splitlines()
    assert tex[2] == r"\begin{tabular}{lrr}"
    cell = r"a\_b\&50\%\#\{x\}\$y| π\textasciicircum{}\textasciitilde{}\textbackslash{}"
    assert cell + r" & 0.33 & 3 \\" in tex
    with pytest.raises(ValueError, match=r"\.csv"):
        printed.publish_table(table, tmp_path / "table.txt")
