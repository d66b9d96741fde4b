"""The grid of students: which there are, each once, and who trains with whom."""

import copy
import math
import re
from collections import Counter
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillweighted.methods import METHODS, Method
from distillweighted.sources.zoo import (
    Model,
    admissible_sources,
    baseline_architectures,
    excluded_sources,
    list_sources,
)
from distillweighted.workflow import grid, recipes
from distillweighted.workflow.recipes import Recipe

PAPER_TARGETS = ["cifar10", "cub200", "chestx", "eurosat", "isic", "nabird", "oxford_pets"]
PAPER_TARGETS += ["stanford_dogs"]
PAPER_TASKS = ["cifar10", "cub200", "caltech101", "nabird", "oxford_pets", "stanford_dogs"]
PAPER_TASKS += ["voc2007"]
PAPER_ARCHITECTURES = ["alexnet", "googlenet", "resnet18", "resnet50"]
BANK = {"from": "bank", "multi_label_outputs": "softmax"}
CONTROLS = ["pass_through", "labeled_batch", "random_head", "shuffled_labels", "oracle_selection"]
FURTHER = ["distill_prototypes", "distill_features", "distill_fixmatch", "distill_decoupled"]
FURTHER += ["distill_standardized", "distill_views", "probe_ensemble"]
LABELS = {"label_fraction": 0.2, "other_label_fractions": []}


def make_config(**changes: Any) -> dict[str, Any]:
    """The paper's grid as a complete configuration, with dotted paths (a__b) replaced."""
    config: dict[str, Any] = {
        "targets": list(PAPER_TARGETS),
        "seeds": [0],
        "sources": [
            {**BANK, "architectures": list(PAPER_ARCHITECTURES), "tasks": list(PAPER_TASKS)}
        ],
        "exclude": [],
        "methods": {
            "distill_single": True,
            "distill_single_seeds": None,
            "distill_weighted": [0.0, 1.0, 12.0, math.inf],
            "distill_inverse": True,
            "distill_random_weights": 2,
            **dict.fromkeys(FURTHER, False),
            "distill_auto_p": False,
            "distill_top_k": [],
            "distill_subset_sizes": [],
            "default_p": 12.0,
        },
        "student": {
            "architecture": "mobilenetv3",
            "initialization": "imagenet",
            "other_architectures": [],
        },
        "baselines": {
            "in_transfer": True,
            "in_fixmatch": True,
            "probe_labels": False,
            "source_architectures": None,
            "source_architecture_seeds": None,
        },
        "controls": dict.fromkeys(CONTROLS, False),
        "tuning": None,
        "training": {"cohort": 8, "lambda": 0.8, "other_lambdas": [], **LABELS},
    }
    for path, value in changes.items():
        *above, last = path.split("__")
        place = config
        for part in above:
            place = place[part]
        place[last] = value
    return config


def recipes_of(config: dict[str, Any], target: str) -> list[str]:
    """The recipes of a target's students in the first seed."""
    students = grid.student_grid(config)
    first = (students["target"] == target) & (students["seed"] == config["seeds"][0])
    return students.loc[first, "recipe"].tolist()


def test_the_papers_grid_has_204_single_source_students() -> None:
    students = grid.student_grid(make_config())
    singles = students[students["method"] == "distill_single"]
    assert len(singles) == 204
    counts = singles.groupby("target").size()
    own = set(PAPER_TARGETS) & set(PAPER_TASKS)
    assert counts.to_dict() == {name: 24 if name in own else 28 for name in PAPER_TARGETS}
    assert Counter(counts) == {24: 5, 28: 3}
    assert not any(
        source.endswith(f"_{name}") for source, name in zip(singles.source, singles.target)
    )


def test_the_papers_grid_of_one_target() -> None:
    students = grid.student_grid(make_config(seeds=[0, 5]))
    assert list(students.columns) == grid.COLUMNS
    isic = students[(students["target"] == "isic") & (students["seed"] == 5)]
    others = isic[isic["method"] != "distill_single"].set_index("recipe")
    assert set(others.index) == {
        "distill_weighted-p0",
        "distill_weighted-p1",
        "distill_weighted-p12",
        "distill_inverse",
        "distill_random_weights-draw0",
        "distill_random_weights-draw1",
        "in_transfer",
        "in_fixmatch",
        *(f"in_transfer-{name}" for name in PAPER_ARCHITECTURES),
        *(f"finetune_selected_source-{name}" for name in PAPER_ARCHITECTURES),
    }
    assert others.loc["distill_weighted-p12", "p"] == 12
    assert others["p"].notna().sum() == 3
    assert others["source"].isna().all()
    assert others.loc["distill_random_weights-draw1", "draw"] == 1
    assert (others["draw"] >= 0).sum() == 2
    by_architecture = others["student"].to_dict()
    assert by_architecture["in_transfer-resnet18"] == "resnet18"
    assert by_architecture["finetune_selected_source-alexnet"] == "alexnet"
    assert by_architecture["in_transfer"] == by_architecture["in_fixmatch"] == "mobilenetv3"
    single = isic[isic["recipe"] == "distill_single-resnet50_voc2007"].iloc[0]
    assert (single["source"], single["student"]) == ("resnet50_voc2007", "mobilenetv3")
    assert math.isnan(single["p"]) and single["draw"] == -1


def test_nearest_is_trained_only_where_no_single_is() -> None:
    assert "distill_weighted-pinf" not in recipes_of(make_config(), "isic")
    alone = recipes_of(make_config(methods__distill_single=False), "isic")
    assert alone.count("distill_weighted-pinf") == 1
    assert not any(recipe.startswith("distill_single") for recipe in alone)
    never = make_config(methods__distill_single=False, methods__distill_weighted=[12.0])
    assert "distill_weighted-pinf" not in recipes_of(never, "isic")


def test_methods_and_baselines_can_be_switched_off() -> None:
    config = make_config(
        methods={
            "distill_single": False,
            "distill_weighted": [],
            "distill_inverse": False,
            "distill_random_weights": 0,
            **dict.fromkeys(FURTHER, False),
            "distill_auto_p": False,
            "distill_top_k": [],
            "distill_subset_sizes": [],
            "distill_single_seeds": None,
            "default_p": 12.0,
        },
        baselines={
            "in_transfer": False,
            "in_fixmatch": False,
            "probe_labels": False,
            "source_architectures": [],
            "source_architecture_seeds": None,
        },
    )
    students = grid.student_grid(config)
    assert students.empty and list(students.columns) == grid.COLUMNS


def test_the_students_own_architecture_has_no_second_in_transfer() -> None:
    config = make_config(student__architecture="resnet18")
    recipes = recipes_of(config, "isic")
    assert "in_transfer-resnet18" not in recipes
    assert {"in_transfer", "in_transfer-alexnet", "finetune_selected_source-resnet18"} <= {*recipes}


def test_no_in_transfer_of_other_architectures_from_a_random_start() -> None:
    recipes = recipes_of(make_config(student__initialization="random"), "isic")
    assert not any(recipe.startswith("in_transfer-") for recipe in recipes)
    assert "in_transfer" in recipes


def test_fine_tuning_only_where_the_architecture_has_a_source() -> None:
    groups = [
        {**BANK, "architectures": ["alexnet"], "tasks": ["cub200"]},
        {**BANK, "architectures": ["resnet18"], "tasks": ["cub200", "voc2007"]},
    ]
    config = make_config(sources=groups)
    assert "finetune_selected_source-alexnet" in recipes_of(config, "isic")
    own = recipes_of(config, "cub200")
    assert "finetune_selected_source-alexnet" not in own
    assert {"finetune_selected_source-resnet18", "in_transfer-alexnet"} <= {*own}


def test_chosen_baseline_architectures() -> None:
    config = make_config(baselines__source_architectures=["resnet50"])
    assert baseline_architectures(config) == ["resnet50"]
    assert baseline_architectures(make_config()) == PAPER_ARCHITECTURES
    chosen = [r for r in recipes_of(config, "isic") if r.startswith(("in_transfer-", "finetune"))]
    assert chosen == ["in_transfer-resnet50", "finetune_selected_source-resnet50"]


def test_exclusions_by_source_and_by_task_with_reasons() -> None:
    config = make_config(
        exclude=[
            {"target": "cub200", "sources": ["nabird", "alexnet_voc2007", "cub200"]},
            {"target": "isic", "sources": ["resnet18_voc2007"]},
        ]
    )
    before = copy.deepcopy(config)
    excluded = excluded_sources(config, "cub200")
    own = {f"{name}_cub200": "trained on the target's own task" for name in PAPER_ARCHITECTURES}
    listed = [f"{name}_nabird" for name in PAPER_ARCHITECTURES] + ["alexnet_voc2007"]
    assert excluded == {**own, **dict.fromkeys(listed, "listed under `exclude`")}
    assert excluded_sources(config, "isic") == {"resnet18_voc2007": "listed under `exclude`"}
    assert excluded_sources(config, "eurosat") == {}
    names = [source.name for source in admissible_sources(config, "cub200")]
    assert names == sorted(names) and len(names) == 28 - 9
    assert not set(names) & set(excluded)
    assert config == before


def test_sources_are_sorted_by_name_whatever_the_order_of_the_configuration() -> None:
    sources = list_sources(make_config())
    assert len(sources) == 28
    assert [s.name for s in sources] == sorted(s.name for s in sources)
    turned = [{**BANK, "architectures": PAPER_ARCHITECTURES[::-1], "tasks": PAPER_TASKS[::-1]}]
    assert list_sources(make_config(sources=turned)) == sources
    assert sources[0] == Model(
        "alexnet_caltech101", "alexnet", "caltech101", "bank", num_outputs=101
    )


def test_every_label_fraction_is_a_replicate_of_every_seed() -> None:
    config = make_config(seeds=[0, 5], training__other_label_fractions=[0.05])
    assert grid.list_replicates(config) == [
        grid.Replicate("0", 0, 0.2),
        grid.Replicate("5", 5, 0.2),
        grid.Replicate("0-labels0.05", 0, 0.05),
        grid.Replicate("5-labels0.05", 5, 0.05),
    ]
    students = grid.student_grid(config)
    assert len(students) == 2 * len(grid.student_grid(make_config(seeds=[0, 5])))
    few = students[students["label_fraction"] == 0.05]
    assert set(few["replicate"]) == {"0-labels0.05", "5-labels0.05"}


def test_a_student_may_start_from_its_nearest_source() -> None:
    config = make_config(
        student__architecture="resnet50",
        student__initialization="nearest_source",
        baselines__in_transfer=False,
        baselines__in_fixmatch=False,
        baselines__source_architectures=[],
    )
    assert "finetune_selected_source-resnet50" in recipes.weight_recipes(config)
    assert not grid.student_grid(config)["recipe"].str.contains("transfer|finetune").any()


def test_weight_recipes() -> None:
    config = make_config(
        methods__distill_weighted=[0.0, 0.5], baselines__source_architectures=["alexnet"]
    )
    assert recipes.weight_recipes(config) == {
        "distill_weighted-p0": Recipe("distill_weighted", p=0.0),
        "distill_weighted-p0.5": Recipe("distill_weighted", p=0.5),
        # It names the nearest source.
        "distill_weighted-pinf": Recipe("distill_weighted", p=math.inf),
        "distill_inverse": Recipe("distill_inverse"),
        "distill_random_weights-draw0": Recipe("distill_random_weights", draw=0),
        "distill_random_weights-draw1": Recipe("distill_random_weights", draw=1),
        "finetune_selected_source-alexnet": Recipe(
            "finetune_selected_source", architecture="alexnet"
        ),
    }


@pytest.mark.parametrize("singles", [True, False])
def test_every_student_of_several_sources_has_a_weight_recipe(singles: bool) -> None:
    config = make_config(methods__distill_single=singles)
    students = grid.student_grid(config)
    needing = students["method"].isin(
        [method.name for method in METHODS.values() if method.weights not in (None, "single")]
    )
    assert set(students.loc[needing, "recipe"]) <= set(recipes.weight_recipes(config))
    assert not set(students.loc[~needing, "recipe"]) & set(recipes.weight_recipes(config))


@pytest.mark.parametrize(
    ("p", "text"),
    [(12, "12"), (12.0, "12"), (0.0, "0"), (-0.0, "0"), (0.5, "0.5"), (math.inf, "inf"),
     (1e-05, "1e-05"), (100.0, "100"), (1e22, "1e+22"), (10.25, "10.25")],
)  # fmt: skip
def test_format_p(p: float, text: str) -> None:
    assert recipes.format_p(p) == text
    assert recipes.format_p(pd.Series([float(p)])[0]) == text  # a NumPy number too


EXPONENTS = st.floats(min_value=0, allow_nan=False) | st.integers(0, 1000).map(float)


@given(EXPONENTS)
def test_format_p_can_be_read_back_and_stand_in_a_path(p: float) -> None:
    # Reading back gives the same number, so two exponents never share a name.
    text = recipes.format_p(p)
    assert float(text) == p
    assert re.fullmatch(r"[0-9a-z.+-]+", text)


@st.composite
def configs(draw: st.DrawFn) -> dict[str, Any]:
    """Complete configurations, with groups of sources that share nothing but names of tasks."""
    names = st.sampled_from
    split = draw(st.integers(1, 3))
    tasks = st.lists(names(PAPER_TASKS), min_size=1, unique=True)
    groups = [
        {**BANK, "architectures": PAPER_ARCHITECTURES[:split], "tasks": draw(tasks)},
        {**BANK, "architectures": PAPER_ARCHITECTURES[split:], "tasks": draw(tasks)},
    ]
    excluded = st.fixed_dictionaries(
        {
            "target": names(PAPER_TARGETS),
            "sources": st.lists(names([*PAPER_TASKS, "alexnet_cub200"]), max_size=3),
        }
    )
    architectures = st.lists(names(PAPER_ARCHITECTURES), unique=True)
    return {
        "targets": draw(st.lists(names(PAPER_TARGETS), min_size=1, max_size=3, unique=True)),
        "seeds": draw(st.lists(st.integers(0, 9), min_size=1, max_size=2, unique=True)),
        "sources": groups,
        "exclude": draw(st.lists(excluded, max_size=2)),
        "methods": {
            "distill_single": draw(st.booleans()),
            "distill_single_seeds": None,
            "distill_weighted": draw(st.lists(EXPONENTS, max_size=4, unique=True)),
            "distill_inverse": draw(st.booleans()),
            "distill_random_weights": draw(st.integers(0, 3)),
            **{name: draw(st.booleans()) for name in FURTHER},
            "distill_auto_p": draw(st.booleans()),
            "distill_top_k": draw(st.lists(st.integers(2, 9), max_size=2, unique=True)),
            "distill_subset_sizes": draw(st.lists(st.integers(1, 9), max_size=2, unique=True)),
            "default_p": draw(EXPONENTS),
        },
        "student": {
            "architecture": draw(names(["mobilenetv3", *PAPER_ARCHITECTURES])),
            "initialization": draw(names(["imagenet", "random"])),
            "other_architectures": draw(st.lists(names(["wide", "vast"]), unique=True)),
        },
        "baselines": {
            "in_transfer": draw(st.booleans()),
            "in_fixmatch": draw(st.booleans()),
            "probe_labels": draw(st.booleans()),
            "source_architectures": draw(st.none() | architectures),
            "source_architecture_seeds": None,
        },
        "controls": {name: draw(st.booleans()) for name in CONTROLS},
        "tuning": None,
        "training": {
            "cohort": draw(st.integers(1, 9)),
            "lambda": 0.8,
            "other_lambdas": draw(st.lists(names([0.0, 0.5, 0.8, 1.0]), max_size=2, unique=True)),
            "label_fraction": 0.2,
            "other_label_fractions": draw(st.lists(names([0.05, 0.1]), max_size=2, unique=True)),
        },
    }


@settings(max_examples=100)
@given(configs())
def test_no_student_twice_and_no_forbidden_source(config: dict[str, Any]) -> None:
    students = grid.student_grid(config)
    assert not students.duplicated(["target", "replicate", "recipe"]).any()
    # A recipe's name says all: no two recipes train the same thing either.
    what = ["target", "replicate", "method", "p", "source", "draw", "keep", "subset", "student"]
    lambdas = students["recipe"].str.extract("-lambda(.+)$")[0]
    assert not students.assign(lam=lambdas).duplicated([*what, "lam"]).any()
    singles = students[students["method"] == "distill_single"]
    for target, source in set(zip(singles["target"], singles["source"])):
        assert source not in excluded_sources(config, target)
    assert not students["recipe"].str.contains("/").any()
    inf = "distill_weighted-pinf" in set(students["recipe"])
    methods = config["methods"]
    assert inf == (math.inf in methods["distill_weighted"] and not methods["distill_single"])
    assert f"in_transfer-{config['student']['architecture']}" not in set(students["recipe"])
    for row in students[students["method"] == "finetune_selected_source"].itertuples():
        usable = {s.architecture for s in admissible_sources(config, row.target)}
        assert row.student in usable


def cohorts_of(config: dict[str, Any]) -> dict[tuple, str]:
    """The cohort of every student."""
    students = grid.student_grid(config)
    keys = zip(students["target"], students["replicate"], students["recipe"])
    return dict(zip(keys, students["cohort"]))


@settings(max_examples=100)
@given(configs(), EXPONENTS)
def test_cohorts(config: dict[str, Any], added: float) -> None:
    cohorts = cohorts_of(config)
    sizes = Counter((target, seed, cohort) for (target, seed, _), cohort in cohorts.items())
    size = config["training"]["cohort"]
    assert max(sizes.values(), default=0) <= size
    # Full but for the last of each kind: single sources, and all others.
    for target in config["targets"]:
        seed = str(config["seeds"][0])
        partial = [n for (t, s, _), n in sizes.items() if (t, s) == (target, seed) and n < size]
        assert len(partial) <= 2
    # The same in every seed, so that a seed more changes nothing; other label fractions have no
    # students of other architectures, and may have others.
    for (target, replicate, recipe), cohort in cohorts.items():
        _, *labels = replicate.split("-", 1)
        names = ["-".join([str(seed), *labels]) for seed in config["seeds"]]
        assert all(cohorts[target, name, recipe] == cohort for name in names)
    assert all(re.fullmatch(r"[\w.+-]+", cohort) for cohort in cohorts.values())
    if added not in config["methods"]["distill_weighted"]:
        longer = copy.deepcopy(config)
        longer["methods"]["distill_weighted"].append(added)
        later = cohorts_of(longer)
        # The default p may come with students for the effect of lambda, and it and infinity with
        # those of other architectures.
        others = config["student"]["other_architectures"]
        if added != config["methods"]["default_p"] and not (others and math.isinf(added)):
            assert {key: later[key] for key in cohorts} == cohorts
        trained = not (math.isinf(added) and config["methods"]["distill_single"])
        # The effect of lambda is that on the default p.
        new = {
            r for _, _, r in set(later) - set(cohorts) if not re.search("-(lambda|wide|vast)", r)
        }
        assert new == ({f"distill_weighted-p{recipes.format_p(added)}"} if trained else set())


def test_cohort_sizes_of_the_paper() -> None:
    students = grid.student_grid(make_config())
    isic = Counter(students.loc[students["target"] == "isic", "cohort"])
    assert [isic[f"distill_single-{i}"] for i in range(5)] == [8, 8, 8, 4, 0]
    assert (isic["others-0"], isic["others-1"], len(isic)) == (8, 8, 6)
    alone = grid.student_grid(make_config(training__cohort=1))
    assert (alone["cohort"] == alone["recipe"]).all()


def test_a_method_more_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"label": "Mine", "objective": "fixmatch", "weights": "power"}
    once = Method("once", switch="methods.once", variants="default_p", **facts)
    often = Method("often", switch="methods.often", variants="exponents", **facts)
    monkeypatch.setitem(METHODS, "once", once)
    monkeypatch.setitem(METHODS, "often", often)
    config = make_config()
    config["methods"] |= {"once": True, "often": [1.0, math.inf], "default_p": 12.0}
    students = grid.student_grid(config)
    mine = students[students["method"].isin(["once", "often"]) & (students["target"] == "isic")]
    # Infinity too: it is no single-source student, which is trained otherwise.
    assert mine["recipe"].tolist() == ["once-p12", "often-p1", "often-pinf"]
    assert mine["cohort"].tolist() == ["others-0", "others-2", "others-2"]
    assert set(mine["recipe"]) <= set(recipes.weight_recipes(config))
    off = {**config, "methods": {**config["methods"], "once": False, "often": []}}
    assert set(students["recipe"]) - set(grid.student_grid(off)["recipe"]) == set(mine["recipe"])


def assert_same_students(left: pd.DataFrame, right: pd.DataFrame) -> None:
    """All but which of them share a process, on which no result depends."""
    left, right = (students.drop(columns="cohort") for students in (left, right))
    pd.testing.assert_frame_equal(left.reset_index(drop=True), right)


def test_methods_that_are_not_the_papers_are_asked_for_and_change_no_student() -> None:
    config = make_config()
    asked = {f"methods__{name}": True for name in FURTHER}
    more = make_config(**asked, baselines__probe_labels=True)
    before, after = grid.student_grid(config), grid.student_grid(more)
    added = after[after["method"].isin([*FURTHER, "probe_labels"])]
    assert_same_students(after.drop(added.index), before)
    isic = added[added["target"] == "isic"]
    assert isic["recipe"].tolist() == [*(f"{name}-p12" for name in FURTHER), "probe_labels"]
    assert isic["cohort"].str.startswith("others-").all()
    assert set(isic["student"]) == {"mobilenetv3"}
    stored = recipes.weight_recipes(more)
    for name in FURTHER:
        assert stored.pop(f"{name}-p12") == Recipe(name, p=12.0)
    assert stored == recipes.weight_recipes(config)


def test_choices_of_weights_are_asked_for_and_change_no_student() -> None:
    config = make_config()
    more = make_config(methods__distill_auto_p=True, methods__distill_top_k=[3, 5])
    before, after = grid.student_grid(config), grid.student_grid(more)
    added = after[after["method"].isin(["distill_auto_p", "distill_top_k"])]
    assert_same_students(after.drop(added.index), before)
    isic = added[added["target"] == "isic"]
    assert isic["recipe"].tolist() == ["distill_auto_p", "distill_top_k-k3", "distill_top_k-k5"]
    assert isic["keep"].tolist() == [-1, 3, 5] and set(before["keep"]) == {-1}
    assert isic["p"].isna().all()
    stored = set(recipes.weight_recipes(more)) - set(recipes.weight_recipes(config))
    assert stored == set(isic["recipe"])
    # Of several k, none is the student of the method.
    deployed = grid.deployable({**more, "choice": None})
    assert deployed["distill_auto_p"] == Recipe("distill_auto_p")
    assert "distill_top_k" not in deployed


def test_random_subsets_are_asked_for_and_change_no_student() -> None:
    config = make_config()
    more = make_config(methods__distill_subset_sizes=[1, 4])
    before, after = grid.student_grid(config), grid.student_grid(more)
    added = after[after["method"] == "distill_subset"]
    assert_same_students(after.drop(added.index), before)
    isic = added[added["target"] == "isic"]
    # Of one source it is a single-source student, which is there.
    assert isic[["recipe", "p", "subset"]].values.tolist() == [["distill_subset-n4", 12.0, 4]]
    alone = make_config(methods__distill_subset_sizes=[1, 4], methods__distill_single=False)
    assert [name for name in recipes_of(alone, "isic") if "subset" in name] == [
        "distill_subset-n1",
        "distill_subset-n4",
    ]
    stored = recipes.weight_recipes(more)
    assert stored["distill_subset-n4"] == Recipe("distill_subset", p=12.0, subset=4)
    assert "distill_subset" not in grid.deployable({**more, "choice": None})


def test_students_of_other_architectures_are_asked_for_and_change_no_student() -> None:
    config = make_config(methods__distill_single=False)
    more = make_config(
        methods__distill_single=False, student__other_architectures=["wide", "resnet18"]
    )
    before, after = grid.student_grid(config), grid.student_grid(more)
    added = after[after["student"] == "wide"]
    isic = added[added["target"] == "isic"]
    assert isic["recipe"].tolist() == [
        "in_transfer-wide",
        "distill_weighted-p12-wide",
        "distill_weighted-pinf-wide",
    ]
    # This one's IN+Transfer is a baseline already.
    resnet = after[(after["student"] == "resnet18") & (after["target"] == "isic")]
    assert sorted(resnet["recipe"]) == [
        "distill_weighted-p12-resnet18",
        "distill_weighted-pinf-resnet18",
        "finetune_selected_source-resnet18",
        "in_transfer-resnet18",
    ]
    new = after[~after["recipe"].isin(before["recipe"])]
    assert set(new["recipe"]) == {*isic["recipe"], *sorted(resnet["recipe"])[:2]}
    assert_same_students(after.drop(new.index), before)
    # They have the weights of the student's own recipes.
    assert recipes.weight_recipes(more) == recipes.weight_recipes(config)
    assert Recipe("distill_weighted", p=12.0, architecture="wide").weights_name == (
        "distill_weighted-p12"
    )
    selected = Recipe("finetune_selected_source", architecture="resnet18")
    assert selected.weights_name == "finetune_selected_source-resnet18"
    assert grid.deployable({**more, "choice": None})["distill_weighted"] == Recipe(
        "distill_weighted", p=12.0
    )


def test_controls_are_asked_for_one_by_one_and_change_no_student() -> None:
    config = make_config()
    more = make_config(controls=dict.fromkeys(CONTROLS, True))
    before, after = grid.student_grid(config), grid.student_grid(more)
    added = after[after["method"].str.startswith("control_")]
    assert_same_students(after.drop(added.index), before)
    isic = added[added["target"] == "isic"]
    assert isic["recipe"].tolist() == [
        "control_pass_through-p12",
        "control_labeled_batch",
        "control_random_head-p12",
        "control_shuffled_labels-p12",
    ]  # the oracle trains nothing
    assert set(isic["student"]) == {"mobilenetv3"}
    stored = set(recipes.weight_recipes(more)) - set(recipes.weight_recipes(config))
    assert stored == set(isic["recipe"]) - {"control_labeled_batch"}
    deployed = grid.deployable({**more, "choice": None})
    assert not any(name.startswith("control_") for name in deployed)


def test_other_lambdas_are_students_of_the_default_p_alone() -> None:
    config = make_config(training__other_lambdas=[0.5, 0.8, 1.0], targets=["isic"])
    names = recipes_of(config, "isic")
    assert [name for name in names if "lambda" in name] == [
        "distill_weighted-p12-lambda0.5",
        "distill_weighted-p12-lambda1",
    ]  # 0.8 is that of all others
    # The control that distils nothing is the student of lambda = 1.
    config["controls"]["pass_through"] = True
    assert "distill_weighted-p12-lambda1" not in recipes_of(config, "isic")
    assert "control_pass_through-p12" in recipes_of(config, "isic")
    # Of the first label fraction alone.
    config["training"]["other_label_fractions"] = [0.1]
    students = grid.student_grid(config)
    of_lambdas = students[students["recipe"].str.contains("lambda")]
    assert set(of_lambdas["label_fraction"]) == {0.2}
    # They are no method of the tables, and nothing is chosen for them.
    recipe = Recipe("distill_weighted", p=12.0, lam=0.5)
    assert recipes.methods_of(recipe, 12.0) == [] and not recipes.is_chosen(recipe)


def test_only_the_first_seeds_may_have_single_sources_and_source_architectures() -> None:
    config = make_config(
        targets=["isic"],
        seeds=[7, 3, 5],
        methods__distill_single_seeds=2,
        baselines__source_architecture_seeds=1,
    )
    students = grid.student_grid(config)
    seeds = students.groupby("recipe")["seed"].agg(list)
    assert seeds["distill_single-alexnet_cub200"] == [7, 3]
    # Nearest is read from the singles where they are, and trained where they are not.
    assert seeds["distill_weighted-pinf"] == [5]
    assert seeds["distill_weighted-p12"] == [7, 3, 5]
    assert seeds["in_transfer-alexnet"] == seeds["finetune_selected_source-resnet18"] == [7]


def test_tuning_trains_every_recipe_at_every_rate_and_at_no_other() -> None:
    rates = [0.001, 0.002, 0.004]
    plain = make_config(targets=["isic"], methods__distill_single=False)
    tuned = make_config(
        targets=["isic"], methods__distill_single=False, tuning={"learning_rates": rates}
    )
    names = recipes_of(plain, "isic")
    assert sorted(recipes_of(tuned, "isic")) == sorted(f"{n}-rate{r}" for n in names for r in rates)
    assert grid.deployable(tuned) == {}
