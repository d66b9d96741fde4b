"""Mean ranks, the groups that tests do not tell apart, and their figure."""

import itertools

import pandas as pd
import pytest
from scipy import stats

from distillweighted.analysis import ranks
from distillweighted.analysis.figures.critical_difference import critical_difference
from distillweighted.analysis.figures.style import save
from distillweighted.analysis.ranks import mean_ranks


def frame(values, seeds=(0,)):
    rows = [
        ("tiny", method, f"t{number:02}", seed, x)
        for method, row in values.items()
        for number, x in enumerate(row)
        for seed in seeds
    ]
    return pd.DataFrame(rows, columns=["student", "method", "target", "seed", "accuracy"])


BASE = [50.0, 61.0, 43.0, 72.0, 55.0, 68.0, 47.0, 59.0, 64.0, 70.0]
# The first two change places from target to target, and so do the last two.
VALUES = {
    "distill_weighted": [x + (1 + n / 10) * (-1) ** n for n, x in enumerate(BASE)],
    "distill_nearest": BASE,
    "in_transfer": [x - 5 - n / 10 for n, x in enumerate(BASE)],
    "in_fixmatch": [x - 5 - n / 10 + (0.5 + n / 20) * (-1) ** n for n, x in enumerate(BASE)],
}


def test_two_groups_of_two():
    ranking = mean_ranks(frame(VALUES))
    assert ranking.ranks == {
        "distill_nearest": 1.5,
        "distill_weighted": 1.5,
        "in_transfer": 3.5,
        "in_fixmatch": 3.5,
    }
    assert (ranking.n_targets, ranking.n_seeds, len(ranking.p_holm)) == (10, 1, 6)
    # Every pair across has p = 2 / 2^10; the within ones are the last of Holm's six.
    for pair in itertools.product(("distill_nearest", "distill_weighted"), ("in_transfer",)):
        assert ranking.p_holm[pair] == pytest.approx(6 / 512)
    within = stats.wilcoxon(
        [a - b for a, b in zip(VALUES["distill_nearest"], VALUES["distill_weighted"])],
        method="exact",
    ).pvalue
    assert ranking.p_holm["distill_nearest", "distill_weighted"] == min(1, 2 * within)
    assert ranking.can_tell and ranking.least_p == 6 / 512
    assert [set(group) for group in ranking.groups] == [
        {"distill_nearest", "distill_weighted"},
        {"in_transfer", "in_fixmatch"},
    ]


def test_groups_are_the_largest_sets_without_a_difference():
    def pairs(*names):
        return {frozenset(name) for name in names}

    # b is like a and c, and a is not like c; d is like nobody.
    assert ranks._cliques("abcd", pairs("ab", "bc")) == [("a", "b"), ("b", "c")]
    assert ranks._cliques("abcd", pairs("ab", "bc", "ac")) == [("a", "b", "c")]
    # a and d, but neither of those between them: the figure has dots at these two alone.
    assert ranks._cliques("abcd", pairs("ad")) == [("a", "d")]
    assert ranks._cliques("abc", set()) == []


def test_seeds_that_all_methods_have_and_ties():
    table = frame({"distill_weighted": BASE, "in_transfer": [x - 1 for x in BASE]}, seeds=(0, 1))
    other = frame({"in_fixmatch": [x + 1e-12 for x in BASE]})
    ranking = mean_ranks(pd.concat([table, other]))
    assert ranking.n_seeds == 1
    assert ranking.ranks == {"in_fixmatch": 1.5, "distill_weighted": 1.5, "in_transfer": 3.0}
    with pytest.raises(ValueError, match="a seed that every method has"):
        mean_ranks(pd.concat([table, other.assign(seed=5)]))
    with pytest.raises(ValueError, match="at least 2 methods"):
        mean_ranks(other)


def labels(figure):
    return figure.axes[0].get_xlabel()


def test_the_figure_has_a_bar_for_each_group_with_dots_at_its_methods():
    ranking = mean_ranks(frame(VALUES))
    figure = critical_difference(ranking)
    axes = figure.axes[0]
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert set(names[:2]) == {"DistillNearest", "DistillWeighted"}
    bars = [line for line in axes.lines if line.get_gid() == "group"]
    assert [list(bar.get_ydata()) for bar in bars] == [[0, 1], [2, 3]]
    dots = [line for line in axes.lines if line.get_gid() != "group"]
    assert [line.get_xdata()[0] for line in dots] == list(ranking.ranks.values())
    assert "Mean rank over 10 targets" in labels(figure)
    assert "Bars: methods not told apart" in labels(figure)


def test_too_few_targets_are_said_in_words_and_join_nothing(tmp_path):
    few = {method: row[:5] for method, row in VALUES.items()}
    ranking = mean_ranks(frame(few))
    assert ranking.groups == [] and not ranking.can_tell
    figure = critical_difference(ranking)
    assert not [line for line in figure.axes[0].lines if line.get_gid() == "group"]
    assert "Too few to tell any pair apart at 5%" in labels(figure)
    # 6 pairs: 6 / 2^4 = 0.375 here, and 6 / 2^6 = 0.09, 6 / 2^7 = 0.047.
    assert "p ≥ 0.38" in labels(figure) and "it takes 8 targets or more" in labels(figure)
    assert ranks.fewest_targets(6) == 8 and ranks.fewest_targets(28) == 11
    png, pdf = save(figure, tmp_path / "cd")
    assert png.stat().st_size > 1000 and pdf.read_bytes().startswith(b"%PDF")
