"""The paper's methods: Table 1 as a table.

Whoever plans or prints reads it. Jobs that train do not: they are told the facts of a row (an
objective, a way to weight), so that a row more changes no student that is there. Tables and figures
are made again, in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Variants = Literal[
    "one", "default_p", "sources", "exponents", "draws", "keeps", "subsets", "architectures"
]


@dataclass(frozen=True)
class Method:
    """A method of the paper: what trains it, or what it sums up."""

    name: str
    """Its name in configurations, paths and tables."""

    label: str
    """Its name for a reader, the paper's where it has one."""

    objective: str | None = None
    """What a step of its training computes (`training.objectives`); None: it trains nothing."""

    weights: str | None = None
    """Where its weights over the sources come from (`similarity.weighting`); None: it has none."""

    start: Literal["initialization", "selected_source"] = "initialization"
    """What its students start from: `student.initialization` of the configuration, or the most
    similar source of their architecture."""

    head: str | None = None
    """What every source teaches its students by; None: each by its own head."""

    switch: str | None = None
    """The key of the configuration that asks for it."""

    variants: Variants = "one"
    """Which students of it there are for a target: one; one at `methods.default_p`; or one a
    source, exponent p, draw of random weights, number k of sources that are kept, size of a random
    subset of the sources, or source architecture."""

    other_architectures: bool = False
    """Whether the source architectures can have it beside the student's own."""

    lam: float | None = None
    """Its own lambda, whatever the configuration says; None for that of the configuration."""

    control: str | None = None
    """For a control: what it leaves out of DistillWeighted, in words. It tells where an effect
    comes from; it is never deployed, and has the learning rate of DistillWeighted."""

    sums_up: str | None = None
    """For a method that trains nothing: which students it is read from, in words."""

    origin: str = "the paper"
    """Where it is from."""


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "distill_single",
            "Single source",
            objective="distill",
            weights="single",
            switch="methods.distill_single",
            variants="sources",
        ),
        Method(
            "distill_weighted",
            "DistillWeighted",
            objective="distill",
            weights="power",
            switch="methods.distill_weighted",
            variants="exponents",
        ),
        Method(
            "distill_inverse",
            "Inverse",
            objective="distill",
            weights="inverse",
            switch="methods.distill_inverse",
        ),
        Method(
            "distill_random_weights",
            "Random weights",
            objective="distill",
            weights="random",
            switch="methods.distill_random_weights",
            variants="draws",
        ),
        Method(
            "in_transfer",
            "IN+Transfer",
            objective="transfer",
            switch="baselines.in_transfer",
            other_architectures=True,
        ),
        Method("in_fixmatch", "IN+FixMatch", objective="fixmatch", switch="baselines.in_fixmatch"),
        # Not of the paper.
        Method(
            "distill_auto_p",
            "DistillWeighted, p by spread",
            objective="distill",
            weights="auto",
            switch="methods.distill_auto_p",
            origin="this project",
        ),
        # In tables of choices of weights alone: no one k of them stands for the method.
        Method(
            "distill_top_k",
            "Equal weights of the nearest k",
            objective="distill",
            weights="equal",
            switch="methods.distill_top_k",
            variants="keeps",
            origin="this project",
        ),
        # In the table of the number of sources alone.
        Method(
            "distill_subset",
            "DistillWeighted, random sources",
            objective="distill",
            weights="power",
            switch="methods.distill_subset_sizes",
            variants="subsets",
            origin="this project",
        ),
        Method(
            "distill_prototypes",
            "DistillWeighted, prototypes",
            objective="distill",
            weights="power",
            head="prototypes",
            switch="methods.distill_prototypes",
            variants="default_p",
            origin="this project; prototypes as of Snell et al. 2017",
        ),
        Method(
            "distill_features",
            "DistillWeighted, features",
            objective="distill",
            weights="power",
            head="features",
            switch="methods.distill_features",
            variants="default_p",
            origin="regression of standardised features (UNIC, Sariyildiz et al. 2024)",
        ),
        Method(
            "distill_fixmatch",
            "DistillWeighted with FixMatch",
            objective="distill_fixmatch",
            weights="power",
            switch="methods.distill_fixmatch",
            variants="default_p",
            origin="the paper's future work; FixMatch, Sohn et al. 2020",
        ),
        Method(
            "distill_decoupled",
            "DistillWeighted, decoupled",
            objective="distill_decoupled",
            weights="power",
            switch="methods.distill_decoupled",
            variants="default_p",
            origin="DKD, Zhao et al. 2022",
        ),
        Method(
            "distill_standardized",
            "DistillWeighted, standardised logits",
            objective="distill_standardized",
            weights="power",
            switch="methods.distill_standardized",
            variants="default_p",
            origin="Sun et al. 2024",
        ),
        Method(
            "distill_views",
            "DistillWeighted, same views",
            objective="distill_views",
            weights="power",
            switch="methods.distill_views",
            variants="default_p",
            origin="consistent teaching (Beyer et al. 2022) on stored views",
        ),
        Method(
            "probe_ensemble",
            "Labels of weighted linear probes",
            objective="mixed_labels",
            weights="power",
            head="linear_probe",
            switch="methods.probe_ensemble",
            variants="default_p",
            origin="labels of several models' ensemble (V-PET, 2025), weighted by eq. 5",
        ),
        Method(
            "probe_labels",
            "Labels of the linear probe",
            objective="probe_labels",
            switch="baselines.probe_labels",
            origin="task-oriented distillation (Vemulapalli et al. 2024) with a linear probe",
        ),
        Method(
            "control_pass_through",
            "Control: nothing distilled",
            objective="distill",
            weights="power",
            lam=1.0,
            control="lambda is 1: unlabelled images pass through the network, nothing is distilled",
            switch="controls.pass_through",
            variants="default_p",
        ),
        Method(
            "control_labeled_batch",
            "Control: labelled batch alone",
            objective="labeled_batch",
            control="only the labelled images of a step of distillation, a third of its images",
            switch="controls.labeled_batch",
        ),
        Method(
            "control_random_head",
            "Control: random heads",
            objective="distill",
            weights="power",
            head="random",
            control="each source's classifier is a random one, as sharp as its own",
            switch="controls.random_head",
            variants="default_p",
        ),
        Method(
            "control_shuffled_labels",
            "Control: shuffled pseudo-labels",
            objective="distill",
            weights="power",
            head="shuffled",
            control="the pseudo-labels of other images than those that are seen",
            switch="controls.shuffled_labels",
            variants="default_p",
        ),
        Method(
            "finetune_selected_source",
            "Fine-tuned selected source",
            objective="transfer",
            weights="selected",
            start="selected_source",
            switch="baselines.source_architectures",
            variants="architectures",
            other_architectures=True,
        ),
        Method(
            "distill_random_selection",
            "Random selection",
            sums_up="the mean of all distill_single students",
        ),
        Method(
            "distill_nearest",
            "DistillNearest",
            sums_up="the distill_single student of the most similar source (p = inf)",
        ),
        Method("distill_equal", "DistillEqual", sums_up="distill_weighted with p = 0"),
        Method(
            "oracle_selection",
            "Oracle selection (sees test labels)",
            control="the source is chosen by the test labels, which no method may see",
            sums_up="the distill_single students of the source that do best on the test images",
        ),
    )
}
"""Every method by name, in the order in which their students stand in the grid."""

METHOD_ORDER = (
    "in_transfer",
    "in_fixmatch",
    "distill_random_selection",
    "distill_nearest",
    "distill_equal",
    "distill_random_weights",
    "distill_weighted",
    "distill_inverse",
    "distill_prototypes",
    "distill_features",
    "distill_fixmatch",
    "distill_decoupled",
    "distill_standardized",
    "distill_views",
    "probe_labels",
    "probe_ensemble",
    "distill_auto_p",
    "distill_top_k",
    "distill_subset",
    "control_pass_through",
    "control_labeled_batch",
    "control_random_head",
    "control_shuffled_labels",
    "oracle_selection",
    "finetune_selected_source",
)
"""The methods in the order of the paper's Table 1; distill_inverse is only in its Fig. 1, and
what follows it and the controls are not of the paper (`Method.origin`)."""

BASELINES_OF_ANY_ARCHITECTURE = tuple(m.name for m in METHODS.values() if m.other_architectures)
"""The methods that a source architecture can have beside the student's."""


def is_control(method: str) -> bool:
    """Whether a method of a table is a control or a bound, and no rival of the others."""
    return method in METHODS and METHODS[method].control is not None


def method_rank(method: str) -> tuple[int, str]:
    """A sort key: the paper's order, then further methods by name."""
    known = method in METHOD_ORDER
    return (METHOD_ORDER.index(method) if known else len(METHOD_ORDER), method)
