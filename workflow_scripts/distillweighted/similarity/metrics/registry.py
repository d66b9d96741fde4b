"""Every similarity metric by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from distillweighted.similarity.metrics.cka import cka
from distillweighted.similarity.metrics.parc import parc, rsa

METRICS: dict[str, Callable[..., float]] = {
    "parc": parc,
    "rsa": rsa,
    "cka": cka,
    "cka_debiased": partial(cka, debiased=True),
}
