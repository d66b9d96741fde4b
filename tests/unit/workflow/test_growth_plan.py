"""What grows: subsets of the sources, and which tables and figures are planned of them."""

import itertools

import pytest

from distillweighted.workflow.run import Run
from distillweighted.workflow.subsets import drawn_sources

NAMES = list("abcdefgh")
SOURCES = [
    {
        "from": "trained",
        "architectures": ["alexnet_tiny", "resnet18_tiny"],
        "tasks": ["latin", "lesions_a", "mosaics_a"],
    }
]


def run_of(**changes):
    config = {
        "name": "grows",
        "seeds": [0, 7],
        "targets": ["lesions_b", "digits"],
        "sources": SOURCES,
        "methods": {
            "distill_single": False,
            "distill_weighted": [12],
            "distill_subset_sizes": [1, 2, 4],
        },
        "baselines": {"source_architectures": []},
    }
    for key, value in changes.items():
        config[key] = {**config.get(key, {}), **value} if isinstance(value, dict) else value
    return Run.of(config)


def test_a_larger_subset_holds_the_smaller_ones():
    drawn = [drawn_sources(NAMES, "x", 3, size) for size in range(1, 9)]
    assert [len(names) for names in drawn] == list(range(1, 9))
    assert all(names == sorted(names) for names in drawn)
    assert all(set(one) < set(next_one) for one, next_one in itertools.pairwise(drawn))
    assert drawn[-1] == NAMES
    # Whatever the order of the names.
    assert drawn_sources(NAMES[::-1], "x", 3, 4) == drawn[3]


def test_every_source_is_drawn_as_often_whatever_the_target_and_seed():
    first = [drawn_sources(NAMES, target, seed, 1)[0] for seed in range(400) for target in "xy"]
    assert all(60 < first.count(name) < 140 for name in NAMES)
    assert first[::2] != first[1::2]


@pytest.mark.parametrize("size", [0, 9])
def test_there_are_no_more_sources_than_there_are(size):
    with pytest.raises(ValueError, match=f"{size} of 8 sources"):
        drawn_sources(NAMES, "x", 0, size)


def test_what_a_student_of_a_subset_is_made_from():
    run = run_of()
    names = run.drawn_sources("digits", 7, 2)
    assert len(names) == 2 and set(names) < {source.name for source in run.admissible("digits")}
    told = run.jobs.weights("digits", "7", "distill_subset-n2")
    assert (told.weighting, told.p, told.sources) == ("power", 12.0, tuple(names))
    assert len(told.architectures) == 6
    row = run.student("digits", "distill_subset-n2", "7")
    assert run.made_from.used_sources([row]) == names
    assert run.made_from.files([row])["inference"] == [
        run.paths.inference("digits", n) for n in names
    ]
    assert run.jobs.weights("digits", "7", "distill_weighted-p12").sources is None
    assert "sources" not in run.jobs.weights("digits", "7", "distill_weighted-p12").as_params()


def test_what_is_planned_of_the_number_of_sources():
    products = run_of().products
    assert products.growth.names == ["growth_sources"]
    assert "growth_sources" in products.tables and "growth_sources" in products.figures
    assert products.growth.sizes == {f"distill_subset-n{n}": n for n in (1, 2, 4)}
    assert products.growth.all_sources == "distill_weighted-p12"
    cells = [(target, seed, len(names)) for target, seed, names in products.growth.subsets]
    assert cells == [
        (t, s, n) for t in ("lesions_b", "digits") for s in (0, 7) for n in (1, 2, 4, 6)
    ]
    # No subset stands for a method, and none is compared in Table 1.
    assert products.methods == ["in_transfer", "in_fixmatch", "distill_random_weights",
                                "distill_weighted", "distill_inverse"]  # fmt: skip


def test_all_sources_are_a_point_only_where_every_target_has_as_many():
    fewer = run_of(
        exclude=[{"target": "digits", "sources": ["latin"]}],
        methods={"distill_subset_sizes": [1, 2]},
    )
    assert fewer.products.growth.all_sources is None
    assert {len(names) for _, _, names in fewer.products.growth.subsets} == {1, 2}
    without = run_of(methods={"distill_weighted": [1], "default_p": 1})
    assert without.products.growth.all_sources == "distill_weighted-p1"


def test_growth_is_measured_against_transfer():
    assert run_of(baselines={"in_transfer": False}).products.growth.names == []
    several = run_of(training={"other_label_fractions": [0.5]})
    assert several.products.growth.names == ["growth_sources", "growth_labels"]
    none = run_of(methods={"distill_subset_sizes": []}).products
    assert none.growth.names == [] and "growth_sources" not in none.tables


def test_students_of_several_sizes():
    run = run_of(
        methods={"distill_weighted": [12, float("inf")], "distill_subset_sizes": []},
        student={"other_architectures": ["convnet_tiny_x2"]},
    )
    growth = run.products.growth
    assert growth.names == ["growth_students"] and "growth_students" in run.products.figures
    assert growth.students == ["convnet_tiny", "convnet_tiny_x2"]
    assert growth.student_recipes == [
        "distill_weighted-p12-convnet_tiny_x2",
        "distill_weighted-pinf-convnet_tiny_x2",
    ]
    row = run.student("digits", "distill_weighted-p12-convnet_tiny_x2", "7")
    (told,) = [
        s for s in run.cohort("digits", "7", row.cohort).students if s.recipe == row.recipe.name
    ]
    assert told.architecture == "convnet_tiny_x2"
    assert told.initial == "convnet_tiny_x2_generalist" and told.initial in run.models
    assert told.weights == "results/grows/weights/digits/seed7/distill_weighted-p12.csv"
    # They are in no table of the student's own methods.
    assert "distill_weighted" in run.products.methods
    alone = run_of(methods={"distill_subset_sizes": []}).products
    assert alone.growth.names == [] and alone.growth.student_recipes == []
