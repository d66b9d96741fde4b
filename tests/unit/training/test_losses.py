"""Eqs. 1 to 4 by hand, and the fast sum over sources against eq. 3."""

import math

import pytest
import torch

from distillweighted.losses import (
    distillation_loss,
    feature_loss,
    fixmatch_loss,
    label_information,
    labeled_loss,
    multi_source_loss,
    single_source_loss,
    weighted_distillation_loss,
)

LN2, LN3, LN5 = math.log(2), math.log(3), math.log(5)
# Rows whose softmax is (1/4, 3/4) and (1/2, 1/2).
LOGITS = torch.tensor([[0.0, LN3], [5.0, 5.0]], dtype=torch.float64)


def three_sources(dtype=torch.float64, batch=5, scale=3.0):
    generator = torch.Generator().manual_seed(0)
    sizes = (4, 1, 7)
    logits = scale * torch.randn(batch, sum(sizes), generator=generator, dtype=torch.float64)
    targets = torch.randn(batch, sum(sizes), generator=generator, dtype=torch.float64)
    targets = torch.cat([part.softmax(dim=1) for part in targets.split(sizes, dim=1)], dim=1)
    return logits.to(dtype), targets.to(dtype), sizes, torch.tensor([0.5, 0.2, 0.3])


def sum_of_eq_3(logits, targets, sizes, weights):
    parts = zip(weights, logits.split(sizes, dim=1), targets.split(sizes, dim=1), strict=True)
    return sum(alpha.to(z.dtype) * distillation_loss(z, t) for alpha, z, t in parts)


def test_eq_2_by_hand():
    # -ln(1/4) = 2 ln 2 for the first image and -ln(1/2) = ln 2 for the second.
    loss = labeled_loss(LOGITS, torch.tensor([0, 1]))
    assert loss.item() == pytest.approx(1.5 * LN2)


def test_eq_3_by_hand():
    targets = torch.tensor([[0.5, 0.5], [0.9, 0.1]], dtype=torch.float64)
    # (0.5 * 2 ln 2 + 0.5 * ln(4/3) + ln 2) / 2 = 0.7651...
    expected = (LN2 + 0.5 * math.log(4 / 3) + LN2) / 2
    assert expected == pytest.approx(0.765068, abs=1e-6)
    assert distillation_loss(LOGITS, targets).item() == pytest.approx(expected)


def test_eq_3_temperature_by_hand():
    logits = torch.tensor([[0.0, 2 * LN3]], dtype=torch.float64)
    targets = torch.tensor([[0.2, 0.8]], dtype=torch.float64)
    # T = 2: softmax (1/4, 3/4), targets sqrt: (1/3, 2/3), and a factor T^2 = 4.
    expected = 4 * (math.log(4) / 3 + 2 * math.log(4 / 3) / 3)
    assert distillation_loss(logits, targets, temperature=2).item() == pytest.approx(expected)


def test_eq_1_by_hand():
    loss = single_source_loss(torch.tensor(2.0), torch.tensor(7.0), 0.8)
    assert loss.item() == pytest.approx(3.0)  # 0.8 * 2 + 0.2 * 7: lam is the labelled share
    assert single_source_loss(torch.tensor(2.0), torch.tensor(7.0), 1).item() == 2
    assert single_source_loss(torch.tensor(2.0), torch.tensor(7.0), 0).item() == 7


def test_eq_4_by_hand():
    losses = [torch.tensor(1.0), torch.tensor(2.0), torch.tensor(6.0)]
    weights = torch.tensor([0.5, 0.0, 0.5])
    # 0.8 * 2 + 0.2 * (0.5 * 1 + 0.5 * 6) = 2.3
    for distilled in (losses, torch.stack(losses)):
        loss = multi_source_loss(torch.tensor(2.0), distilled, weights, 0.8)
        assert loss.item() == pytest.approx(2.3)
    one = multi_source_loss(torch.tensor(2.0), losses, [0.0, 1.0, 0.0], 0.8)
    assert one.item() == pytest.approx(single_source_loss(2.0, losses[1], 0.8).item())


def test_eq_4_is_differentiable_in_every_term():
    terms = torch.tensor([2.0, 1.0, 6.0], requires_grad=True)
    multi_source_loss(terms[0], terms[1:], [0.25, 0.75], 0.8).backward()
    torch.testing.assert_close(terms.grad, torch.tensor([0.8, 0.05, 0.15]))


def test_distillation_gradient_is_softmax_minus_target():
    logits, targets, sizes, _ = three_sources()
    logits = logits[:, -sizes[-1] :].clone().requires_grad_()
    targets = targets[:, -sizes[-1] :].clone().requires_grad_()
    distillation_loss(logits, targets).backward()
    expected = (logits.softmax(dim=1) - targets).detach() / len(logits)
    torch.testing.assert_close(logits.grad, expected)
    assert targets.grad is None


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_weighted_distillation_is_the_sum_of_eq_3(dtype):
    logits, targets, sizes, weights = three_sources(dtype)
    slow, fast = (logits.clone().requires_grad_() for _ in range(2))
    expected = sum_of_eq_3(slow, targets, sizes, weights)
    (3 * expected).backward()
    targets.requires_grad_()
    loss = weighted_distillation_loss(fast, targets, sizes, weights)
    (3 * loss).backward()
    assert loss.dtype == dtype
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    torch.testing.assert_close(fast.grad, slow.grad, rtol=1e-6, atol=1e-7)
    assert targets.grad is None


def test_weighted_distillation_of_unnormalised_targets():
    """Half-precision pseudo-labels do not sum to 1 exactly; eq. 3 is still what it is."""
    logits, targets, sizes, weights = three_sources()
    targets = 1.3 * targets
    slow, fast = (logits.clone().requires_grad_() for _ in range(2))
    sum_of_eq_3(slow, targets, sizes, weights).backward()
    weighted_distillation_loss(fast, targets, sizes, weights).backward()
    torch.testing.assert_close(fast.grad, slow.grad)


def test_weighted_distillation_gradient_numerically():
    logits, targets, sizes, weights = three_sources(batch=2, scale=1.0)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda z: weighted_distillation_loss(z, targets, sizes, weights), (logits,)
    )


def test_weighted_distillation_in_half_precision_and_at_large_logits():
    logits, targets, sizes, weights = three_sources()
    half = logits.bfloat16().requires_grad_()
    loss = weighted_distillation_loss(half, targets.bfloat16(), sizes, weights)
    assert loss.dtype == torch.float32
    expected = sum_of_eq_3(logits, targets, sizes, weights).item()
    assert loss.item() == pytest.approx(expected, rel=0.02)
    loss.backward()
    assert half.grad.dtype == torch.bfloat16
    # Loss scaling must reach gradients that float16 cannot hold unscaled.
    weak = torch.zeros(1, 2, dtype=torch.float16, requires_grad=True)
    almost = torch.tensor([[0.5 + 1e-6, 0.5 - 1e-6]])
    (65536 * weighted_distillation_loss(weak, almost, [2], [1.0])).backward()
    assert weak.grad[0, 1].item() == pytest.approx(65536 * 1e-6, rel=0.1)
    single = [x.float() for x in (logits, targets)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = weighted_distillation_loss(*single, sizes, weights)
        assert loss.item() == pytest.approx(expected, abs=1e-6)
        assert sum_of_eq_3(*single, sizes, weights).item() == pytest.approx(expected, abs=1e-6)
        loss = multi_source_loss(loss, torch.stack([loss, loss]), [0.5, 0.5], 0.8)
        assert loss.item() == pytest.approx(expected, abs=1e-6)
    # One source's logits far below another's: a shared maximum would underflow.
    shifted = logits + torch.repeat_interleave(torch.tensor([0.0, -1e4, 1e4]), torch.tensor(sizes))
    loss = weighted_distillation_loss(shifted, targets, sizes, weights)
    assert loss.item() == pytest.approx(expected, abs=1e-9)


def test_a_source_without_weight_gets_no_gradient():
    logits, targets, sizes, _ = three_sources()
    logits.requires_grad_()
    weighted_distillation_loss(logits, targets, sizes, [0.0, 0.5, 0.5]).backward()
    assert (logits.grad[:, :4] == 0).all()
    assert (logits.grad[:, 5:] != 0).all()


def test_fixmatch_by_hand():
    # Confidences 0.96 (class 1), 0.8 and 0.98 (class 0); the second is below 0.95.
    weak = torch.tensor([[0.04, 0.96], [0.8, 0.2], [0.98, 0.02]]).log()
    strong = torch.tensor([[LN3, 0.0], [9.0, 0.0], [0.0, math.log(4)]])
    # -ln(1/4) and -ln(1/5), over the whole batch of 3.
    expected = (2 * LN2 + LN5) / 3
    assert fixmatch_loss(weak, strong).item() == pytest.approx(expected, rel=1e-6)
    two = fixmatch_loss(weak, strong, threshold=0.97)
    assert two.item() == pytest.approx(LN5 / 3, rel=1e-6)


def test_fixmatch_without_a_confident_image_is_zero():
    weak = torch.zeros(4, 3, requires_grad=True)
    strong = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = fixmatch_loss(weak, strong)
    loss.backward()
    assert loss.item() == 0
    assert (strong.grad == 0).all()
    assert weak.grad is None


def test_fixmatch_gradient_flows_through_the_strong_branch_only():
    weak = torch.tensor([[9.0, 0.0], [0.0, 0.0]], requires_grad=True)
    strong = torch.tensor([[0.0, LN3], [1.0, 2.0]], requires_grad=True)
    fixmatch_loss(weak, strong).backward()
    # (softmax - one-hot) / B = ((1/4, 3/4) - (1, 0)) / 2 for the confident image.
    torch.testing.assert_close(strong.grad, torch.tensor([[-0.375, 0.375], [0.0, 0.0]]))
    assert weak.grad is None


@pytest.mark.parametrize("lam", [-0.1, 1.1, float("nan")])
def test_lam_outside_zero_to_one(lam):
    with pytest.raises(ValueError, match="lam"):
        single_source_loss(torch.tensor(1.0), torch.tensor(1.0), lam)
    with pytest.raises(ValueError, match="lam"):
        multi_source_loss(torch.tensor(1.0), torch.ones(1), [1.0], lam)


@pytest.mark.parametrize(
    "weights", [[0.5, 0.2, 0.2], [1.2, -0.1, -0.1], [0.5, 0.5], [math.nan] * 3]
)
def test_weights_must_be_on_the_simplex(weights):
    logits, targets, sizes, _ = three_sources()
    with pytest.raises(ValueError, match="weights must"):
        multi_source_loss(torch.tensor(1.0), torch.ones(3), weights, 0.8)
    with pytest.raises(ValueError, match="weights must"):
        weighted_distillation_loss(logits, targets, sizes, weights)


def test_shapes_that_do_not_match():
    logits, targets, sizes, weights = three_sources()
    with pytest.raises(ValueError, match="labels must be"):
        labeled_loss(logits, torch.zeros(4, dtype=torch.long))
    with pytest.raises(ValueError, match="not empty"):
        labeled_loss(logits[:0], torch.zeros(0, dtype=torch.long))
    with pytest.raises(ValueError, match="do not match logits"):
        distillation_loss(logits, targets[:, :3])
    with pytest.raises(ValueError, match="temperature"):
        distillation_loss(logits, targets, temperature=0)
    with pytest.raises(ValueError, match="do not match logits"):
        weighted_distillation_loss(logits, targets[:2], sizes, weights)
    for bad in ((4, 1, 6), (4, 8, 0), (), (6, 6)):
        with pytest.raises(ValueError, match=r"sizes|weights"):
            weighted_distillation_loss(logits, targets, bad, weights)
    with pytest.raises(ValueError, match="at least one source"):
        multi_source_loss(torch.tensor(1.0), [], [], 0.8)
    with pytest.raises(ValueError, match="do not match"):
        fixmatch_loss(logits, logits[:2])
    with pytest.raises(ValueError, match="threshold"):
        fixmatch_loss(logits, logits, threshold=1.5)


def test_features_by_hand():
    predictions = torch.tensor([[1.0, 2.0], [0.0, -1.0]], requires_grad=True)
    features = torch.tensor([[1.0, 0.0], [3.0, -1.0]], requires_grad=True)
    loss = feature_loss(predictions, features)
    assert loss.item() == pytest.approx((0 + 4 + 9 + 0) / 4)
    loss.backward()
    # 2 (g - f) / 4, and nothing flows into the source.
    assert predictions.grad.tolist() == [[0, 1], [-1.5, 0]]
    assert features.grad is None


def test_label_information_by_hand():
    # Mean (1/2, 1/2): ln 2; each row has the entropy of (1/4, 3/4), 2 ln 2 - 3/4 ln 3.
    rows = torch.tensor([[0.25, 0.75], [0.75, 0.25]])
    assert label_information(rows) == pytest.approx(LN2 - (2 * LN2 - 0.75 * LN3))
    assert label_information(torch.eye(3)) == pytest.approx(LN3)
    assert label_information(torch.full((4, 3), 1 / 3)) == 0
    # T = 2 makes (1, 9) / 10 to (1, 3) / 4, and T^2 = 4.
    squares = torch.tensor([[0.1, 0.9], [0.9, 0.1]])
    assert label_information(squares, temperature=2) == pytest.approx(4 * label_information(rows))


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_both_kinds_of_loss_span_the_same(temperature):
    """From the best constant prediction to a perfect one, a source's labels and features alike."""
    generator = torch.Generator().manual_seed(1)
    labels = (2 * torch.randn(50, 4, generator=generator, dtype=torch.float64)).softmax(dim=1)
    features = torch.randn(50, 6, generator=generator, dtype=torch.float64)
    features = (features - features.mean(dim=0)) / features.std(dim=0, correction=0)
    scale = label_information(labels, temperature=temperature)

    def spanned(targets, constant, perfect, scale):
        constant, perfect = (
            weighted_distillation_loss(
                z, targets, (targets.shape[1],), [1.0], temperature=temperature, scales=[scale]
            )
            for z in (constant.expand_as(targets), perfect)
        )
        return (constant - perfect).item()

    soft = labels ** (1 / temperature)
    soft = soft / soft.sum(dim=1, keepdim=True)
    best = temperature * soft.mean(dim=0).log()
    of_labels = spanned(labels, best, temperature * soft.log(), None)
    assert of_labels == pytest.approx(scale) and scale > 0.1
    assert spanned(features, torch.zeros(6).double(), features, scale) == pytest.approx(of_labels)
    # No other constant is better.
    for step in torch.randn(20, 4, generator=generator, dtype=torch.float64):
        assert spanned(labels, best + 0.1 * step, temperature * soft.log(), None) >= of_labels


@pytest.mark.parametrize("scales", [(None, 2.0, None), (0.5, 0.0, 3.0)])
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_kinds_of_loss_side_by_side(scales, temperature):
    logits, targets, sizes, weights = three_sources()
    ours, theirs = (logits.clone().requires_grad_() for _ in range(2))
    expected = 0
    parts = zip(weights, scales, theirs.split(sizes, 1), targets.split(sizes, 1), strict=True)
    for alpha, scale, z, t in parts:
        if scale is None:
            expected += alpha.double() * distillation_loss(z, t, temperature=temperature)
        else:
            expected += alpha.double() * scale * feature_loss(z, t)
    loss = weighted_distillation_loss(
        ours, targets, sizes, weights, temperature=temperature, scales=scales
    )
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_without_features_nothing_changes():
    logits, targets, sizes, weights = three_sources(torch.float32)
    plain = weighted_distillation_loss(logits, targets, sizes, weights)
    told = weighted_distillation_loss(logits, targets, sizes, weights, scales=(None,) * 3)
    assert torch.equal(plain, told)


def test_losses_on_half_precision_features_are_float32():
    logits, targets, sizes, weights = three_sources(torch.bfloat16)
    logits.requires_grad_()
    loss = weighted_distillation_loss(logits, targets, sizes, weights, scales=(1.0, None, 1.0))
    assert loss.dtype == torch.float32
    loss.backward()
    assert logits.grad.dtype == torch.bfloat16 and logits.grad.isfinite().all()


@pytest.mark.parametrize("scales", [(1.0,), (None, -1, None), (None, math.inf, 1), (math.nan,) * 3])
def test_scales_must_be_numbers_from_0(scales):
    logits, targets, sizes, weights = three_sources()
    with pytest.raises(ValueError, match="scales must be 3 numbers from 0, or None"):
        weighted_distillation_loss(logits, targets, sizes, weights, scales=scales)


def test_shapes_of_features_that_do_not_match():
    with pytest.raises(ValueError, match=r"features \(2, 3\) do not match predictions \(2, 4\)"):
        feature_loss(torch.ones(2, 4), torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"predictions must be .* not empty"):
        feature_loss(torch.ones(0, 4), torch.ones(0, 4))
    with pytest.raises(ValueError, match=r"probabilities must be .* not empty"):
        label_information(torch.ones(0, 4))
    with pytest.raises(ValueError, match="temperature must be positive"):
        label_information(torch.ones(1, 1), temperature=0)
