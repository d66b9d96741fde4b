"""What every similarity metric takes and checks: a representation, prepared once, and labels."""

from __future__ import annotations

from functools import cached_property

import numpy as np


class Kernel:
    """The centred linear kernel K = X X^T of centred features X, without its n x n entries.

    Attributes:
        features: X [n, d].
        norm: <K, K>.
    """

    def __init__(self, features: np.ndarray, norm: float | None = None) -> None:
        """Take features `[n, d]`, which are centred here, and the norm where it is known."""
        self.features = x = features - features.mean(axis=0)
        if norm is None:
            # <X X^T, X X^T> = |X^T X|^2: whichever takes fewer multiplications.
            product = x.T @ x if x.shape[1] <= len(x) else x @ x.T
            norm = float(np.vdot(product, product))
        self.norm = norm

    @cached_property
    def diagonal(self) -> np.ndarray:
        """Of K [n]."""
        return np.einsum("ij,ij->i", self.features, self.features)

    @cached_property
    def row_sums(self) -> np.ndarray:
        """Of K [n]: 0 but for rounding."""
        return self.features @ self.features.sum(axis=0)


class Representation:
    """What a source gives of the images of a probe, with what the metrics share of it.

    Every metric takes one in the place of its features. It keeps the correlations between the
    images `[n, n]`, one matrix at a time; some of the images take theirs out of the whole's.
    """

    def __init__(self, features: np.ndarray) -> None:
        """Take features `[n, d]`, as they are: the metrics check them."""
        self.features = np.asarray(features, dtype=np.float64)
        """Float64, in the scale that they came in."""
        self._whole: tuple[Representation, np.ndarray] | None = None
        self._correlations: tuple[tuple, np.ndarray] | None = None
        self._kernel_norm: float | None = None

    def __len__(self) -> int:
        return len(self.features)

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        """The features, so that a metric may take what it gets for an array."""
        return np.array(self.features, dtype=dtype, copy=copy)

    def part(self, rows: np.ndarray) -> Representation:
        """That of some of the images, in the order of `rows`."""
        part = Representation(self.features[rows])
        part._whole = self, rows
        return part

    @cached_property
    def scaled(self) -> np.ndarray:
        """The features, huge or tiny ones by a power of two near 1, for what has no scale.

        A power of two is exact, and squares and their sums stay finite.
        """
        largest = max(self.features.max(), -self.features.min())
        exponent = int(np.frexp(largest)[1])
        return self.features if abs(exponent) < 64 else np.ldexp(self.features, -exponent)

    @cached_property
    def kernel(self) -> Kernel:
        """The centred kernel of the scaled features."""
        return Kernel(self.scaled, self._kernel_norm)

    @cached_property
    def finite(self) -> np.ndarray:
        """Whether an image has neither NaN nor infinity in its features `[n]`."""
        return np.isfinite(self.features).all(axis=1)

    def projected(self, standardize: bool, pca_dims: int | None) -> np.ndarray:
        """The scaled features, with what `parc` may do to them first."""
        features = self.scaled
        if pca_dims is not None:
            features = _principal_components(features, pca_dims)
        return _standardized(features) if standardize else features

    def correlations(self, *, standardize: bool = False, pca_dims: int | None = None) -> np.ndarray:
        """Pearson correlations between the rows `[n, n]`; see `parc` for the options.

        Raises:
            ValueError: a row whose features are constant, or `pca_dims` below 1.
        """
        asked = standardize, pca_dims
        if self._correlations is None or self._correlations[0] != asked:
            self._correlations = None  # The old ones go before the new ones come.
            of_whole = self._whole and self._whole[0]._correlations
            if asked == (False, None) and of_whole and of_whole[0] == asked:
                # A correlation is of its two rows alone; what `parc` may do first is of all rows.
                found = of_whole[1][np.ix_(self._whole[1], self._whole[1])]
            else:
                rows = self.projected(standardize, pca_dims)
                own = rows if asked != (False, None) else None  # No one else has them.
                found, lengths = _row_correlations(rows, into=own)
                if asked == (False, None) and self.features.shape[1] > len(self):
                    self._kernel_norm = _kernel_norm(found, lengths, self.scaled)
            self._correlations = asked, found
        return self._correlations[1]


def checked_inputs(
    features: np.ndarray | Representation, labels: np.ndarray, *, min_samples: int
) -> tuple[Representation, np.ndarray]:
    """Return features as a representation, and labels as integers, or say what is wrong.

    Args:
        features: `[n, d]`, in whatever scale: a metric that has none takes `scaled` of the result.
        labels: integer classes `[n]`, or multi-hot zeros and ones `[n, c]`.
        min_samples: the fewest images that the metric is defined for.

    Raises:
        ValueError: shapes that do not match, too few images, NaN or infinity, or labels that are
            neither integers nor multi-hot.
    """
    if not isinstance(features, Representation):
        features = Representation(features)
    shape, labels = features.features.shape, np.asarray(labels)
    if len(shape) != 2 or shape[1] == 0:
        raise ValueError(f"features must be [n, d], got shape {shape}")
    if labels.ndim not in (1, 2) or len(labels) != len(features):
        raise ValueError(
            f"labels must be [n] or [n, c] with n = {len(features)}, got shape {labels.shape}"
        )
    if len(features) < min_samples:
        raise ValueError(f"{len(features)} samples: at least {min_samples} are needed")
    bad = ~features.finite
    if bad.any():
        raise ValueError(f"NaN or infinity in the features: {name_rows(bad)}")
    if labels.ndim == 2 and not np.isin(labels, (0, 1)).all():
        raise ValueError("multi-hot labels [n, c] must be zeros and ones")
    if labels.ndim == 1 and labels.dtype.kind not in "iub":
        raise ValueError(f"labels [n] must be integers, got {labels.dtype}")
    return features, labels.astype(np.int64)


def name_rows(mask: np.ndarray) -> str:
    rows = np.flatnonzero(mask)
    shown = ", ".join(map(str, rows[:10])) + (", ..." if len(rows) > 10 else "")
    return f"row {shown}" if len(rows) == 1 else f"{len(rows)} rows ({shown})"


def one_hot(labels: np.ndarray) -> np.ndarray:
    if labels.ndim == 2:
        return labels.astype(np.float64)
    return (labels[:, None] == np.unique(labels)).astype(np.float64)


def class_numbers(labels: np.ndarray) -> np.ndarray | None:
    """Labels as classes 0, 1, ... `[n]`; None where they are multi-hot and not one-hot."""
    if labels.ndim == 2:
        if (labels.sum(axis=1) != 1).any() or labels.shape[1] < 2:
            return None
        labels = labels.argmax(axis=1)
    return np.unique(labels, return_inverse=True)[1]


def without_constant_rows(features: np.ndarray) -> np.ndarray:
    """The features, where every row has a correlation with others."""
    high, low = features.max(axis=1), features.min(axis=1)
    constant = high - low <= 1e-12 * np.maximum(high, -low)
    if constant.any():
        raise ValueError(
            f"constant features, whose correlation is undefined: {name_rows(constant)}"
        )
    return features


def _row_correlations(
    features: np.ndarray, *, into: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Pearson correlations of rows `[n, n]`, and the lengths of the rows less their means `[n]`.

    Args:
        features: `[n, d]`.
        into: where the rows are normalised, which may be the features themselves; by default, new
            memory.
    """
    features = without_constant_rows(features)
    rows = np.subtract(features, features.mean(axis=1, keepdims=True), out=into)
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    rows /= lengths[:, None]
    return rows @ rows.T, lengths


def _kernel_norm(
    correlations: np.ndarray, lengths: np.ndarray, features: np.ndarray
) -> float | None:
    """<K, K> of the centred kernel by the correlations of rows, which have its products in them.

    Rows less their means have the products C of their correlations and lengths. Centred by rows and
    columns, and with d m m^T added, m the centred means, these are K.

    Args:
        correlations: Of the rows `[n, n]`.
        lengths: Of the rows less their means `[n]`.
        features: `[n, d]`.

    Returns:
        The norm; None where it would lose digits, since most of all rows is the same.
    """
    kernel = correlations * lengths
    kernel *= lengths[:, None]
    before = kernel.trace()
    kernel -= kernel.mean(axis=0)
    kernel -= kernel.mean(axis=1, keepdims=True)
    means = features.mean(axis=1)
    means -= means.mean()
    kernel += np.multiply.outer(features.shape[1] * means, means)
    return float(np.vdot(kernel, kernel)) if kernel.trace() > before / 10 else None


def _standardized(features: np.ndarray) -> np.ndarray:
    mean = features.mean(axis=0)
    centred = features - mean
    std = np.sqrt(np.einsum("ij,ij->j", centred, centred) / len(features))
    # A constant column has a spread of rounding noise: leave it at zero, do not blow it up.
    constant = std <= len(features) * np.finfo(np.float64).eps * np.abs(mean)
    centred /= np.where(constant, np.inf, std)
    return centred


def _principal_components(features: np.ndarray, dims: int) -> np.ndarray:
    if dims < 1:
        raise ValueError(f"pca_dims must be at least 1, got {dims}")
    u, s, vt = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    # n centred rows have rank n - 1 at most: what is left is noise, not to be standardised later.
    noise = s <= s[0] * max(features.shape) * np.finfo(np.float64).eps
    s = np.where(noise | (np.arange(len(s)) >= len(features) - 1), 0, s)
    # Pearson correlation of rows depends on the components' signs: fix them by the loadings.
    signs = np.sign(vt[np.arange(len(vt)), np.abs(vt).argmax(axis=1)])
    return (u * (s * signs))[:, :dims]
