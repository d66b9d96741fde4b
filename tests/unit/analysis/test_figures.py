"""The figures' data by hand and by loops, and what is drawn of them."""

import itertools
import math
import random
import re

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.text import Text

from distillweighted.analysis import methods_accuracy
from distillweighted.analysis.correlation import single_source_points
from distillweighted.analysis.figures import style
from distillweighted.analysis.figures.fig1_weightings import (
    WEIGHTINGS,
    fig1_weightings,
    weightings,
)
from distillweighted.analysis.figures.fig3_single_source import fig3_single_source, reference_points
from distillweighted.analysis.figures.fig4_similarity_vs_accuracy import fig4_similarity_vs_accuracy
from distillweighted.analysis.figures.fig5_accuracy_vs_compute import (
    accuracy_vs_compute,
    fig5_accuracy_vs_compute,
)
from distillweighted.analysis.figures.fig6_effect_of_p import effect_of_p, fig6_effect_of_p

NAN, INF = float("nan"), float("inf")
POWERS = [0.0, 1.0, 12.0, INF]


def make_run(targets, seeds=(0, 1), tasks=("birds", "cars"), student="tiny", archs=("net a", "b")):
    """A whole run with random accuracies; the first source is the nearest everywhere."""
    rng = random.Random(0)
    sources = [(f"{a}_{t}", a, t) for a in archs for t in tasks]
    rows, scores, nearest = [], [], []

    def add(recipe, method, p=NAN, source=None, architecture=student):
        x = rng.uniform(40, 60)
        rows.append((target, recipe, method, p, source, seed, architecture, x, x))

    for target in targets:
        for seed in seeds:
            for method in ("in_transfer", "in_fixmatch", "distill_inverse"):
                add(method, method)
            for name, _, _ in sources:
                add(f"distill_single-{name}", "distill_single", source=name)
                scores.append((target, seed, name, "features", "parc", rng.random()))
            for p in POWERS:
                add(f"distill_weighted-p{p:g}", "distill_weighted", p)
            add("distill_random_weights-draw0", "distill_random_weights")
            for a in archs:
                add(f"in_transfer-{a}", "in_transfer", architecture=a)
                add(f"finetune-{a}", "finetune_selected_source", architecture=a)
            nearest.append((target, seed, sources[0][0]))
    return {
        "accuracy": pd.DataFrame(rows, columns=list(methods_accuracy.ACCURACY_COLUMNS)),
        "similarity": pd.DataFrame(
            scores, columns=["target", "seed", "source", "representation", "metric", "score"]
        ),
        "nearest": pd.DataFrame(nearest, columns=["target", "seed", "source"]),
        "sources": pd.DataFrame(sources, columns=["source", "architecture", "task"]),
        "compute": pd.DataFrame({"student": [student, *archs], "gmacs": [0.2, 0.7, 1.5]}),
        "correlation": dict.fromkeys(targets, -0.25),
    }


def draw_all(run):
    accuracy, nearest = run["accuracy"], run["nearest"]
    methods = methods_accuracy.method_accuracy(accuracy, nearest)
    points = single_source_points(accuracy, run["similarity"])
    references = reference_points(accuracy, nearest)
    compute = accuracy_vs_compute(methods, run["compute"])
    return {
        "fig1": fig1_weightings(weightings(methods)),
        "fig3": fig3_single_source(points, references, run["correlation"]),
        "fig4": fig4_similarity_vs_accuracy(points, run["correlation"], run["sources"]),
        "fig5": fig5_accuracy_vs_compute(compute),
        "fig6": fig6_effect_of_p(effect_of_p(accuracy, nearest)),
    }


@pytest.fixture(scope="module")
def run():
    return make_run(["t1", "t2", "t3"])


@pytest.fixture(scope="module")
def drawn(run):
    return draw_all(run)


def lookup(run, target, seed, recipe):
    a = run["accuracy"]
    row = (a["target"] == target) & (a["seed"] == seed) & (a["recipe"] == recipe)
    return a.loc[row, "accuracy"].item()


def mean_and_error(values):
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values))


def test_weightings_against_loops(run):
    methods = methods_accuracy.method_accuracy(run["accuracy"], run["nearest"])
    table = weightings(methods, targets=["t3", "t1"])
    assert list(table["method"]) == list(WEIGHTINGS)
    recipe = {
        "distill_nearest": "distill_single-net a_birds",
        "distill_equal": "distill_weighted-p0",
    }
    for method in ("distill_nearest", "distill_equal", "in_transfer"):
        by_seed = [
            sum(lookup(run, t, s, recipe.get(method, method)) for t in ("t1", "t3")) / 2
            for s in (0, 1)
        ]
        row = table[table["method"] == method].iloc[0]
        assert (row["accuracy"], row["standard_error"]) == pytest.approx(mean_and_error(by_seed))
        assert (row["n_targets"], row["n_seeds"]) == (2, 2)
    with pytest.raises(ValueError, match="'t9' seed 0"):
        weightings(methods, targets=["t1", "t9"])


def test_effect_of_p_against_loops(run):
    table = effect_of_p(run["accuracy"], run["nearest"])
    assert list(table["p"].unique()) == POWERS
    assert list(table["target"]) == ["t1", "t2", "t3", "mean"] * len(POWERS)
    for p in POWERS:
        # p = inf is the nearest source's own student, although pinf was trained too.
        recipe = f"distill_weighted-p{p:g}" if p < INF else "distill_single-net a_birds"
        gain = {
            (t, s): lookup(run, t, s, recipe) - lookup(run, t, s, "in_transfer")
            for t in ("t1", "t2", "t3")
            for s in (0, 1)
        }
        expected = {t: [gain[t, 0], gain[t, 1]] for t in ("t1", "t2", "t3")}
        expected["mean"] = [sum(gain[t, s] for t in ("t1", "t2", "t3")) / 3 for s in (0, 1)]
        for target, values in expected.items():
            row = table[(table["p"] == p) & (table["target"] == target)].iloc[0]
            numbers = (row["improvement"], row["standard_error"])
            assert numbers == pytest.approx(mean_and_error(values))
    fewer = run["accuracy"]
    fewer = fewer[~((fewer["p"] == 1) & (fewer["target"] == "t2") & (fewer["seed"] == 1))]
    with pytest.raises(ValueError, match=r"p 1\.0 has no result for 't2' seed 1"):
        effect_of_p(fewer, run["nearest"])


def test_single_source_points_and_references(run):
    points = single_source_points(run["accuracy"], run["similarity"])
    assert len(points) == 3 * 4
    for target, group in points.groupby("target"):
        assert sorted(group["rank"]) == pytest.approx([0, 1 / 3, 2 / 3, 1])
        assert group.sort_values("score")["rank"].is_monotonic_increasing
        row = group[group["source"] == "b_cars"].iloc[0]
        values = [lookup(run, target, s, "distill_single-b_cars") for s in (0, 1)]
        assert (row["accuracy"], row["standard_error"]) == pytest.approx(mean_and_error(values))
    references = reference_points(run["accuracy"], run["nearest"])
    # Five a target; DistillNearest is there once although two of its students are.
    assert len(references) == 3 * 5
    nearest = references[(references["target"] == "t2") & (references["p"] == INF)]
    values = [lookup(run, "t2", s, "distill_single-net a_birds") for s in (0, 1)]
    assert nearest["accuracy"].item() == pytest.approx(sum(values) / 2)
    with pytest.raises(ValueError, match="no rsa of features"):
        single_source_points(run["accuracy"], run["similarity"], metric="rsa")


def test_every_single_source_student_is_one_point(run, drawn):
    points = single_source_points(run["accuracy"], run["similarity"])
    for name, y_only in (("fig3", True), ("fig4", False)):
        clouds = drawn[name].findobj(lambda a: a.get_gid() == "single_source")
        assert all(isinstance(cloud, PathCollection) for cloud in clouds)
        drawn_points = np.concatenate([np.asarray(cloud.get_offsets()) for cloud in clouds])
        assert len(drawn_points) == 12
        np.testing.assert_allclose(np.sort(drawn_points[:, 1]), np.sort(points["accuracy"]))
        if not y_only:
            np.testing.assert_allclose(np.sort(drawn_points[:, 0]), np.sort(points["score"]))


def test_fig1_fig5_and_fig6_draw_their_numbers(run, drawn):
    methods = methods_accuracy.method_accuracy(run["accuracy"], run["nearest"])
    means = weightings(methods)
    axes = drawn["fig1"].axes[0]
    dots = [c.lines[0].get_xdata()[0] for c in axes.containers]
    np.testing.assert_allclose(dots, means["accuracy"])
    compute = accuracy_vs_compute(methods, run["compute"])
    shown = compute[compute["method"].isin(["in_transfer", "in_fixmatch", "distill_nearest"])]
    for row in shown.itertuples():
        gid = f"{row.student} {row.method}"
        (line,) = drawn["fig5"].findobj(
            lambda a, gid=gid: a.get_gid() == gid and hasattr(a, "get_xdata") and a.get_marker()
        )[:1]
        assert (line.get_xdata()[0], line.get_ydata()[0]) == (row.gmacs, row.accuracy)
    assert len(drawn["fig5"].axes[0].containers) == 4 + 2 * 2
    effect = effect_of_p(run["accuracy"], run["nearest"])
    mean = drawn["fig6"].axes[0].containers[0].lines[0]
    np.testing.assert_allclose(
        mean.get_ydata().astype(float), effect.loc[effect["target"] == "mean", "improvement"]
    )
    np.testing.assert_array_equal(mean.get_xdata(), range(len(POWERS)))
    assert len(mean.axes.containers[0].lines[2][0].get_segments()) == len(POWERS)  # error bars


def test_small_models_are_shown_in_millions(run):
    methods = methods_accuracy.method_accuracy(run["accuracy"], run["nearest"])
    small = run["compute"].assign(gmacs=[0.0013, 0.002, 0.005])
    figure = fig5_accuracy_vs_compute(accuracy_vs_compute(methods, small))
    figure.canvas.draw()
    axes = figure.axes[0]
    assert axes.get_xlabel().endswith("(10⁶)")
    ticks = dict(zip(axes.get_xticks(), [t.get_text() for t in axes.get_xticklabels()]))
    assert ticks[0.002] == "2"


def shown_texts(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_visible()]


def test_files_are_vector_and_pixel_and_the_same_each_time(run, drawn, tmp_path):
    for name, figure in drawn.items():
        png, pdf = style.save(figure, tmp_path / "one" / f"{name}.v1")
        assert (png.name, pdf.name) == (f"{name}.v1.png", f"{name}.v1.pdf")
        size = matplotlib.image.imread(png).shape[1::-1]
        assert size == pytest.approx(figure.get_size_inches() * 200, abs=1)
        content = pdf.read_bytes()
        assert content.startswith(b"%PDF")
        assert b"/FontFile2" in content and b"/Type3" not in content  # TrueType, embedded
        assert b"CreationDate" not in content
        smallest = min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text())
        assert smallest >= 7
    methods = methods_accuracy.method_accuracy(run["accuracy"], run["nearest"])
    again = fig1_weightings(weightings(methods))
    for path in style.save(again, tmp_path / "two" / "fig1"):
        first = tmp_path / "one" / path.name.replace("fig1", "fig1.v1")
        assert path.read_bytes() == first.read_bytes()


def test_drawing_leaves_the_global_style_alone(run):
    before = dict(matplotlib.rcParams)
    points = single_source_points(run["accuracy"], run["similarity"])
    fig4_similarity_vs_accuracy(points, run["correlation"], run["sources"])
    assert dict(matplotlib.rcParams) == before


def test_odd_names_are_shown_literally(tmp_path):
    odd = ["$x_1$ &\n$y$", r"%\alpha^{2} Θ→é"]
    run = make_run(
        odd, seeds=[0], tasks=("$t$", "u&\n"), student="tiny $\\pi$", archs=("n^2", "b$")
    )
    names = [r"$x 1$ &\n$y$", r"%\alpha^{2} Θ→é"]
    drawn = draw_all(run)
    style.save(drawn["fig3"], tmp_path / "fig3")
    for name, figure in drawn.items():
        figure.canvas.draw()
        texts = [re.sub(r"\s+", " ", text) for text in shown_texts(figure)]
        expected = {"fig1": [], "fig5": ["tiny $\\pi$", "n^2", "b$"]}.get(name, names)
        for wanted in expected:
            assert any(text.startswith(wanted) for text in texts), (name, wanted, texts)
        for text in figure.findobj(Text):
            assert not (set(text.get_text()) & set("$^\\") and text.get_parse_math())
    content = " ".join(shown_texts(drawn["fig4"]))
    assert "u&\\n" in content and "$t$" in content  # legends


def inside_and_apart(figure, texts):
    """Whether the texts lie within the figure and none covers another."""
    figure.canvas.draw()
    # Of the text alone: an annotation's own extent takes in the line to its point.
    boxes = [Text.get_window_extent(text) for text in texts]
    for number, box in enumerate(boxes):
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1, texts[number]
        assert box.y0 >= 0 and box.y1 <= figure.bbox.y1, texts[number]
        for other in range(number):
            assert not box.padded(-0.5).overlaps(boxes[other].padded(-0.5)), (
                texts[number],
                texts[other],
            )
    return len(boxes)


def test_labels_do_not_cover_each_other():
    targets = ["oxford_pets", "stanford_dogs", *(f"target_{i}" for i in range(6))]
    drawn = draw_all(make_run(targets, seeds=[0, 1, 2]))
    per_figure = {
        "fig3": [axes.xaxis.label for axes in drawn["fig3"].axes[:8]],
        "fig4": [axes.title for axes in drawn["fig4"].findobj(matplotlib.axes.Axes)],
        "fig5": [t for t in drawn["fig5"].axes[0].texts if t.get_text()],
        "fig6": [t for t in drawn["fig6"].axes[0].texts if t.get_text()],
    }
    expected = {"fig3": 8, "fig4": 8, "fig5": 4 + 3, "fig6": 9}
    counts = {name: inside_and_apart(drawn[name], texts) for name, texts in per_figure.items()}
    assert counts == expected


def test_spread():
    assert style.spread([0.0, 10.0], 1.0) == [0.0, 10.0]
    assert style.spread([5.0, 5.0, 5.0], 2.0) == [3.0, 5.0, 7.0]
    assert style.spread([1.0, 0.0, 9.0], 3.0) == [2.0, -1.0, 9.0]
    rng = random.Random(0)
    values = [rng.uniform(0, 10) for _ in range(30)]
    moved = style.spread(values, 0.5)
    order = sorted(range(30), key=lambda i: values[i])
    gaps = [moved[b] - moved[a] for a, b in itertools.pairwise(order)]
    assert min(gaps) >= 0.5 - 1e-9


def test_names_and_numbers():
    assert style.signed(-0.253) == "−0.25"
    assert style.signed(-0.001) == "0.00"
    assert style.signed(float("nan")) == "–"
    assert style.p_label(12.0) == "12" and style.p_label(INF) == "∞"
    assert style.method_label("distill_weighted") == "DistillWeighted"
    assert style.method_label("my_method") == "my method"


def test_nothing_to_draw_is_an_error(run):
    points = single_source_points(run["accuracy"], run["similarity"])
    with pytest.raises(ValueError, match=r"lacks \['b_birds'"):
        fig4_similarity_vs_accuracy(points, run["correlation"], run["sources"].iloc[:2])
    for call in (
        lambda: fig3_single_source(points.iloc[:0], points, {}),
        lambda: fig4_similarity_vs_accuracy(points.iloc[:0], {}),
        lambda: fig1_weightings(pd.DataFrame({"method": []})),
        lambda: fig6_effect_of_p(pd.DataFrame({"p": []})),
        lambda: fig5_accuracy_vs_compute(pd.DataFrame({"method": []})),
    ):
        with pytest.raises(ValueError, match="Fig"):
            call()
