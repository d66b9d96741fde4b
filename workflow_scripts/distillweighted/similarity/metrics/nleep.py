"""N-LEEP: LEEP of the components of a Gaussian mixture in place of a source's classes."""

from __future__ import annotations

import numpy as np

from distillweighted.similarity.metrics.classes import class_inputs
from distillweighted.similarity.metrics.leep import expected_prediction
from distillweighted.similarity.metrics.spectrum import spectrum

ENERGY = 0.8
"""Share of the variance that the principal components keep."""

IMAGES_A_COMPONENT = 5
"""At least so many images of the probe for each component, on average."""


def nleep(features: np.ndarray, labels: np.ndarray) -> float:
    """N-LEEP (Li et al. 2021): LEEP of the posteriors of a Gaussian mixture of features.

    On the principal components that keep 80% of the variance, with 5 components a class as in the
    paper, but no more than one for 5 images (of a probe of 500 with over 20 classes they would be
    fitted to an image each, and any features looked the same), and of diagonal covariance.
    The mixture starts from random images (k-means++, always of the same seed) that do not depend on
    the order of the probe: it says the same whenever asked, but another start would say another
    number, by a few hundredths on 500 images.

    Args:
        features: `[n, d]`, one row an image of the probe.
        labels: integer classes `[n]`, or one-hot `[n, c]`.

    Returns:
        The mean log likelihood of the labels, in (-inf, 0].

    Raises:
        ValueError: as `class_inputs`, or features that are the same for every image; fewer than 10
            images, which are too few for two components.
    """
    features, classes = class_inputs(features, labels, rescale=True)
    most = len(features) // IMAGES_A_COMPONENT
    if most < 2:
        needed = 2 * IMAGES_A_COMPONENT
        raise ValueError(f"{len(features)} samples: a mixture needs at least {needed}")
    order = np.lexsort([classes, *features.T])
    u, s = spectrum(features[order])
    kept = np.cumsum(np.square(s)) / np.square(s).sum()
    values = (u * s)[:, : np.searchsorted(kept, ENERGY) + 1]
    # The mixture's smallest variance, 1e-6, is of features of unit variance.
    values /= np.sqrt(np.square(values).mean())
    posteriors = _posteriors(values, min(5 * (int(classes.max()) + 1), most))
    return expected_prediction(posteriors, classes[order])


def _posteriors(values: np.ndarray, components: int) -> np.ndarray:
    """Probabilities of the components of a mixture that was fitted to the values, `[n, k]`."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(
        components, covariance_type="diag", init_params="k-means++", random_state=0
    )
    with warnings.catch_warnings():
        # After 100 turns it is good enough; fewer different images than components are no harm.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(values).predict_proba(values)
