"""The paired comparison against a second computation, and its golden values in two Tables 1."""

import math
import statistics

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from distillweighted.analysis import comparison
from distillweighted.analysis.paired import PAIRED_COLUMNS, TARGET_COLUMNS, table1_paired

# Table 1 of the first mini paper: 3 seeds, means over them, rounded as they were published.
TARGETS = ("cyrillic", "greek", "armenian", "species_b", "textures_b", "mosaics_b", "lesions_b")
TARGETS += ("digits",)
MINI_PAPER = {
    "in_transfer": [55.8, 62.6, 61.9, 65.9, 80.4, 45.9, 63.2, 72.8],
    "in_fixmatch": [53.6, 60.7, 59.7, 59.5, 82.9, 42.7, 64.2, 73.9],
    "distill_random_selection": [55.5, 61.5, 60.3, 62.0, 79.5, 44.5, 62.9, 72.7],
    "distill_nearest": [58.9, 65.3, 64.9, 67.7, 81.6, 43.9, 64.3, 73.8],
    "distill_equal": [54.5, 62.6, 61.1, 61.9, 79.7, 45.0, 63.7, 73.1],
    "distill_random_weights": [55.8, 61.7, 60.1, 61.7, 79.2, 45.1, 63.1, 72.3],
    "distill_weighted": [59.7, 65.4, 64.5, 67.5, 82.4, 44.5, 64.5, 73.6],
    "distill_inverse": [53.2, 58.9, 59.6, 60.7, 79.2, 43.1, 64.0, 72.3],
}


def frame(cells):
    """`method_accuracy` of {(method, target, seed): accuracy}, beside another architecture's."""
    rows = [("tiny", method, target, seed, x) for (method, target, seed), x in cells.items()]
    rows += [("big", "in_transfer", target, seed, 99.0) for _, target, seed in cells]
    table = pd.DataFrame(rows, columns=["student", "method", "target", "seed", "accuracy"])
    return table.drop_duplicates(["student", "method", "target", "seed"])


def golden(table):
    return table.set_index("method")


def test_the_first_mini_paper():
    cells = {(m, t, 1): x for m, row in MINI_PAPER.items() for t, x in zip(TARGETS, row)}
    table = golden(table1_paired(frame(cells))[0])
    expected = {  # mean, ends of the interval over targets, wins, p, Holm
        "in_transfer": (1.70, 0.38, 3.02, 7, 0.031, 0.094),
        "in_fixmatch": (3.11, 0.42, 5.80, 6, 0.055, 0.109),
        "distill_random_selection": (2.90, 1.31, 4.49, 7, 0.016, 0.094),
        "distill_nearest": (0.21, -0.18, 0.61, 5, 0.266, 0.266),
        "distill_equal": (2.56, 0.73, 4.40, 7, 0.023, 0.094),
        "distill_random_weights": (2.89, 1.17, 4.60, 7, 0.016, 0.094),
        "distill_inverse": (3.89, 1.70, 6.08, 8, 0.008, 0.055),
    }
    assert list(table.index) == list(expected)
    for method, (mean, low, high, wins, p, p_holm) in expected.items():
        row = table.loc[method]
        assert row["mean_difference"] == pytest.approx(mean, abs=0.006)
        half = row["half_width_targets"]
        assert row["mean_difference"] - half == pytest.approx(low, abs=0.006)
        assert row["mean_difference"] + half == pytest.approx(high, abs=0.006)
        assert row["wins"] == wins and row["wins"] + row["ties"] + row["losses"] == 8
        assert row["p"] == pytest.approx(p, abs=0.0006)
        assert row["p_holm"] == pytest.approx(p_holm, abs=0.0006)
        assert math.isnan(row["half_width_seeds"]) and row["n_seeds"] == 1
    # 44.5 on mosaics_b is a tie.
    assert table.loc["distill_random_selection", "ties"] == 1


def test_the_papers_own_table_1():
    table = golden(comparison.comparison_paired())
    assert len(table) == 6 and set(table["student"]) == {"mobilenetv3"}
    row = table.loc["in_transfer"]
    assert row["mean_difference"] == pytest.approx(5.6)
    assert (row["wins"], row["p"], row["p_holm"]) == (7, 1 / 32, pytest.approx(3 / 32))
    assert table.loc["in_fixmatch", "mean_difference"] == pytest.approx(4.4375)
    assert table.loc["in_fixmatch", "p"] == 12 / 128
    apart = table[table["p_holm"] <= 0.05]
    assert set(apart.index) == {"distill_random_selection", "distill_equal"}
    assert list(apart["p"]) == [1 / 128] * 2 and list(apart["p_holm"]) == [6 / 128] * 2


CELLS = {}
for _seed, _shift in enumerate((0.0, 0.5, -0.3)):
    for _number, _target in enumerate(("t1", "t2", "t3", "t4")):
        CELLS["distill_weighted", _target, _seed] = 50 + 3 * _number + _shift
        CELLS["in_transfer", _target, _seed] = 49 + 2.5 * _number - _shift * _number
        if _seed < 2:
            CELLS["distill_random_selection", _target, _seed] = 50 + 3 * _number + 2 * _shift


def differences(method, seeds):
    """[target][seed], by hand."""
    return [
        [CELLS["distill_weighted", t, s] - CELLS[method, t, s] for s in seeds]
        for t in ("t1", "t2", "t3", "t4")
    ]


def width(values):
    n = len(values)
    return stats.t.ppf(0.975, n - 1) * statistics.stdev(values) / math.sqrt(n)


@pytest.mark.parametrize(
    ("method", "seeds"), [("in_transfer", [0, 1, 2]), ("distill_random_selection", [0, 1])]
)
def test_against_loops_on_the_seeds_that_both_have(method, seeds):
    table, by_target = table1_paired(frame(CELLS))
    assert tuple(table.columns) == PAIRED_COLUMNS and tuple(by_target.columns) == TARGET_COLUMNS
    cells = differences(method, seeds)
    by_seed = [statistics.mean(row[i] for row in cells) for i in range(len(seeds))]
    means = [statistics.mean(row) for row in cells]
    row = golden(table).loc[method]
    assert row["n_seeds"] == len(seeds) and row["n_targets"] == 4
    assert row["mean_difference"] == pytest.approx(statistics.mean(means))
    assert row["half_width_seeds"] == pytest.approx(width(by_seed))
    if statistics.stdev(means) > 1e-9:
        assert row["half_width_targets"] == pytest.approx(width(means))
        effect = statistics.mean(means) / statistics.stdev(means)
        assert row["effect_size"] == pytest.approx(effect)
    else:
        assert math.isnan(row["effect_size"])
    assert row["wins"] == sum(mean > 1e-9 for mean in means)
    own = by_target[by_target["method"] == method]
    assert list(own["target"]) == ["t1", "t2", "t3", "t4"]
    assert list(own["difference"]) == pytest.approx(means)
    assert list(own["half_width_seeds"]) == pytest.approx([width(row) for row in cells])
    assert set(own["n_seeds"]) == {len(seeds)}


def test_another_reference_turns_the_sign():
    forth = golden(table1_paired(frame(CELLS))[0]).loc["in_transfer"]
    back = table1_paired(frame(CELLS), reference="in_transfer")[0]
    assert set(back["reference"]) == {"in_transfer"} and set(back["student"]) == {"tiny"}
    row = golden(back).loc["distill_weighted"]
    assert row["mean_difference"] == pytest.approx(-forth["mean_difference"])
    assert (row["wins"], row["losses"]) == (forth["losses"], forth["wins"])
    assert row["p"] == forth["p"]


def test_one_target_is_no_evidence_and_rounding_no_difference():
    cells = {("distill_weighted", "t", 0): 0.1 + 0.2, ("in_transfer", "t", 0): 0.3}
    (row,) = table1_paired(frame(cells))[0].to_dict("records")
    assert (row["wins"], row["ties"], row["losses"]) == (0, 1, 0)
    assert row["p"] == row["p_holm"] == 1
    for name in ("half_width_seeds", "half_width_targets", "effect_size"):
        assert math.isnan(row[name])


def test_what_cannot_be_compared():
    with pytest.raises(ValueError, match=r"reference 'in_fixmatch' has no .* tiny \(methods: in_t"):
        table1_paired(frame(CELLS), reference="in_fixmatch")
    alone = {key: x for key, x in CELLS.items() if key[0] == "distill_weighted"}
    with pytest.raises(ValueError, match="'distill_weighted' is the only method of tiny"):
        table1_paired(frame(alone))
    other = {("in_transfer", "t1", 7): 1.0, ("in_transfer", "t2", 8): 1.0}
    with pytest.raises(ValueError, match="in_transfer cannot be compared with distill_weighted"):
        table1_paired(frame(alone | other))


def test_controls_are_corrected_apart_from_methods():
    rng = np.random.default_rng(4)
    names = ["distill_weighted", "in_transfer", "in_fixmatch", "control_pass_through"]
    rows = [
        ("small", name, f"t{t}", seed, 50 + (name == "distill_weighted") + rng.normal(0, 0.2))
        for name in [*names, "oracle_selection"]
        for t in range(6)
        for seed in (0, 1)
    ]
    methods = pd.DataFrame(rows, columns=["student", "method", "target", "seed", "accuracy"])
    table = table1_paired(methods)[0].set_index("method")
    # All six differences are above 0, whatever the row: p = 2 / 2^6, twice that for two rows.
    assert table["p"].tolist() == [2 / 64] * 4
    assert table["p_holm"].tolist() == [4 / 64] * 4
