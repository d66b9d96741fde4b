"""Facts of a student in words."""

import pytest

from distillweighted.deployment.wording import against_forecast, caution, counts

METRICS = {"n_labeled": 8, "n_unlabeled": 3, "n_test": 5}


def meta_of(kind, *, near=None, seen=0):
    found = {"kind": kind, "exact": 2, "near": near, "different_labels": []}
    return {"test": 5, "split": "given", "duplicates": {**found, "test_images_in_training": seen}}


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        (meta_of("near", near=1), "2 exact, 1 near; never on both sides of the split"),
        (meta_of("exact"), "2 exact, near ones not looked for; never on both sides of the split"),
        (
            meta_of("allow", seen=2),
            "2 exact, near ones not looked for; allowed on both sides of the split: 2 of the test "
            "images are training images too",
        ),
    ],
)
def test_counts_say_which_duplicates_were_looked_for(meta, said):
    assert dict(counts(METRICS, meta))["duplicates"] == said


@pytest.mark.parametrize(
    ("seen", "begins"),
    [
        (1, "Of the 5 test images 1 is a training image too (duplicates: allow), so that every "),
        (2, "Of the 5 test images 2 are training images too (duplicates: allow), so that every "),
    ],
)
def test_a_test_part_that_was_seen_in_training_is_told(seen, begins):
    assert caution(meta_of("allow", seen=seen)).startswith(begins)
    assert caution(meta_of("allow")) == caution({"test": 5}) == ""


@pytest.mark.parametrize(
    ("forecast", "low", "high", "said"),
    [
        ("likely", -3.2, 3.2, "likely to pay; the test images do not show that it clearly helps"),
        ("likely", -7.4, -1.4, "likely to pay; the test images show that it does harm"),
        ("unlikely", 0.3, 4.0, "unlikely to pay; it did, and the test images count more"),
        ("likely", 0.3, 4.0, None),
        ("unlikely", -3.2, 3.2, None),
        ("unlikely", -7.4, -1.4, None),
        ("unclear", -7.4, -1.4, None),
        ("unclear", 0.3, 4.0, None),
        (None, -7.4, -1.4, None),
    ],
)
def test_a_forecast_that_the_test_images_contradict_is_told(forecast, low, high, said):
    told = against_forecast(forecast, low, high)
    assert len(told) == (said is not None)
    assert said is None or f"The ranking of the sources foretold that it is {said}" in told[0]
