"""The paper's methods."""

from __future__ import annotations

#: The methods in the order of the paper's Table 1; distill_inverse is only in its Fig. 1.
METHOD_ORDER = (
    "in_transfer",
    "in_fixmatch",
    "distill_random_selection",
    "distill_nearest",
    "distill_equal",
    "distill_random_weights",
    "distill_weighted",
    "distill_inverse",
    "finetune_selected_source",
)


#: The methods that a source architecture can have beside the student's.
BASELINES_OF_ANY_ARCHITECTURE = ("in_transfer", "finetune_selected_source")


def method_rank(method: str) -> tuple[int, str]:
    """A sort key: the paper's order, then further methods by name."""
    known = method in METHOD_ORDER
    return (METHOD_ORDER.index(method) if known else len(METHOD_ORDER), method)
