"""Whether distillation is likely to pay: what can be said before a student is trained.

The assumption: a student learns most from a source whose features tell more about the target than
the student's own start does. So a linear probe on the nearest source's features is compared with
one on the start's features, both cross-validated on the same folds of the labelled images. It is an
indication and no proof: the student's size and training count too. A student that starts from no
model has no features to compare with: what is left is that the source tells more than a constant
answer, of which no verdict follows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from distillweighted.analysis.intervals import wilson_interval
from distillweighted.similarity.jobs import RankingJob
from distillweighted.sources.ranking import NORMAL, Ranking, half_samples

HALVES = 200
"""Half-samples of the labelled images."""


@dataclass(frozen=True)
class Outlook:
    """The comparison, in percentage points."""

    verdict: str | None
    """likely, unclear or unlikely; None where the student starts from no model."""

    difference: float
    """Accuracy of the probe on the source minus that on the start (without a start: minus the share
    of the largest class)."""

    low: float
    """Lower end of its 95% interval over labelled images."""

    high: float
    """Upper end."""

    ahead: float
    """In how many of the half-samples of labelled images the source is ahead, 0 to 1 (ties count
    half); NaN where no halves can be drawn."""


def outlook_of(ranking: Ranking, source: str, start: str | None, *, seed: int = 0) -> Outlook:
    """The comparison of a source with the student's start.

    The interval is that of a mean of paired differences over labelled images (normal
    approximation); folds share most of their training images, so that it is a little too narrow.

    Args:
        ranking: The ranking.
        source: The source to compare.
        start: The student's start; None to compare with a constant answer.
        seed: Seed of the half-samples.
    """
    right = ranking.correct[source].astype(float)
    differences = right - (ranking.constant / 100 if start is None else ranking.correct[start])
    mean = 100 * differences.mean()
    error = 100 * differences.std(ddof=1) / math.sqrt(len(differences))
    low, high = mean - NORMAL * error, mean + NORMAL * error
    verdict = "likely" if low > 0 else "unlikely" if high < 0 else "unclear"
    halves = half_samples(ranking.labels, HALVES, seed=seed)
    sums = np.array([differences[half].sum() for half in halves])
    # Halves of 0 and 1 sum to whole numbers; a constant answer's share does not.
    ahead = np.where(np.abs(sums) < 1e-9, 0.5, sums > 0).mean() if halves else math.nan
    return Outlook(
        verdict if start is not None else None, float(mean), float(low), float(high), float(ahead)
    )


def forecast(job: RankingJob, ranking: Ranking) -> Outlook:
    """The comparison of the nearest source with the student's start.

    Where they have the same weights, features that are better because the source sees larger images
    are no argument: *likely* becomes *unclear*.
    """
    found = outlook_of(ranking, ranking.nearest, job.start, seed=job.scores.seed)
    if found.verdict == "likely" and ranking.nearest in ranking.same_as_start:
        return replace(found, verdict="unclear")
    return found


def accuracy_interval(correct: np.ndarray) -> tuple[float, float, float]:
    """Percentage of True in `correct` [n], with Wilson's 95% interval."""
    right, count = int(np.sum(correct)), len(correct)
    low, high = wilson_interval(right, count)
    return 100 * right / count, 100 * low, 100 * high


def sentences(job: RankingJob, ranking: Ranking) -> list[str]:
    """What a ranking says, in words.

    Args:
        job: What it was computed from.
        ranking: The ranking.
    """
    nearest, best, seed = ranking.nearest, ranking.best_probe, job.scores.seed
    share = ranking.nearest_share[nearest]
    sure = "" if math.isnan(share) else f" (the nearest in {share:.0%} of half-samples)"
    said = [f"The source nearest to {job.scores.target} is {nearest}{sure}."]
    outlook = forecast(job, ranking)
    worth = f"A linear probe on its features reaches {_accuracy(ranking.correct[nearest])}"
    worth += f" on {len(ranking.labels)} labelled images, cross-validated"
    if nearest == job.start:
        said.append(f"{worth}. The student starts from this very model.")
    elif nearest in ranking.same_as_start:
        said.append(
            f"{worth}, against {_accuracy(ranking.correct[job.start])} on the student's own start, "
            f"{job.start}: {_points(outlook)}. But both have the same weights, and differ in how "
            "they are shown the images alone: a student that has its teacher's features already is "
            "no case for distillation, so it is unclear whether distillation pays."
        )
    elif outlook.verdict is None:
        said.append(
            f"{worth}: {_points(outlook)} above a constant answer. The student starts from no "
            "model, so that there is nothing else to compare with: whether distillation pays "
            "cannot be told before it is tried."
        )
    else:
        said.append(
            f"{worth}, against {_accuracy(ranking.correct[job.start])} on the student's own start, "
            f"{job.start}: {_points(outlook)}, {_VERDICTS[outlook.verdict]} (an assumption, which "
            "can fail: that a student learns most from features better than its own)."
        )
    if best != nearest:
        lead = outlook_of(ranking, best, nearest, seed=seed)
        said.append(
            f"The most accurate linear probe is that of {best}, with "
            f"{_accuracy(ranking.correct[best])}: {_points(lead)} against the nearest source's."
        )
    row = ranking.metrics.iloc[0]
    said.append(
        f"A constant answer reaches {ranking.constant:.1f}%, a guess {ranking.guess:.1f}%; with "
        f"shuffled labels the nearest source's similarity, {row['score']:.3f}, would be "
        f"{row['shuffled']:.3f} ± {row['shuffled_sd']:.3f}."
    )
    return said


_VERDICTS = {
    "likely": "so distillation is likely to pay",
    "unclear": "so it is unclear whether distillation pays",
    "unlikely": "so distillation is unlikely to pay",
}


def _accuracy(correct: np.ndarray) -> str:
    return "{:.1f}% ({:.1f} to {:.1f})".format(*accuracy_interval(correct))


def _points(found: Outlook) -> str:
    """A difference with its interval, and how often it is above 0."""
    ahead = "" if math.isnan(found.ahead) else f"; ahead in {found.ahead:.0%} of half-samples"
    return f"{found.difference:+.1f} points ({found.low:+.1f} to {found.high:+.1f}{ahead})"
