"""Objectives that are not of the paper: each loss in closed form, and a step of each by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from distillweighted import losses
from distillweighted.batches.fixed_views import FixedViews
from distillweighted.batches.normalization import normalize
from distillweighted.batches.target_batches import TargetBatches
from distillweighted.batches.views import PaddedCrop
from distillweighted.networks.classifier import build_model
from distillweighted.seeds import derive_seed
from distillweighted.training.loop import train_students
from distillweighted.training.objectives.distill_decoupled import decoupled_loss
from distillweighted.training.objectives.distill_standardized import standardized_loss
from distillweighted.training.settings import StudentSettings
from distillweighted.training.student import PseudoLabels, Student

SETTINGS = StudentSettings(
    steps=2,
    labeled_batch=4,
    unlabeled_batch=8,
    lam=0.7,
    temperature=1.0,
    learning_rate=0.003,
    weight_decay=0.01,
    fixmatch_threshold=0.3,
    fixmatch_weight=0.5,
)
MEAN, STD = [0.5, 0.5, 0.5], [0.25, 0.25, 0.3]
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
NAMES, SIZES, WEIGHTS = ("s1", "s2", "s3"), (4, 2, 4), np.array([0.5, 0.3, 0.2])

pytestmark = pytest.mark.usefixtures("one_thread")


def draw(seed, classes, images=5):
    generator = torch.Generator().manual_seed(seed)
    z, t = (2 * torch.randn(images, classes, generator=generator) for _ in range(2))
    return z, t.softmax(dim=1)


def divergence(logits, q):
    return functional.kl_div(logits.log_softmax(1), q, reduction="batchmean")


# The decoupled loss.


@given(seed=st.integers(0, 99), classes=st.integers(2, 9))
def test_decoupled_parts_with_the_coupling_weight_are_the_divergence(seed, classes):
    """Zhao et al., eq. 7: KL = TCKD + (1 - q_t) NCKD, image by image."""
    z, q = draw(seed, classes, images=1)
    coupled = decoupled_loss(z, q, target_weight=1, others_weight=1 - q.max().item())
    torch.testing.assert_close(coupled, divergence(z, q).reshape(1), rtol=1e-4, atol=1e-6)


def test_the_decoupled_loss_by_hand():
    q = torch.tensor([[0.7, 0.2, 0.1]])
    p = [0.5, 0.1, 0.4]
    target = 0.7 * math.log(0.7 / 0.5) + 0.3 * math.log(0.3 / 0.5)
    others = 2 / 3 * math.log(2 / 3 / 0.2) + 1 / 3 * math.log(1 / 3 / 0.8)
    loss = decoupled_loss(torch.tensor([p]).log(), q)
    assert loss.item() == pytest.approx(target + 2 * others, rel=1e-5)


def test_the_decoupled_loss_at_a_temperature_is_of_softened_values():
    z, q = draw(0, 5)
    hot = decoupled_loss(z, q, temperature=2.0)
    softened = q.sqrt() / q.sqrt().sum(dim=1, keepdim=True)
    torch.testing.assert_close(hot, 4 * decoupled_loss(z / 2, softened))


@pytest.mark.parametrize(
    "loss", [decoupled_loss, lambda z, q: standardized_loss(z, q, temperature=2)]
)
def test_certain_pseudo_labels_and_large_logits_have_finite_losses_and_gradients(loss):
    q = torch.eye(3)
    for z in (torch.zeros(3, 3), 200 * torch.eye(3), -200 * torch.eye(3)):
        z = z.clone().requires_grad_()
        value = loss(z, q)
        value.sum().backward()
        assert torch.isfinite(value).all() and torch.isfinite(z.grad).all()


def test_a_perfect_prediction_has_no_decoupled_loss():
    _, q = draw(3, 6)
    z = q.log().requires_grad_()
    loss = decoupled_loss(z, q)
    loss.sum().backward()
    assert loss.tolist() == pytest.approx([0] * len(q), abs=1e-6) and z.grad.abs().max() < 1e-6


# The standardised loss.


def test_the_standardised_loss_by_hand():
    z, q = draw(1, 6)

    def standardized(values):
        mean, deviation = values.mean(dim=1, keepdim=True), values.std(dim=1, keepdim=True)
        return (values - mean) / deviation / 2.0

    target = standardized(q.log()).softmax(dim=1)
    expected = -4 * (target * standardized(z).log_softmax(dim=1)).sum(dim=1)
    torch.testing.assert_close(standardized_loss(z, q, temperature=2.0), expected)


@given(shift=st.floats(-5, 5), scale=st.floats(0.2, 20))
def test_the_standardised_loss_does_not_see_how_large_logits_are(shift, scale):
    z, q = draw(2, 5)
    same = standardized_loss(scale * z + shift, q, temperature=2.0)
    torch.testing.assert_close(same, standardized_loss(z, q, temperature=2.0), rtol=1e-3, atol=1e-4)


# A step of each.


def pseudo_labels(scales=None, images=40):
    parts = [draw(7 + s, c, images=images)[1] for s, c in enumerate(SIZES)]
    return PseudoLabels(torch.cat(parts, dim=1), SIZES, WEIGHTS, NAMES, scales)


def target_batches(padding=2, views=3):
    rows, view = (np.arange(12), np.arange(12) % 3, np.arange(12, 40)), PaddedCrop(padding)
    fixed = FixedViews(IMAGES, view, views, target="fruit")
    return TargetBatches(IMAGES, *rows, view=view, seed=0, fixed=fixed)


def train(objective, settings=SETTINGS, *, batches=None, **lessons):
    model = build_model("convnet_tiny", 3, seed=5)
    student = Student("student", objective, model, MEAN, STD, **lessons)
    batches, cpu = batches or target_batches(), torch.device("cpu")
    (outcome,) = train_students([student], batches, settings, seed=0, device=cpu)
    return outcome


def by_hand(*views):
    """The network's features of this step's views, and the logits of its own head."""
    model = build_model("convnet_tiny", 3, seed=5).train()
    features = model.backbone(normalize(torch.cat(views), MEAN, STD))
    return features, model.head(features)


def of_sources(features, rows, taught=None):
    """Logits and pseudo-labels of each source."""
    targets = (taught or pseudo_labels()).probabilities[rows].split(SIZES, dim=1)
    for name, size, target in zip(NAMES, SIZES, targets, strict=True):
        torch.manual_seed(derive_seed(0, "head", name))
        yield nn.Linear(features.shape[1], size)(features), target


@pytest.mark.parametrize(
    ("objective", "loss"),
    [
        ("distill_decoupled", lambda z, q: decoupled_loss(z, q, temperature=1.5)),
        ("distill_standardized", lambda z, q: standardized_loss(z, q, temperature=2 * 1.5)),
    ],
)
def test_another_loss_stands_in_the_place_of_eq_3(objective, loss):
    settings = replace(SETTINGS, temperature=1.5)
    first = train(objective, settings, pseudo_labels=pseudo_labels()).history[0]
    batches = target_batches()
    batches.next_step()
    (images, labels), (unlabeled, rows) = batches.labeled(4), batches.unlabeled(8)
    features, logits = by_hand(images, unlabeled)
    distilled = [loss(z, q).mean().item() for z, q in of_sources(features[4:], rows)]
    labeled = losses.labeled_loss(logits[:4], labels).item()
    assert first["unlabeled_loss"] == pytest.approx(WEIGHTS @ distilled, rel=1e-4)
    assert first["loss"] == pytest.approx(0.7 * labeled + 0.3 * WEIGHTS @ distilled, rel=1e-4)


def test_distillation_beside_fixmatch_is_the_sum_of_both():
    first = train("distill_fixmatch", pseudo_labels=pseudo_labels()).history[0]
    batches = target_batches()
    batches.next_step()
    (images, labels), (weak, rows) = batches.labeled(4), batches.unlabeled(4)
    features, logits = by_hand(images, weak, batches.unlabeled_strong(4, 1))
    labeled = losses.labeled_loss(logits[:4], labels).item()
    consistency = losses.fixmatch_loss(logits[4:8], logits[8:], threshold=0.3).item()
    pairs = of_sources(features[4:8], rows)
    distilled = WEIGHTS @ [losses.distillation_loss(z, q).item() for z, q in pairs]
    assert consistency > 0
    assert first["consistency_loss"] == pytest.approx(consistency, rel=1e-4)
    expected = 0.7 * (labeled + 0.5 * consistency) + 0.3 * distilled
    assert first["loss"] == pytest.approx(expected, rel=1e-4)


def test_at_lambda_1_distillation_beside_fixmatch_is_fixmatch():
    settings = replace(SETTINGS, lam=1.0)
    both = train("distill_fixmatch", settings, pseudo_labels=pseudo_labels()).model.state_dict()
    alone = train("fixmatch", settings).model.state_dict()
    assert all(torch.equal(both[name], alone[name]) for name in alone)


def test_a_student_of_views_learns_what_was_said_of_the_view_that_it_sees():
    taught = pseudo_labels(images=3 * 40)
    first = train("distill_views", pseudo_labels=taught).history[0]
    batches, views = target_batches(), FixedViews(IMAGES, PaddedCrop(2), 3, target="fruit")
    batches.next_step()
    (images, labels), (_, rows) = batches.labeled(4), batches.unlabeled(8)
    places = batches.unlabeled_fixed(8)[1]
    numbers = places // 40
    assert len(set(numbers.tolist())) == 3
    features, logits = by_hand(images, views.show(rows.numpy(), numbers.numpy()))
    pairs = of_sources(features[4:], numbers * 40 + rows, taught)
    distilled = WEIGHTS @ [losses.distillation_loss(z, q).item() for z, q in pairs]
    labeled = losses.labeled_loss(logits[:4], labels).item()
    assert first["labeled_loss"] == pytest.approx(labeled, rel=1e-5)
    assert first["unlabeled_loss"] == pytest.approx(distilled, rel=1e-4)
    assert first["loss"] == pytest.approx(0.7 * labeled + 0.3 * distilled, rel=1e-4)


def test_one_view_that_is_the_image_is_distillation_to_the_bit():
    both = [
        train(objective, batches=target_batches(0, 1), pseudo_labels=pseudo_labels())
        for objective in ("distill", "distill_views")
    ]
    assert both[0].history == both[1].history
    plain, viewed = (outcome.model.state_dict() for outcome in both)
    assert all(torch.equal(plain[name], viewed[name]) for name in plain)


def test_without_fixed_views_a_student_of_them_fails_and_says_so():
    rows = np.arange(12), np.arange(12) % 3, np.arange(12, 40)
    batches = TargetBatches(IMAGES, *rows, view=PaddedCrop(2), seed=0)
    outcome = train("distill_views", batches=batches, pseudo_labels=pseudo_labels())
    assert outcome.error == "there are no fixed views of these images"


def test_mixed_labels_are_learnt_as_those_of_a_probe():
    labels = draw(1, 3, images=40)[1]
    mixed = train("mixed_labels", probe_labels=labels)
    assert mixed.history == train("probe_labels", probe_labels=labels).history


@pytest.mark.parametrize(
    "objective",
    [
        *("distill", "distill_fixmatch", "distill_decoupled", "distill_standardized"),
        *("distill_views", "mixed_labels"),
    ],
)
def test_every_objective_passes_as_many_images_a_step(objective):
    lessons = {"pseudo_labels": pseudo_labels(images=3 * 40)}
    if objective == "mixed_labels":
        lessons = {"probe_labels": draw(1, 3, images=40)[1]}
    model, seen = build_model("convnet_tiny", 3, seed=5), []
    model.backbone.register_forward_hook(lambda module, args, out: seen.append(len(args[0])))
    student = Student("student", objective, model, MEAN, STD, **lessons)
    cpu = torch.device("cpu")
    list(train_students([student], target_batches(), SETTINGS, seed=0, device=cpu))
    assert sum(seen) == 2 * SETTINGS.images_per_step


@pytest.mark.parametrize("objective", ["distill_decoupled", "distill_standardized"])
def test_a_source_of_features_cannot_be_learnt_by_a_loss_of_pseudo_labels(objective):
    outcome = train(objective, pseudo_labels=pseudo_labels(scales=(None, 1.5)))
    assert "source 's2' teaches its features" in outcome.error
