"""Checks of p, k and sizes: exponents of eq. 5, and numbers of sources that a target must have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from distillweighted.sources.zoo import admissible_sources
from distillweighted.tasks.registry import target_names
from distillweighted.workflow.problems import Problem
from distillweighted.workflow.recipes import format_p


def fewest_sources(config: Mapping[str, Any]) -> tuple[int, str]:
    """The smallest number of sources that any target has, and that target."""
    return min((len(admissible_sources(config, name)), name) for name in target_names(config))


def exponent_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """A default p that no student has."""
    methods = config["methods"]
    # DistillWeighted is read at default_p.
    exponents = methods["distill_weighted"]
    if exponents and methods["default_p"] not in exponents:
        allowed = ", ".join(map(format_p, exponents))
        text = f"{format_p(methods['default_p'])} is not one of methods.distill_weighted"
        yield Problem("methods.default_p", f"{text} (allowed: {allowed})")


def top_k_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Equal weights of the k nearest sources where those are all, so that another student has them.

    DistillEqual has the weights of all sources, or where similarity.weighting.keep says so of as
    many as that.
    """
    wanted = config["methods"]["distill_top_k"]
    if not wanted:
        return
    limit, target = fewest_sources(config)
    keep = config["similarity"]["weighting"]["keep"]
    twin = keep if 0 in config["methods"]["distill_weighted"] else None
    allowed = f"(allowed: a whole number from 2 to {limit - 1})" if limit > 2 else "(allowed: [])"
    for i, k in enumerate(wanted):
        path = f"methods.distill_top_k.{i}"
        if k >= limit:
            yield Problem(
                path,
                f"{k} is all of the {limit} sources of target '{target}', or more, which "
                f"distill_weighted weights equally at p = 0 {allowed}",
            )
        elif k == twin:
            yield Problem(
                path,
                f"{k} is similarity.weighting.keep, so that this is distill_weighted at p = 0; "
                "leave out one of the two",
            )


def subset_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Random subsets of as many sources as there are, or more, whose student another one is."""
    limit, target = fewest_sources(config)
    for i, size in enumerate(config["methods"]["distill_subset_sizes"]):
        if size >= limit:
            allowed = f"a whole number from 1 to {limit - 1}" if limit > 1 else "[]"
            yield Problem(
                f"methods.distill_subset_sizes.{i}",
                f"{size} is all of the {limit} sources of target '{target}', or more, which "
                f"distill_weighted weights (allowed: {allowed})",
            )


def other_k_problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """A k of Table 3 of more sources than a target has."""
    if not config["methods"]["distill_single"]:
        return
    limit, target = fewest_sources(config)
    for i, k in enumerate(config["figures"]["other_k"] or []):
        if k > limit:
            yield Problem(
                f"figures.other_k.{i}",
                f"{k:g} is more than the {limit} sources of target '{target}' "
                f"(allowed: a whole number from 1 to {limit})",
            )
