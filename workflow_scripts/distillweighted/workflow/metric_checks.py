"""Checks of a configuration's metrics: those that are known, computed, and fit to weight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from distillweighted.similarity.ensembles import (
    is_ensemble,
    members,
    representations_of,
    weights_as_it_is,
)
from distillweighted.similarity.metrics.registry import METRICS
from distillweighted.workflow.problems import Problem, unknown_name


def metric_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with `similarity`."""
    similarity = config["similarity"]
    weighting = similarity["weighting"]
    named = [(f"similarity.metrics.{i}", name) for i, name in enumerate(similarity["metrics"])]
    unknown = False
    for path, name in [*named, ("similarity.weighting.metric", weighting["metric"])]:
        if problems := list(_name_problems(path, name, similarity)):
            unknown |= any(member not in METRICS for member in members(name))
            yield from problems
    for key, values in (("metric", "metrics"), ("representation", "representations")):
        if weighting[key] not in similarity[values] and not (unknown and key == "metric"):
            yield Problem(
                f"similarity.weighting.{key}",
                f"'{weighting[key]}' is not computed; add it to similarity.{values} "
                f"(allowed: {', '.join(similarity[values])})",
            )
    if all(member in METRICS for member in members(weighting["metric"])):
        yield from _weighting_problems(weighting)


def _name_problems(path: str, name: str, similarity: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the name of a metric or of an ensemble."""
    strangers = [member for member in members(name) if member not in METRICS]
    for member in dict.fromkeys(strangers):
        yield unknown_name(path, member, METRICS, "metric")
    if strangers:
        return
    possible = representations_of(name)
    if not possible:
        text = f"the metrics of '{name}' have no representation in common"
        yield Problem(path, f"{text} (allowed: those that are computed of one)")
    elif not {*possible} & {*similarity["representations"]}:
        allowed = ", ".join(possible)
        yield Problem(path, f"'{name}' needs one of similarity.representations: {allowed}")
    if not is_ensemble(name):
        return
    if len({*members(name)}) < len(members(name)):
        yield Problem(path, f"'{name}' names a metric twice (allowed: each once)")
    lacking = [member for member in members(name) if member not in similarity["metrics"]]
    if lacking:
        text = f"the ranks of '{name}' need {', '.join(lacking)} too"
        yield Problem(path, f"{text}; add to similarity.metrics")


def _weighting_problems(weighting: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the metric that weights, whose name is known."""
    name = weighting["metric"]
    if weighting["transform"] == "none" and not weights_as_it_is(name):
        allowed = ", ".join(metric.name for metric in METRICS.values() if metric.can_weight)
        yield Problem(
            "similarity.weighting.metric",
            f"eq. 5 cannot weight by '{name}' as it is: it is not above 0 for similar sources, but "
            f"in {METRICS[name].range}; set similarity.weighting.transform to rank or softmax "
            f"(allowed without: {allowed})",
        )
    possible = representations_of(name)
    if possible and weighting["representation"] not in possible:
        text = f"'{name}' is not computed of {weighting['representation']}"
        yield Problem(
            "similarity.weighting.representation", f"{text} (allowed: {', '.join(possible)})"
        )
