"""What the jobs that score and weight sources are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from distillweighted.jobs import Job


@dataclass(frozen=True)
class ScoreJob(Job):
    """What a job that scores the sources of a target is told."""

    target: str
    """The target."""

    seed: int
    """Seed of the probe."""

    sources: tuple[str, ...]
    """The sources, in the order of their files."""

    probe_size: int
    """Labelled images to score on."""

    metrics: tuple[str, ...]
    """Names in `metrics.registry.METRICS`, or ensembles of these (`similarity.ensembles`)."""

    representations: tuple[str, ...]
    """Names in `metrics.registry.REPRESENTATIONS`."""


@dataclass(frozen=True)
class ProbeJob(Job):
    """What a job that fits the linear probe of a target's nearest source is told."""

    target: str
    """The target."""

    seed: int
    """Seed of the folds."""

    sources: tuple[str, ...]
    """The sources, in the order of their files."""


@dataclass(frozen=True)
class RankingJob(Job):
    """What a job that ranks the sources of a target is told."""

    scores: ScoreJob
    """What is computed, and of which probe."""

    metric: str
    """The metric, or the ensemble, that selects sources."""

    representation: str
    """Of which representation."""

    start: str | None
    """The model that the student starts from, whose outputs are the last file unless it is one of
    the sources; None where it starts from none."""

    half_samples: int
    """Halves of the probe that the intervals are made of."""

    @property
    def models(self) -> tuple[str, ...]:
        """The models whose outputs it reads, in the order of their files."""
        sources = self.scores.sources
        return sources if self.start in (None, *sources) else (*sources, self.start)

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Self:
        return super().of({**params, "scores": ScoreJob.of(params["scores"])})


@dataclass(frozen=True)
class WeightsJob(Job):
    """What a job that computes a recipe's weights is told."""

    target: str
    """The target."""

    seed: int
    """Seed of random weights."""

    weighting: str
    """How scores become weights: a name in `weighting.WEIGHTINGS`."""

    p: float | None
    """The exponent of eq. 5, 0 to infinity; None where there is none."""

    draw: int | None
    """The number of a draw of random weights; None of others."""

    architecture: str | None
    """The architecture whose sources take part; None for all."""

    metric: str
    """The metric, or the ensemble, that weights."""

    representation: str
    """Of which representation."""

    fallback: str
    """What to do where no score is above 0: error, equal or nearest."""

    keep: int | None
    """How many of the nearest sources take part in eq. 5, or in equal weights; None for all."""

    random_sources: int | None
    """How many sources random weights cover; None for all."""

    architectures: Mapping[str, str]
    """Architecture of each source that may serve the target."""

    transform: str = "none"
    """What becomes of scores before they weight: a name in `transforms.TRANSFORMS`."""

    sources: tuple[str, ...] | None = None
    """The sources that may have weight; None for all."""

    spread: float | None = None
    """Of weighting `auto`: how spread log weights are (`weights.spread_exponent`); None of
    others."""

    effective_sources: float | None = None
    """Of weighting `auto`: how many sources share the weight (`weights.effective_exponent`), which
    then chooses p; None for `spread`."""

    def as_params(self) -> dict[str, Any]:
        # Left out where nothing does, so that weights from before there were these keys stand.
        params = super().as_params()
        defaults = {"transform": "none", "sources": None}
        defaults |= {"spread": None, "effective_sources": None}
        return {k: v for k, v in params.items() if k not in defaults or v != defaults[k]}

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Self:
        p = params["p"]
        return super().of({**params, "p": None if p is None else float(p)})
