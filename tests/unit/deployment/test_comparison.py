"""The comparison and its verdict."""

import numpy as np
import pytest

from distillweighted.deployment.comparison import (
    Answers,
    clearly_better,
    compare,
    verdict,
    what_intervals_cover,
)


def answers(method, right, *, label=None, network="small", gmacs=1.0, distils=False):
    """A method that gets the first `right` of 200 images right; several numbers are seeds."""
    seeds = np.atleast_1d(right)
    table = np.array([np.arange(200) < n for n in seeds], float)
    return Answers(method, label or method, network, table, gmacs, 10.0, 2.0, distils)


def said(*methods, deployed="distill_weighted", reference="in_transfer", **options):
    """The table and the verdict on some methods."""
    table = compare(methods, reference, deployed, draws=2000)
    better = clearly_better(methods, reference, draws=2000)
    return table.set_index("method"), verdict(table, better, reference, **options)


TRANSFER = answers("in_transfer", 100, label="Transfer")


def weighted(right):
    return answers("distill_weighted", right, label="DistillWeighted", distils=True)


def test_accuracy_difference_wins_and_losses_by_hand():
    table, _ = said(TRANSFER, weighted(110))
    row = table.loc["distill_weighted"]
    assert (row["accuracy"], row["difference"]) == pytest.approx((55, 5))
    assert (row["wins"], row["losses"], row["p_mcnemar"]) == (10, 0, 2 / 2**10)
    # 10 of 200 images count 1 and the others 0, so that the interval is binomial.
    assert row["difference_low"] == pytest.approx(2, abs=0.5)
    assert row["difference_high"] == pytest.approx(8, abs=0.6)
    assert bool(row["deployed"]) and row["seeds"] == 1 and np.isnan(row["sd_seeds"])
    base = table.loc["in_transfer"]
    assert np.isnan(base["difference"]) and not base["deployed"]
    assert (base["low"], base["high"]) == pytest.approx((43.14, 56.86), abs=0.01)


def test_seeds_are_averaged_for_each_image_first():
    table, verdict_of_two = said(answers("in_transfer", [100, 120]), weighted([120, 120]))
    assert "and in_transfer 55.0 %, in the mean of 2 seeds: it is 5.0 points" in verdict_of_two
    row, base = table.loc["distill_weighted"], table.loc["in_transfer"]
    assert [base["accuracy"], *row[["accuracy", "difference"]]] == pytest.approx([55, 60, 5])
    assert base["sd_seeds"] == pytest.approx(100 * np.std([0.5, 0.6], ddof=1))
    # 20 images are right in one of two seeds for the reference: each a win, by a half.
    assert (row["wins"], row["losses"]) == (20, 0) and np.isnan(row["p_mcnemar"])
    text = what_intervals_cover(table.reset_index(), 200)
    assert "2 seeds, of which the first is handed over, are averaged" in text
    assert "one seed was trained" in what_intervals_cover(said(TRANSFER)[0].reset_index(), 200)


@pytest.mark.parametrize(
    ("right", "begins"),
    [
        (
            130,
            "Distillation helped: DistillWeighted reaches 65.0 % and Transfer 50.0 %: it is 15.0 "
            "points better (95 % interval +",
        ),
        (
            101,
            "Distillation did not clearly help: DistillWeighted reaches 50.5 % and Transfer 50.0 "
            "%: it is 0.5 points better, which this test part cannot tell from no difference",
        ),
        (
            60,
            "Distillation did not help, it harmed: DistillWeighted reaches 30.0 % and Transfer "
            "50.0 %: it is 20.0 points worse (95 % interval −",
        ),
    ],
)
def test_the_verdict_says_plainly_whether_distillation_helped(right, begins):
    _, text = said(TRANSFER, weighted(right))
    assert text.startswith(begins)


def test_the_verdict_says_where_the_forecast_was_another():
    said_before = "The ranking of the sources foretold that it is likely to pay; the test images "
    for right, shown in (
        (101, "do not show that it clearly helps"),
        (60, "show that it does harm"),
    ):
        _, text = said(TRANSFER, weighted(right), forecast="likely")
        assert f"). {said_before}{shown}, and count more than a forecast." in text
    assert "forecast" not in said(TRANSFER, weighted(130), forecast="likely")[1]
    assert "unlikely to pay; it did" in said(TRANSFER, weighted(130), forecast="unlikely")[1]
    # Where nothing was distilled, there is nothing to compare a forecast with.
    assert "foretold" not in said(TRANSFER, deployed="in_transfer", forecast="likely")[1]


def test_the_verdict_is_on_the_student_handed_over_and_not_on_the_best_of_many():
    equal = answers("distill_equal", 150, label="DistillEqual", distils=True)
    _, text = said(TRANSFER, equal, weighted(101))
    assert text.startswith("Distillation did not clearly help: DistillWeighted")
    assert "What did help, allowing for the 2 methods compared: DistillEqual (+25.0)." in text
    _, text = said(TRANSFER, equal, weighted(101), deployed="distill_equal")
    assert text.startswith("Distillation helped: DistillEqual")
    assert text.endswith(
        "No other student was clearly better than transfer, of 2 methods compared."
    )


def test_the_verdict_says_what_helped_at_what_cost():
    large = answers("finetune", 160, label="Fine-tuned", network="large", gmacs=12.0)
    probe = answers("linear_probe", 170, label="Linear probe on dino", network="dino", gmacs=4.5)
    _, text = said(TRANSFER, weighted(101), large, probe)
    assert (
        "What did help, allowing for the 3 methods compared: Fine-tuned (+30.0, at 12 times "
        in text
    )
    assert text.endswith(
        "Linear probe on dino itself reaches 85.0 %, at 4.5 times the multiply-accumulates."
    )


@pytest.mark.parametrize(
    ("chosen", "advice"),
    [
        (False, "To hand over what is best on labelled images that are kept for it, set "
                "student.deploy: auto and choice."),
        (True, "Validation images chose that student, and are few enough to err."),
    ],
)  # fmt: skip
def test_the_verdict_names_what_is_better_than_the_student_handed_over(chosen, advice):
    methods = (TRANSFER, weighted(60), answers("in_fixmatch", 62, label="FixMatch"))
    rivals = clearly_better(methods, "distill_weighted", draws=2000)
    assert rivals == {"in_transfer": pytest.approx(20)}
    _, text = said(*methods, rivals=rivals, chosen=chosen)
    better = "Clearly better than the student that is handed over: Transfer (+20.0)."
    assert text.endswith(f"{better} {advice}")


def test_a_probe_of_unknown_cost_is_told_without_it():
    probe = answers("linear_probe", 170, label="Linear probe", network="api", gmacs=np.nan)
    _, text = said(TRANSFER, weighted(101), probe)
    assert text.endswith("Linear probe itself reaches 85.0 %.")


def test_nothing_is_clearly_better_by_one_interval_of_many():
    """Four of 200 images more are just clear (4 wins of none lost), and not among twenty looks."""
    some = [answers(f"other{i}", 100) for i in range(19)]
    methods = [TRANSFER, weighted(104), *some]
    assert said(*methods[:2])[1].startswith("Distillation helped")
    assert clearly_better(methods[:2], "in_transfer", draws=4000) == {"distill_weighted": 2.0}
    assert clearly_better(methods, "in_transfer", draws=4000) == {}


def test_without_transfer_nothing_can_be_said():
    table, text = said(weighted(110), reference=None)
    assert text == (
        "Whether distillation helped cannot be said: transfer from the same start was not trained "
        "(baselines.in_transfer)."
    )
    assert np.isnan(table.loc["distill_weighted", "difference"])


def test_without_distillation_nothing_was_distilled():
    _, text = said(TRANSFER, answers("in_fixmatch", 120), deployed="in_fixmatch")
    assert text == "Nothing was distilled: no distillation method is switched on."
