"""The paper's objective, eqs. 1 to 4, and the FixMatch baseline's loss.

Cross-entropies are means over the batch in nats; in the paper they are means over the data set.

A source may also be distilled by its features, which the paper does not do. For the alpha of eq. 5
to mean the same for both kinds of loss, both span the same range. With pseudo-labels q, eq. 3 falls
from H(mean q), for the best constant prediction, to mean H(q), for a perfect one: by I_s, the
nats that an image tells about its pseudo-label (`label_information`). The mean squared error of
standardised features (`feature_loss`) falls from 1 to 0; so it is multiplied by I_s of the same
source's pseudo-labels: what a unit of alpha can buy does not depend on the kind of loss. Within a
kind nothing changes: pseudo-labels alone are eq. 4 as it stands.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def labeled_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Eq. 2: mean cross-entropy of the target head on labelled images.

    Args:
        logits: `[B, C]` of the target head.
        labels: integer classes `[B]`.

    Raises:
        ValueError: shapes that do not match, or an empty batch.
    """
    _check_logits(logits)
    if labels.shape != logits.shape[:1]:
        raise ValueError(f"labels must be [{len(logits)}], got {tuple(labels.shape)}")
    return F.cross_entropy(logits, labels)


def multi_label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean binary cross-entropy over images and classes, for sources with several labels an image.

    Args:
        logits: `[B, C]`.
        labels: 0 or 1 `[B, C]`.

    Raises:
        ValueError: shapes that do not match, or an empty batch.
    """
    _check_logits(logits)
    if labels.shape != logits.shape:
        raise ValueError(f"labels must be {tuple(logits.shape)}, got {tuple(labels.shape)}")
    dtype = _loss_dtype(logits)
    return F.binary_cross_entropy_with_logits(logits.to(dtype), labels.to(dtype))


def distillation_loss(logits: Tensor, probabilities: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Eq. 3: mean cross-entropy between a source's pseudo-labels and the head that mimics it.

    With a temperature T other than the paper's 1, pseudo-labels q become q^(1/T), normalised, the
    logits are divided by T, and the loss is multiplied by T^2, which keeps the scale of its
    gradient (Hinton et al. 2015).

    Args:
        logits: `[B, C_s]` of the head for source s.
        probabilities: pseudo-labels of source s `[B, C_s]`; no gradient flows into them.
        temperature: T > 0.

    Raises:
        ValueError: shapes that do not match, an empty batch, or a temperature that is not positive.
    """
    _check_logits(logits)
    if probabilities.shape != logits.shape:
        raise ValueError(
            f"probabilities {tuple(probabilities.shape)} do not match logits {tuple(logits.shape)}"
        )
    _check_temperature(temperature)
    dtype = _loss_dtype(logits)
    logits, probabilities = logits.to(dtype), probabilities.detach().to(dtype)
    if temperature == 1:
        return F.cross_entropy(logits, probabilities)
    probabilities = softened(probabilities, temperature)
    return temperature**2 * F.cross_entropy(logits / temperature, probabilities)


def label_information(probabilities: Tensor, *, temperature: float = 1.0) -> float:
    """By how much eq. 3 can fall: H(mean q) - mean H(q) in nats, at T its T^2-fold.

    It is the difference between the `distillation_loss` of the best constant prediction and that
    of a perfect one (the mutual information of image and pseudo-label, where T is 1).

    Args:
        probabilities: pseudo-labels q of one source for some images `[n, C_s]`.
        temperature: T > 0, as of `distillation_loss`.

    Raises:
        ValueError: no images, or a temperature that is not positive.
    """
    _check_logits(probabilities, "probabilities")
    _check_temperature(temperature)
    q = softened(probabilities.detach().double(), temperature)
    q = q / q.sum(dim=1, keepdim=True)
    constant, perfect = (torch.special.entr(p).sum(dim=-1) for p in (q.mean(dim=0), q))
    # Rounding makes a tiny negative number of equal rows.
    return temperature**2 * max(0.0, (constant - perfect.mean()).item())


def feature_loss(predictions: Tensor, features: Tensor) -> Tensor:
    """Mean squared error over images and dimensions: sources' features instead of pseudo-labels.

    Features are standardised, (f_s - mu_s) / sigma_s, without the dimensions that are constant:
    predicting their mean costs 1.

    Args:
        predictions: `[B, d_s]` of the linear map g_s for source s, on the student's features.
        features: standardised features of source s `[B, d_s]`; no gradient flows into them.

    Raises:
        ValueError: shapes that do not match, or an empty batch.
    """
    _check_logits(predictions, "predictions")
    if features.shape != predictions.shape:
        raise ValueError(
            f"features {tuple(features.shape)} do not match predictions {tuple(predictions.shape)}"
        )
    dtype = _loss_dtype(predictions)
    return F.mse_loss(predictions.to(dtype), features.detach().to(dtype))


def single_source_loss(labeled: Tensor, distilled: Tensor, lam: float) -> Tensor:
    """Eq. 1: lam * L_labeled + (1 - lam) * L_distill of one source.

    Args:
        labeled: eq. 2, a scalar.
        distilled: eq. 3, a scalar.
        lam: share of the labelled term, 0 to 1; the paper's is 0.8.

    Raises:
        ValueError: lam outside 0 to 1.
    """
    _check_lam(lam)
    return lam * labeled + (1 - lam) * distilled


def multi_source_loss(
    labeled: Tensor,
    distilled: Sequence[Tensor] | Tensor,
    weights: Sequence[float] | Tensor,
    lam: float,
) -> Tensor:
    """Eq. 4: lam * L_labeled + (1 - lam) * sum_s alpha_s L_distill_s.

    `weighted_distillation_loss` gives the sum over sources faster; eq. 1 then gives eq. 4.

    Args:
        labeled: eq. 2, a scalar.
        distilled: eq. 3 of every source `[S]`.
        weights: alpha `[S]`, not negative, with sum 1.
        lam: share of the labelled term, 0 to 1; the paper's is 0.8.

    Raises:
        ValueError: lam outside 0 to 1, or weights that do not match or do not sum to 1.
    """
    if not isinstance(distilled, Tensor):
        if len(distilled) == 0:
            raise ValueError("eq. 4 needs the distillation loss of at least one source")
        distilled = torch.stack(tuple(distilled))
    if distilled.ndim != 1:
        raise ValueError(f"distilled must be [S], got {tuple(distilled.shape)}")
    alpha = distilled.new_tensor(_checked_weights(weights, len(distilled)))
    return single_source_loss(labeled, (alpha * distilled).sum(), lam)


def weighted_distillation_loss(
    logits: Tensor,
    probabilities: Tensor,
    sizes: Sequence[int],
    weights: Sequence[float] | Tensor,
    *,
    temperature: float = 1.0,
    scales: Sequence[float | None] | None = None,
) -> Tensor:
    """The sum of eq. 4, sum_s alpha_s L_distill_s, for the heads of all sources side by side.

    Equal to the weighted sum of `distillation_loss`, in about a third of its time for 28 sources of
    8 to 48 classes: the gradient is written down instead of recorded. Differentiable once.

    Args:
        logits: of all heads, concatenated along the classes `[B, sum_s C_s]`.
        probabilities: pseudo-labels in the same layout; no gradient flows into them.
        sizes: C_s, the number of classes of each source `[S]`.
        weights: alpha `[S]`, not negative, with sum 1. Keep them on the CPU: they are checked.
        temperature: T > 0.
        scales: for each source None where its columns are logits and pseudo-labels, or where they
            are predictions and standardised features what its `feature_loss` is multiplied by,
            `label_information` of its pseudo-labels (see above) `[S]`. By default, all None.

    Raises:
        ValueError: shapes that do not match, an empty batch, weights that do not sum to 1, a
            temperature that is not positive, or a scale that is negative or not finite.
    """
    _check_logits(logits)
    if probabilities.shape != logits.shape:
        raise ValueError(
            f"probabilities {tuple(probabilities.shape)} do not match logits {tuple(logits.shape)}"
        )
    sizes = tuple(int(size) for size in sizes)
    if sum(sizes) != logits.shape[1] or min(sizes) < 1:
        raise ValueError(f"sizes {sizes} do not add up to the {logits.shape[1]} columns of logits")
    _check_temperature(temperature)
    alpha = _checked_weights(weights, len(sizes))
    targets = probabilities.detach()
    scales = (None,) * len(sizes) if scales is None else tuple(scales)
    if len(scales) != len(sizes) or not all(c is None or 0 <= c < math.inf for c in scales):
        raise ValueError(f"scales must be {len(sizes)} numbers from 0, or None, got {scales}")
    if all(scale is None for scale in scales):
        return _cross_entropies(logits, targets, sizes, alpha, temperature)
    parts = list(zip(alpha, scales, logits.split(sizes, 1), targets.split(sizes, 1), strict=True))
    terms = [a * c * feature_loss(z, t) for a, c, z, t in parts if c is not None]
    labeled = [(a, z, t) for a, c, z, t in parts if c is None]
    if labeled:
        a, z, t = zip(*labeled, strict=True)
        widths = tuple(part.shape[1] for part in z)
        z, t = torch.cat(z, dim=1), torch.cat(t, dim=1)
        terms.append(_cross_entropies(z, t, widths, a, temperature))
    return torch.stack(terms).sum()


def _cross_entropies(
    logits: Tensor,
    targets: Tensor,
    sizes: tuple[int, ...],
    alpha: tuple[float, ...],
    temperature: float,
) -> Tensor:
    """sum_s alpha_s L_distill_s of sources that all have pseudo-labels; alpha may sum to less."""
    if len(sizes) == 1:  # PyTorch's own function takes half the time
        loss = distillation_loss(logits, targets, temperature=temperature)
        return loss if alpha[0] == 1 else alpha[0] * loss
    if temperature == 1:
        return _WeightedSoftCrossEntropy.apply(logits, targets, sizes, alpha)
    parts = [softened(part, temperature) for part in targets.split(sizes, dim=1)]
    loss = _WeightedSoftCrossEntropy.apply(logits / temperature, torch.cat(parts, 1), sizes, alpha)
    return temperature**2 * loss


def softened(probabilities: Tensor, temperature: float) -> Tensor:
    """Probabilities q `[B, C]` at a temperature T > 0: q^(1/T), normalised; q itself at 1."""
    if temperature == 1:
        return probabilities
    powers = probabilities ** (1 / temperature)
    return powers / powers.sum(dim=1, keepdim=True)


class _WeightedSoftCrossEntropy(torch.autograd.Function):
    """With q = softmax(z) within a source and targets t: dL/dz = alpha_s / B (q * sum(t) - t).

    One pass makes loss and gradient, of all sources at once. Autograd would record a log-softmax, a
    product and a sum for every source: many small operations, which cost more than their
    arithmetic.
    """

    @staticmethod
    def forward(ctx, logits, targets, sizes, alpha):
        z = logits.to(_loss_dtype(logits))
        layout = _layout(sizes, z.device)
        # alpha_s t / B
        targets = targets.to(z.dtype) * _column_weights(sizes, alpha, len(z), z.dtype, z.device)
        log_q = layout.side_by_side(layout.by_source(z, -math.inf).log_softmax(2))
        # sum(t) is 1 but for rounding, in half-precision pseudo-labels for example.
        mass = layout.by_source(targets, 0.0).sum(2).index_select(1, layout.source)
        # Not a matrix product, which autocast would round to half precision.
        loss = -(targets * log_q).sum()
        gradient = log_q.exp_().mul_(mass).sub_(targets)
        ctx.save_for_backward(gradient)
        ctx.logits_dtype = logits.dtype
        return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_loss):
        (gradient,) = ctx.saved_tensors
        # Scaled before it is rounded, so that loss scaling keeps small float16 gradients.
        return (gradient * grad_loss).to(ctx.logits_dtype), None, None, None


class _Layout(NamedTuple):
    """Columns side by side [B, C], and by source [B, S, max C_s], with blanks after few columns."""

    sources: int
    """S."""

    source: Tensor
    """The source of every column [C]."""

    columns: Tensor | None
    """Of every place by source its column, C for a blank [S * max C_s]; None if none is blank."""

    places: Tensor
    """Of every column its place by source [C]."""

    def by_source(self, values: Tensor, blank: float) -> Tensor:
        """Values [B, C] as [B, S, max C_s]."""
        if self.columns is not None:
            values = F.pad(values, (0, 1), value=blank).index_select(1, self.columns)
        return values.view(len(values), self.sources, -1)

    def side_by_side(self, values: Tensor) -> Tensor:
        """Values [B, S, max C_s] as [B, C], without the blanks."""
        values = values.flatten(1)
        return values if self.columns is None else values.index_select(1, self.places)


# What only depends on the sources is made once, not at every step.
@functools.lru_cache(maxsize=256)
def _layout(sizes: tuple[int, ...], device: torch.device) -> _Layout:
    counts, width = torch.tensor(sizes), max(sizes)
    source = torch.arange(len(sizes)).repeat_interleave(counts)
    starts = counts.cumsum(0) - counts
    places = torch.arange(len(source)) + (torch.arange(len(sizes)) * width - starts)[source]
    columns = torch.full((len(sizes) * width,), len(source))
    columns[places] = torch.arange(len(source))
    blanks = len(columns) > len(source)
    columns = columns.to(device) if blanks else None
    return _Layout(len(sizes), source.to(device), columns, places.to(device))


@functools.lru_cache(maxsize=256)
def _column_weights(
    sizes: tuple[int, ...],
    alpha: tuple[float, ...],
    batch: int,
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    """alpha_s / B of every column [C]."""
    weights = torch.tensor(alpha, dtype=torch.float64) / batch
    return weights.repeat_interleave(torch.tensor(sizes)).to(device, dtype)


def fixmatch_loss(weak_logits: Tensor, strong_logits: Tensor, *, threshold: float = 0.95) -> Tensor:
    """FixMatch's unlabelled term (Sohn et al. 2020, eq. 4), for the IN+FixMatch baseline.

    The prediction for the weakly augmented image, where its probability reaches the threshold, is
    the label of the strongly augmented one. The mean runs over the whole batch, so that few
    confident images give a small loss. No gradient flows through the weak branch.

    Args:
        weak_logits: `[B, C]` of the weakly augmented images.
        strong_logits: `[B, C]` of the same images, strongly augmented.
        threshold: smallest probability of a pseudo-label, 0 to 1.

    Raises:
        ValueError: shapes that do not match, an empty batch, or a threshold outside 0 to 1.
    """
    _check_logits(weak_logits)
    if strong_logits.shape != weak_logits.shape:
        raise ValueError(
            f"strong logits {tuple(strong_logits.shape)} do not match "
            f"weak logits {tuple(weak_logits.shape)}"
        )
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be 0 to 1, got {threshold}")
    confidence, pseudo_labels = weak_logits.detach().softmax(dim=1).max(dim=1)
    losses = F.cross_entropy(strong_logits, pseudo_labels, reduction="none")
    return torch.where(confidence >= threshold, losses, 0).mean()


def _check_logits(logits: Tensor, name: str = "logits") -> None:
    if logits.ndim != 2 or 0 in logits.shape:
        raise ValueError(f"{name} must be [B, C] and not empty, got {tuple(logits.shape)}")


def _check_temperature(temperature: float) -> None:
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")


def _loss_dtype(logits: Tensor) -> torch.dtype:
    """Losses of half-precision logits are computed in float32."""
    return torch.promote_types(logits.dtype, torch.float32)


def _check_lam(lam: float) -> None:
    if not 0 <= lam <= 1:
        raise ValueError(f"lam must be 0 to 1, got {lam}")


def _checked_weights(weights: Sequence[float] | Tensor, num_sources: int) -> tuple[float, ...]:
    if isinstance(weights, Tensor):
        weights = weights.detach().double().cpu()
    alpha = np.asarray(weights, np.float64)
    if alpha.shape != (num_sources,):
        raise ValueError(f"weights must be [{num_sources}], got {alpha.shape}")
    if not (alpha >= 0).all() or abs(alpha.sum() - 1) > 1e-5:
        raise ValueError(f"weights must not be negative and must sum to 1, got {alpha.tolist()}")
    return tuple(alpha.tolist())
