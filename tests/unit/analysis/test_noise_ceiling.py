"""The agreement of seeds by hand, and its ceilings against a simulation."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from distillweighted.analysis.noise_ceiling import noise_ceiling

NAN = float("nan")


def students(cells):
    """The single-source students of {(target, seed): [accuracies]}."""
    rows = [
        (t, f"distill_single-s{i}", "distill_single", NAN, f"s{i}", seed, "mob", y, 100 - y)
        for (t, seed), values in cells.items()
        for i, y in enumerate(values)
    ]
    columns = ["target", "recipe", "method", "p", "source", "seed", "student"]
    return pd.DataFrame(rows, columns=[*columns, "accuracy", "balanced_accuracy"])


CELLS = {
    ("t", 0): [1, 2, 3, 4],
    ("t", 1): [1, 2, 4, 3],
    ("t", 2): [2, 1, 3, 4],
    ("u", 0): [1, 2, 3, 4],
    ("u", 1): [9, 8, 7, 6],
    ("u", 2): [1, 2, 3, 4],
}


def test_agreement_and_ceilings_by_hand():
    table = noise_ceiling(students(CELLS)).set_index("quantity")
    assert list(table.columns) == ["t", "u", "mean"]
    # rho = 1 - 6 sum d^2 / (n (n^2 - 1)): one swap of neighbours is 0.8, two of them 0.6.
    r = (0.8 + 0.8 + 0.6) / 3
    assert table.loc["between_seeds"].tolist() == pytest.approx([r, -1 / 3, (r - 1 / 3) / 2])
    one, mean = r**0.5, (3 * r / (1 + 2 * r)) ** 0.5
    assert table.loc["ceiling_one_seed"].tolist() == pytest.approx([one, 0, one / 2])
    assert table.loc["ceiling_mean"].tolist() == pytest.approx([mean, 0, mean / 2])
    same = noise_ceiling(students(CELLS), value="balanced_accuracy").set_index("quantity")
    pd.testing.assert_frame_equal(same, table)  # both orders turned


def test_no_agreement_is_said(caplog):
    one = noise_ceiling(students({("t", 0): [1, 2, 3], ("u", 0): [1, 2, 3]}))
    assert one[["t", "u", "mean"]].isna().all(axis=None)
    assert "target 't': one seed only" in caplog.text
    flat = {**CELLS, ("u", 1): [5, 5, 5, 5]}
    table = noise_ceiling(students(flat))
    assert table["u"].isna().all() and table["mean"].isna().all() and table["t"].notna().all()
    assert "target 'u': all accuracies of a seed are the same" in caplog.text


def test_faulty_students():
    table = students(CELLS)
    with pytest.raises(ValueError, match="'u': a source has no student for some seed"):
        noise_ceiling(table.iloc[:-1])
    with pytest.raises(ValueError, match="no single-source student"):
        noise_ceiling(table.assign(method="in_transfer"))


@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_the_ceilings_are_what_the_expected_accuracies_reach(noise):
    rng = np.random.default_rng(0)
    quality = rng.normal(size=4000)
    seeds = quality + noise * rng.normal(size=(4, 4000))
    found = noise_ceiling(students({("t", i): y for i, y in enumerate(50 + seeds)}))
    found = found.set_index("quantity")["t"]

    def rho(x, y):
        return stats.spearmanr(x, y).statistic

    pairs = itertools.combinations(seeds, 2)
    assert found["between_seeds"] == pytest.approx(np.mean([rho(a, b) for a, b in pairs]))
    one = np.mean([rho(quality, y) for y in seeds])
    assert found["ceiling_one_seed"] == pytest.approx(one, abs=0.02)
    assert found["ceiling_mean"] == pytest.approx(rho(quality, seeds.mean(axis=0)), abs=0.02)
