"""LogME: the evidence of a Bayesian linear model of the labels."""

from __future__ import annotations

import numpy as np

from distillweighted.similarity.metrics.inputs import checked_inputs, one_hot
from distillweighted.similarity.metrics.spectrum import spectrum


def logme(features: np.ndarray, labels: np.ndarray) -> float:
    """Logarithm of maximum evidence (You et al. 2021), a mean over classes and images.

    LogME = mean_c max_{alpha, beta} 1/n log N(t_c; 0, I/beta + F F^T/alpha), t_c the zeros and ones
    of class c, the features neither centred nor standardised. The maximum is sought over alpha/beta
    as a whole, and may lie at an end: alpha = inf where features say nothing of a class (its
    evidence is that of noise), beta = inf where they are as wide as there are images. The published
    fixed point stops early, can be 0/0 there, and one of its public forms counts d/2 log alpha
    against n terms, which is a bonus for features that are wider than n.

    Args:
        features: `[n, d]`, one row an image of the probe.
        labels: integer classes `[n]`, or multi-hot zeros and ones `[n, c]`; classes without an
            image take no part.

    Returns:
        Nats an image, in (-inf, inf): a density, so that it may be above 0. Large for rare classes,
        so that scores on two targets, or on two probes, cannot be compared.

    Raises:
        ValueError: as `checked_inputs`; fewer than 3 images, one class only, features that are all
            zero, or that give a class exactly though they are fewer than the images: the evidence
            then has no maximum.
    """
    representation, labels = checked_inputs(features, labels, min_samples=3)
    targets = one_hot(labels)
    targets = targets[:, targets.any(axis=0)]
    if not np.ptp(targets, axis=0).any():
        raise ValueError("the labels of the probe do not tell samples apart: one class only")
    u, s = spectrum(representation.scaled, centre=False)
    shares = np.square(u.T @ targets)  # of t_c along each singular vector [r, c]
    left = np.square(targets).sum(axis=0) - shares.sum(axis=0)
    left = np.maximum(left, 0) if len(s) < len(u) else np.zeros(len(left))
    evidence = [
        _largest_evidence(np.square(s), shares[:, c], left[c], len(u)) for c in range(len(left))
    ]
    return float(np.mean(evidence))


def _largest_evidence(variances: np.ndarray, shares: np.ndarray, left: float, n: int) -> float:
    """The largest log evidence an image of one class.

    Args:
        variances: Squared singular values of the features [r].
        shares: Of the class's squared norm, along each singular vector [r].
        left: What is left of it outside their span.
        n: Images.
    """
    full = len(variances) == n
    if not full and left <= 1e-12 * shares.sum():
        raise ValueError("the features give a class exactly: its evidence has no maximum")

    def of(log_ratio: np.ndarray) -> np.ndarray:
        """Log evidence at values of log(alpha / beta) [g], beta being the best for each."""
        # The covariance is (I + F F^T beta/alpha) / beta; 1/beta is then the mean square left.
        stretch = 1 + variances * np.exp(-log_ratio)[:, None]
        return _evidence((shares / stretch).sum(axis=1) + left, np.log(stretch).sum(axis=1), n)

    # At alpha = inf there is noise alone, at beta = inf the features alone.
    ends = [_evidence(shares.sum() + left, 0.0, n)]
    if full:
        ends.append(_evidence((shares / variances).sum(), np.log(variances).sum(), n))
    # Beyond these, the ends are reached to within rounding.
    low, high = np.log(variances.min()) - 40, np.log(variances.max()) + 40
    # There may be several maxima: a grid finds the largest, finer ones its place.
    for points in (241, 33, 33, 33, 33, 33):
        grid = np.linspace(low, high, points)
        values = of(grid)
        best = int(values.argmax())
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, points - 1)]
    return float(max([*ends, values[best]]))


def _evidence(squares, log_determinant, n: int):
    """Log density an image of a Gaussian of covariance C/beta at the best beta.

    Args:
        squares: t^T C^-1 t.
        log_determinant: Of C.
        n: Images.
    """
    return -(np.log(2 * np.pi * squares / n) + 1 + log_determinant / n) / 2
