"""Checks of a configuration that no schema can make: names that do not exist, sizes that misfit.

Each check reads a few top-level keys and yields the problems that it finds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from distillweighted.networks.architectures import (
    TORCHVISION,
    describe_unknown,
    is_known,
)
from distillweighted.sources.origins.registry import ORIGINS
from distillweighted.sources.zoo import (
    CHOSEN_STARTS,
    IMAGENET,
    OWN_STARTS,
    admissible_sources,
    baseline_architectures,
    list_sources,
    published_reference,
    start_name,
)
from distillweighted.tasks.registry import (
    KNOWN_TASKS,
    PublishedTask,
    Task,
    list_tasks,
    target_names,
)
from distillweighted.workflow.choice_checks import choice_problems
from distillweighted.workflow.grid import list_students
from distillweighted.workflow.learning_rates import rate_problems, tuning_problems
from distillweighted.workflow.metric_checks import metric_problems
from distillweighted.workflow.own_checks import (
    own_distillation_problems,
    own_target_problems,
    own_training_problems,
)
from distillweighted.workflow.planned_methods import reference_problems
from distillweighted.workflow.problems import Problem, show, unknown_name
from distillweighted.workflow.size_checks import (
    batch_problems,
    label_problems,
    pool_problems,
    probe_problems,
)
from distillweighted.workflow.view_checks import view_problems
from distillweighted.workflow.weighting_checks import (
    exponent_problems,
    other_k_problems,
    subset_problems,
    top_k_problems,
)


def semantic_problems(config: Any, *, broken: set[str] | None) -> Iterator[Problem]:
    """Problems of the checks whose keys are intact, so that one run of them tells all there is."""
    if broken is None:
        return
    for keys, check in _CHECKS:
        if broken.isdisjoint(keys.split()):
            found = list(check(config))
            broken |= {problem.path.split(".")[0] for problem in found}
            yield from found


def _target_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    tasks = list_tasks(config)
    allowed = [
        name for name, task in tasks.items() if task.role != "generalist" and not task.multi_label
    ]
    for i, name in enumerate(target_names(config)):
        if not isinstance(config["targets"][i], str):
            continue
        if name in tasks and tasks[name].multi_label:
            text = f"'{name}' has several labels an image; such a task can only be a source's"
            yield Problem(f"targets.{i}", text)
        elif name not in allowed:
            yield unknown_name(f"targets.{i}", name, allowed, "target")
    yield from own_target_problems(config)


def _source_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    found = False
    for i, group in enumerate(config["sources"]):
        for key, text in _group_of_sources_problems(group, KNOWN_TASKS):
            found = True
            yield Problem(f"sources.{i}.{key}", text)
    if found:
        return
    sources = list_sources(config)
    names = Counter(source.name for source in sources)
    for name in sorted(name for name, count in names.items() if count > 1):
        if any(ORIGINS[s.origin].own_input for s in sources if s.name == name):
            text = f"two sources are called {show(name)}; give one of them another `name`"
            yield Problem("sources", text)
        else:
            yield Problem("sources", f"{show(name)} is listed twice (allowed: every source once)")


def _group_of_sources_problems(
    group: Mapping[str, Any], tasks: Mapping[str, Task]
) -> Iterator[tuple[str, str]]:
    """What is wrong with an entry of `sources`: pairs of a key in it and a text."""
    origins = {name: origin for name, origin in ORIGINS.items() if origin.serves_sources}
    if group["from"] not in origins:
        yield unknown_name("from", group["from"], origins, "origin")
        return
    origin, broken = origins[group["from"]], False
    allowed = {"from", *origin.required, *origin.optional}
    for key in origin.required:
        if key not in group:
            broken = True
            yield key, f"missing (from: {origin.name} needs it)"
    # The schema has told of keys that no origin takes.
    keys = {key for other in ORIGINS.values() for key in (*other.required, *other.optional)}
    for key in group:
        # This one has a default, which is in every entry.
        if key in keys - allowed and (key, group[key]) != ("multi_label_outputs", "softmax"):
            broken = True
            known = ", ".join(sorted(allowed - {"from"}))
            yield key, f"from: {origin.name} does not take this key (allowed: {known})"
    for k, name in enumerate(group.get("architectures", ())):
        if not is_known(name):
            broken = True
            yield f"architectures.{k}", describe_unknown(name)
    if "architecture" in group and not is_known(group["architecture"]):
        broken = True
        yield "architecture", describe_unknown(group["architecture"])
    for k, name in enumerate(group.get("tasks", ())):
        if name not in tasks:
            broken = True
            yield unknown_name(f"tasks.{k}", name, tasks, "task")
    if origin.problems is not None and not broken:
        yield from origin.problems(group)


def _answers_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Sources whose answers are of one target's images: names may be the same in two targets."""
    names = target_names(config)
    for i, group in enumerate(config["sources"]):
        if ORIGINS[group["from"]].check is None:
            continue
        path = f"sources.{i}.target"
        if "target" not in group and len(names) > 1:
            yield Problem(path, f"missing (needed: one of the targets, {', '.join(names)})")
        elif "target" in group and group["target"] not in names:
            yield unknown_name(path, group["target"], names, "target")


def _student_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    student = config["student"]
    if not is_known(name := student["architecture"]):
        yield Problem("student.architecture", describe_unknown(name))
    yield from _other_student_problems(student)
    allowed = {*KNOWN_TASKS, *CHOSEN_STARTS, *OWN_STARTS, IMAGENET}
    if (name := student["initialization"]) not in allowed:
        yield unknown_name("student.initialization", name, allowed, "start")
    architecture = student["architecture"]
    if name == "weights" and student["weights"] is None:
        yield Problem("student.weights", "missing (initialization: weights needs it: a file)")
    if name != "weights" and student["weights"] is not None:
        text = f"is not read with initialization: {name} (allowed: null, or that of weights)"
        yield Problem("student.weights", text)
    if name == "pretrained" and is_known(architecture) and not published_reference(architecture):
        text = f"nobody published weights of {show(architecture)} (allowed: random, weights)"
        yield Problem("student.initialization", text)
    if name == IMAGENET and architecture not in TORCHVISION:
        text = f"there are torchvision's weights only, and none of {show(architecture)}"
        yield Problem("student.initialization", f"{text} (allowed: random, or a task)")


def _other_student_problems(student: Mapping[str, Any]) -> Iterator[Problem]:
    for i, name in enumerate(student["other_architectures"]):
        path = f"student.other_architectures.{i}"
        if not is_known(name):
            yield Problem(path, describe_unknown(name))
        elif name == student["architecture"]:
            yield Problem(path, f"{show(name)} is student.architecture (allowed: others)")
        elif student["initialization"] in (*CHOSEN_STARTS, *OWN_STARTS):
            text = "these students start from a model of a task, as initialization must say"
            yield Problem(path, f"{text} (allowed: no other architecture, or such a start)")


def _initialization_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    name = config["student"]["initialization"]
    if name == "nearest_source":
        yield from _nearest_source_problems(config)
    if name in target_names(config):
        yield Problem(
            "student.initialization",
            f"'{name}' is a target; a student may not start from a model that was trained on its "
            "own target's images (allowed: random, or a task that is no target)",
        )


def _nearest_source_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    for key in ("in_transfer", "in_fixmatch"):
        if config["baselines"][key]:
            text = "a student that starts from its nearest source is no baseline (allowed: false)"
            yield Problem(f"baselines.{key}", text)
    student = config["student"]["architecture"]
    for target in target_names(config):
        if student not in {source.architecture for source in admissible_sources(config, target)}:
            yield Problem(
                "student.initialization",
                f"no source of '{target}' has the student's architecture, {show(student)}, so "
                "that there is no nearest one to start from",
            )


def _clash_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    name, student = config["student"]["initialization"], config["student"]["architecture"]
    if name in CHOSEN_STARTS:
        return
    sources = {source.name for source in list_sources(config)}
    others = config["student"]["other_architectures"]
    for architecture in dict.fromkeys([student, *others, *baseline_architectures(config)]):
        model = start_name(architecture, name)
        if model in sources:
            yield Problem(
                "student.initialization",
                f"'{name}' makes the source '{model}' the start of a student too, and the two "
                "train for different numbers of steps (allowed: random, or a task that no source "
                "of this architecture is trained on)",
            )


def _baseline_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    known = {source.architecture for source in list_sources(config)}
    for i, name in enumerate(config["baselines"]["source_architectures"] or []):
        if name not in known:
            path = f"baselines.source_architectures.{i}"
            yield unknown_name(path, name, known, "architecture among the sources")


def _figure_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    for i, name in enumerate(config["figures"]["fig1_targets"] or []):
        if name not in target_names(config):
            yield unknown_name(f"figures.fig1_targets.{i}", name, target_names(config), "target")


def _group_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    for i, group in enumerate(config["figures"]["target_groups"]):
        for k, name in enumerate(group["targets"]):
            if name not in target_names(config):
                path = f"figures.target_groups.{i}.targets.{k}"
                yield unknown_name(path, name, target_names(config), "target")
    if config["figures"]["target_groups"] and not config["baselines"]["in_transfer"]:
        text = "the table of groups shows improvements over IN+Transfer (allowed: true)"
        yield Problem("baselines.in_transfer", text)


def _exclusion_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    sources = list_sources(config)
    known = {source.name for source in sources} | {source.task for source in sources} - {""}
    for i, entry in enumerate(config["exclude"]):
        if entry["target"] not in target_names(config):
            yield unknown_name(
                f"exclude.{i}.target", entry["target"], target_names(config), "target"
            )
        for k, name in enumerate(entry["sources"]):
            if name not in known:
                yield unknown_name(f"exclude.{i}.sources.{k}", name, known, "source or source task")


def _admissible_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    for i, target in enumerate(target_names(config)):
        if not admissible_sources(config, target):
            yield Problem(
                f"targets.{i}",
                f"no source is left for '{target}' (a source trained on the target's own task "
                "never serves it); add sources or remove entries of `exclude`",
            )


def _nothing_to_train(config: Mapping[str, Any]) -> Iterator[Problem]:
    trained = {student.target for student in list_students(config)}
    for target in target_names(config):
        if target not in trained:
            yield Problem("methods", f"no student of target '{target}'; switch a method on")


def needed_data_sets(config: Mapping[str, Any]) -> list[str]:
    """The data sets whose images a run needs: targets, and tasks that it trains models on."""
    tasks = [*target_names(config)]
    tasks += [source.task for source in list_sources(config) if source.origin == "trained"]
    tasks.append(config["student"]["initialization"])
    known = list_tasks(config)
    return [t for t in dict.fromkeys(tasks) if isinstance(known.get(t), PublishedTask)]


def _root_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    tasks = needed_data_sets(config)
    if tasks and config["data_root"] is None:
        text = f"missing (needed: the folder that holds the data sets, such as {tasks[0]})"
        yield Problem("data_root", text)
    # Models of the user's own may lie anywhere.
    needing = {name for name, o in ORIGINS.items() if not (o.trained or o.own_input or o.outside)}
    reasons = [s.name for s in list_sources(config) if s.origin in needing]
    if config["student"]["initialization"] == IMAGENET:
        reasons.append("the ImageNet weights that students start from")
    if config["training"]["sources"]["initialization"] == IMAGENET:
        reasons.append("the ImageNet weights that sources start from")
    if reasons and config["models_root"] is None:
        text = f"missing (needed: the folder that holds checkpoints, such as {reasons[0]})"
        yield Problem("models_root", text)


_GRID = "exclude targets sources methods baselines controls student seeds training tuning"
"""What the grid is made of."""

_CHECKS: tuple[tuple[str, Callable[[Mapping[str, Any]], Iterator[Problem]]], ...] = (
    ("methods", exponent_problems),
    ("similarity", metric_problems),
    ("targets", _target_problems),
    ("targets training", own_training_problems),
    ("sources", _source_problems),
    ("sources targets", _answers_problems),
    ("student", _student_problems),
    ("student targets sources exclude baselines", _initialization_problems),
    ("data_root models_root targets sources student training", _root_problems),
    ("student sources baselines", _clash_problems),
    ("baselines sources", _baseline_problems),
    ("figures targets", _figure_problems),
    ("figures targets baselines", _group_problems),
    (f"figures {_GRID}", reference_problems),
    ("exclude targets sources", _exclusion_problems),
    ("exclude targets sources", _admissible_problems),
    ("exclude targets sources figures methods", other_k_problems),
    ("exclude targets sources methods similarity", top_k_problems),
    ("exclude targets sources methods", subset_problems),
    (_GRID, _nothing_to_train),
    (_GRID, own_distillation_problems),
    ("training sources", rate_problems),
    ("tuning choice training student", tuning_problems),
    (f"choice {_GRID}", choice_problems),
    ("embedded targets sources student", pool_problems),
    ("probe targets", probe_problems),
    ("training embedded targets", label_problems),
    ("training methods baselines controls sources", batch_problems),
    ("methods baselines controls sources", view_problems),
)
"""The checks, each after the top-level keys that it reads."""
