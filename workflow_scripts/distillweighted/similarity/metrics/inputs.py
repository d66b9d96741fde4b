"""What every similarity metric checks of its features and labels."""

from __future__ import annotations

import numpy as np


def checked_inputs(
    features: np.ndarray, labels: np.ndarray, *, min_samples: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return features as float64 `[n, d]` and labels as an integer array, or say what is wrong."""
    features, labels = np.asarray(features, dtype=np.float64), np.asarray(labels)
    if features.ndim != 2 or features.shape[1] == 0:
        raise ValueError(f"features must be [n, d], got shape {features.shape}")
    if labels.ndim not in (1, 2) or len(labels) != len(features):
        raise ValueError(
            f"labels must be [n] or [n, c] with n = {len(features)}, got shape {labels.shape}"
        )
    if len(features) < min_samples:
        raise ValueError(f"{len(features)} samples: at least {min_samples} are needed")
    bad = ~np.isfinite(features).all(axis=1)
    if bad.any():
        raise ValueError(f"NaN or infinity in the features: {name_rows(bad)}")
    if labels.ndim == 2 and not np.isin(labels, (0, 1)).all():
        raise ValueError("multi-hot labels [n, c] must be zeros and ones")
    if labels.ndim == 1 and labels.dtype.kind not in "iub":
        raise ValueError(f"labels [n] must be integers, got {labels.dtype}")
    # No metric depends on the overall scale; a power of two is exact and keeps squares finite.
    exponent = int(np.frexp(np.abs(features).max())[1])
    return np.ldexp(features, -exponent), labels.astype(np.int64)


def name_rows(mask: np.ndarray) -> str:
    rows = np.flatnonzero(mask)
    shown = ", ".join(map(str, rows[:10])) + (", ..." if len(rows) > 10 else "")
    return f"row {shown}" if len(rows) == 1 else f"{len(rows)} rows ({shown})"


def one_hot(labels: np.ndarray) -> np.ndarray:
    if labels.ndim == 2:
        return labels.astype(np.float64)
    return (labels[:, None] == np.unique(labels)).astype(np.float64)
