"""What a run says: the sentences, by value."""

import base64
import re

import pandas as pd
import pytest
from docutils.core import publish_parts

from distillweighted.analysis.paired import table1_paired
from distillweighted.analysis.paired_text import answer, answer_rst

NAN = float("nan")
PNG = b"\x89PNG" + bytes(range(256)) * 200


def run(values, seeds=(1,), noise=0.0):
    """Table 1 and the pairs of {method: accuracies by target}; seeds differ by +-noise."""
    rows = [
        (
            "tiny_",
            method,
            f"t{number}",
            seed,
            x + (noise * (-1) ** seed if "weighted" in method else 0),
        )
        for method, row in values.items()
        for number, x in enumerate(row)
        for seed in seeds
    ]
    methods = pd.DataFrame(rows, columns=["student", "method", "target", "seed", "accuracy"])
    wide = methods.pivot_table(index=["student", "method"], columns="target", values="accuracy")
    table1 = wide.reset_index()
    table1.insert(1, "gflops", 0.1)
    table1["mean"] = wide.mean(axis=1).to_numpy()
    big = {"student": "big", "gflops": 1.0, "method": "in_transfer", "mean": 99.0}
    return pd.concat([table1, pd.DataFrame([big])]), table1_paired(methods)[0]


def test_few_targets_and_one_seed_are_no_evidence():
    sentences = answer(
        *run(
            {
                "in_transfer": [50, 60, 70],
                "in_fixmatch": [40, 66, 80],
                "distill_weighted": [52, 63, 74],
            }
        )
    )
    assert sentences[:4] == [
        "The most accurate method on average over 3 targets: DistillWeighted, 63.0% of the test "
        "images (student tiny_); IN+FixMatch comes next with 62.0%.",
        "One seed and 3 targets: an illustration, no evidence. With fewer than 6 targets no test "
        "can tell two methods apart at 5%.",
        "DistillWeighted is 3.0 points above IN+Transfer (60.0%): ± 2.5 for new targets; better on "
        "3 of 3; Holm p = 0.50: not told apart.",
        "DistillWeighted is 1.0 point above IN+FixMatch (62.0%): ± 24.0 for new targets; better on "
        "1 of 3; Holm p = 1.00: not told apart.",
    ]
    assert len(sentences) == 5 and sentences[-1].startswith("± are half widths of 95% t-intervals")


def test_a_difference_that_is_told_apart_and_one_that_is_not():
    values = {
        "distill_weighted": [50, 51, 52, 53, 54, 55, 56, 57],
        "in_transfer": [47, 49, 49, 50, 51, 52, 53, 54],
        "distill_equal": [50.5, 52, 52, 53, 54, 55, 56, 55],
    }
    best, strength, transfer, equal, _ = answer(*run(values, seeds=(1, 2, 3), noise=0.1))
    assert best.startswith("The most accurate method on average over 8 targets: DistillWeighted,")
    assert strength == "Of 2 comparisons over 8 targets, 1 is told apart at 5%."
    # Seeds give -0.1, 0.1, -0.1: sd 0.115, / sqrt(3) x 4.30 = 0.3.
    assert transfer == (
        "DistillWeighted is 2.8 points above IN+Transfer (50.6%): ± 0.3 for new targets; ± 0.3 for "
        "these targets, 3 seeds; better on 8 of 8; Holm p = 0.016: told apart."
    )
    assert equal == (
        "DistillWeighted is level with DistillEqual (53.4%), less than 0.05 points apart: ± 0.7 "
        "for new targets; ± 0.3 for these targets, 3 seeds; better on 1 of 8; Holm p = 1.00: not "
        "told apart."
    )


def test_too_many_comparisons_for_the_targets_is_said():
    better = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    values = {f"method_{i}": better for i in range(7)}
    values["distill_weighted"] = [x + 10 for x in better]
    sentences = answer(*run(values, seeds=(1, 2)))
    assert sentences[1] == (
        "With 8 targets and 7 comparisons the smallest Holm-adjusted p that there can be is 0.055: "
        "no method can be told apart at 5% here, whatever the difference."
    )
    assert all("not told apart" in sentence for sentence in sentences[2:-1])
    assert sentences[0].endswith("; method 0 comes next with 4.5%.")


def test_one_seed_and_a_reference_that_is_worse():
    values = {"distill_weighted": [50.0] * 10, "in_transfer": [51.5] * 9 + [50.0]}
    best, strength, pair, _ = answer(*run(values))
    assert "on average over 10 targets: IN+Transfer, 51.4% of the test images" in best
    assert strength.startswith("One seed: what other labelled images and initial weights would")
    assert strength.endswith("Of one comparison over 10 targets, all are told apart at 5%.")
    assert "is 1.4 points below IN+Transfer (51.4%)" in pair
    assert "better on 0 of 10, equal on 1; Holm p = 0.004: told apart." in pair


def test_a_bound_in_table_1_that_is_not_compared_with_is_not_the_best_method():
    table1, paired = run({"in_transfer": [50, 60], "distill_weighted": [51, 61]})
    bound = {"student": "tiny_", "gflops": 0.1, "method": "oracle", "t0": 90, "t1": 90, "mean": 90}
    sentences = answer(pd.concat([table1, pd.DataFrame([bound])]), paired)
    assert sentences[0].startswith("The most accurate method on average over 2 targets: DistillWei")
    assert not any("oracle" in sentence for sentence in sentences)


def test_without_a_reference_or_a_mean():
    table1, _ = run({"in_fixmatch": [50, 60], "distill_weighted": [51, 61]})
    assert answer(table1, None)[1:] == [
        "No reference method was run: nothing is compared in pairs."
    ]
    with pytest.raises(ValueError, match="no method with a mean"):
        answer(table1.assign(mean=NAN), None)


def test_the_page_is_valid_and_shows_names_literally_and_the_picture_whole():
    sentences = ["a_b_ *is* `best` |now|.", "One\\seed_.", "- A_ :b:`c`", "± last_"]
    rst = answer_rst(sentences, PNG, shows="Fig_ 1")
    assert max(map(len, rst.splitlines())) < 10_000
    html = publish_parts(rst, writer="html", settings_overrides={"report_level": 1})["body"]
    assert "system-message" not in html
    text = re.sub(r"<[^>]+>", "", html)
    for sentence in sentences:
        assert sentence in text
    assert "<strong>a_b_ *is* `best` |now|.</strong>" in html and "<li>- A_ :b:`c`</li>" in html
    (encoded,) = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    assert base64.b64decode(encoded) == PNG
    assert 'alt="Fig_ 1"' in html
    # Without comparisons too.
    short = publish_parts(answer_rst(sentences[:2], PNG, shows="x"), writer="html")["body"]
    assert "<li>" not in short and "One\\seed_." in short
