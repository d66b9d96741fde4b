"""Students: each is trained as if it were alone, on the loss that the paper writes down."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from distillweighted import losses
from distillweighted.batches.forward import predict
from distillweighted.batches.normalization import normalize
from distillweighted.batches.target_batches import TargetBatches
from distillweighted.batches.views import PaddedCrop
from distillweighted.networks.classifier import build_model
from distillweighted.networks.devices import choose_device, seed_layers
from distillweighted.seeds import derive_seed
from distillweighted.training.loop import train_students
from distillweighted.training.settings import StudentSettings
from distillweighted.training.student import PseudoLabels, Student
from distillweighted.training.trainee import Trainee

CPU = torch.device("cpu")
MEAN, STD = [0.5, 0.5, 0.5], [0.25, 0.25, 0.3]
SETTINGS = StudentSettings(
    steps=6,
    labeled_batch=4,
    unlabeled_batch=8,
    lam=0.8,
    temperature=1.0,
    learning_rate=0.003,
    weight_decay=0.01,
    fixmatch_threshold=0.3,  # low, so that untrained students have pseudo-labels
    fixmatch_weight=1.0,
)

pytestmark = pytest.mark.usefixtures("one_thread")
NAMES, SIZES, WEIGHTS = ("s1", "s2", "s3"), (4, 2, 6), np.array([0.5, 0.2, 0.3])
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
LABELED, LABELS = np.arange(0, 12), np.arange(12) % 3


def pseudo_labels(names=NAMES, sizes=SIZES, weights=WEIGHTS, seed=0):
    generator = torch.Generator().manual_seed(seed)
    parts = [(3 * torch.randn(40, c, generator=generator)).softmax(dim=1) for c in sizes]
    return PseudoLabels(torch.cat(parts, dim=1), sizes, np.asarray(weights), names)


def one_source(seed=0):
    return pseudo_labels(("s1",), (4,), [1.0], seed=seed)


def plan(recipe="student", objective="transfer", architecture="convnet_tiny", pseudo=None):
    if objective == "distill" and pseudo is None:
        pseudo = pseudo_labels()
    model = build_model(architecture, 3, seed=5)
    return Student(recipe, objective, model, MEAN, STD, pseudo)


def target_batches(seed=0):
    unlabeled = np.arange(12, 40)
    return TargetBatches(IMAGES, LABELED, LABELS, unlabeled, view=PaddedCrop(2), seed=seed)


def train(*plans, settings=SETTINGS, seed=0, batch_seed=0):
    outcomes = train_students(plans, target_batches(batch_seed), settings, seed=seed, device=CPU)
    return {outcome.recipe: outcome for outcome in outcomes}


def train_one(one, **options):
    (outcome,) = train(one, **options).values()
    assert outcome.error is None
    return outcome


def same_model(a, b):
    a, b = a.model.state_dict(), b.model.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


COHORT = {
    "A": ("distill", "alexnet_tiny"),
    "B": ("transfer", "alexnet_tiny"),
    "C": ("fixmatch", "alexnet_tiny"),  # dropout, and strong views that draw too
    "D": ("distill", "convnet_tiny"),
    "E": ("fixmatch", "alexnet_tiny"),
}


def cohort(names):
    return [plan(name, *COHORT[name]) for name in names]


@pytest.fixture(scope="module")
def alone():
    torch.set_num_threads(1)
    return {name: train_one(*cohort(name)) for name in COHORT}


@pytest.mark.parametrize("company", ["ABC", "CAB", "DCBA", "ECDB"])
def test_a_student_does_not_depend_on_its_company(alone, company):
    together = train(*cohort(company))
    assert list(together) == list(company)
    for name, outcome in together.items():
        assert outcome.error is None
        assert same_model(outcome, alone[name])
        assert outcome.history == alone[name].history


def test_recipes_differ_but_their_names_do_not_matter(alone):
    assert same_model(alone["C"], alone["E"])
    for other in "BC":
        assert not same_model(alone["A"], alone[other])


@pytest.mark.parametrize("name", ["A", "B", "C"])
def test_seeds_change_results(alone, name):
    assert not same_model(train_one(*cohort(name), seed=1), alone[name])
    assert not same_model(train_one(*cohort(name), batch_seed=1), alone[name])


def test_the_global_random_state_is_left_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    train(*cohort("ABC"))
    assert torch.equal(torch.get_rng_state(), before)


def test_one_that_fails_leaves_the_others_alone(alone, caplog):
    bad = pseudo_labels()
    bad.probabilities[:, 0] = torch.nan
    with caplog.at_level(logging.ERROR):
        outcomes = train(*cohort("A"), plan("bad", "distill", pseudo=bad), *cohort("BC"))
    assert list(outcomes) == ["bad", "A", "B", "C"]  # failures as they happen
    failed = outcomes.pop("bad")
    assert failed.model is None
    assert "the loss is nan by step 1" in failed.error
    assert "unlabeled_loss nan" in failed.error
    assert "lower the learning rate, now 0.003 (training.learning_rate" in failed.error
    assert "bad stopped at step 1" in caplog.text
    for name, outcome in outcomes.items():
        assert same_model(outcome, alone[name])


def test_a_rate_that_diverges_fails_every_student_and_says_what_to_do():
    settings = replace(SETTINGS, learning_rate=1e30)
    for outcome in train(*cohort("BD"), settings=settings).values():
        assert outcome.model is None
        assert "lower the learning rate, now 1e+30 (training.learning_rate" in outcome.error


@pytest.mark.parametrize("objective", ["distill", "transfer", "fixmatch"])
def test_every_objective_passes_as_many_images_a_step(objective):
    one = plan(objective=objective)
    seen = []
    one.model.backbone.register_forward_hook(lambda module, args, out: seen.append(len(args[0])))
    train_one(one)
    assert sum(seen) == SETTINGS.steps * SETTINGS.images_per_step == 6 * (4 + 8)


def first_step_by_hand(pseudo):
    """Model outputs of step 1, from the batches and seeds alone: eq. 2, and eq. 3's arguments."""
    batches = target_batches()
    batches.next_step()
    images, labels = batches.labeled(4)
    unlabeled, rows = batches.unlabeled(8)
    model = build_model("convnet_tiny", 3, seed=5).train()
    features = model.backbone(normalize(torch.cat([images, unlabeled]), MEAN, STD))
    labeled = losses.labeled_loss(model.head(features[:4]), labels)
    pairs = []
    targets = pseudo.probabilities[rows].split(pseudo.sizes, dim=1)
    for name, size, target in zip(pseudo.names, pseudo.sizes, targets, strict=True):
        torch.manual_seed(derive_seed(0, "head", name))
        pairs.append((nn.Linear(model.num_features, size)(features[4:]), target))
    return labeled, pairs


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_distillation_is_eq_4(temperature):
    settings = replace(SETTINGS, temperature=temperature)
    history = train_one(plan(objective="distill"), settings=settings).history
    labeled, pairs = first_step_by_hand(pseudo_labels())
    distilled = [losses.distillation_loss(z, q, temperature=temperature) for z, q in pairs]
    expected = losses.multi_source_loss(labeled, distilled, list(WEIGHTS), 0.8)
    assert history[0]["loss"] == pytest.approx(expected.item(), rel=1e-5)
    assert history[0]["labeled_loss"] == pytest.approx(labeled.item(), rel=1e-5)
    alone = losses.multi_source_loss(labeled, distilled, list(WEIGHTS), 0)
    assert history[0]["unlabeled_loss"] == pytest.approx(alone.item(), rel=1e-5)


def test_one_source_with_all_weight_is_eq_1():
    history = train_one(plan(objective="distill", pseudo=one_source())).history
    labeled, [(logits, target)] = first_step_by_hand(one_source())
    expected = losses.single_source_loss(labeled, losses.distillation_loss(logits, target), 0.8)
    assert history[0]["loss"] == pytest.approx(expected.item(), rel=1e-5)


def test_a_source_of_features_is_regressed_beside_those_of_labels():
    pseudo = replace(pseudo_labels(), scales=(None, 1.5, None))
    history = train_one(plan(objective="distill", pseudo=pseudo)).history
    labeled, pairs = first_step_by_hand(pseudo)
    distilled = [losses.distillation_loss(z, q) for z, q in pairs]
    distilled[1] = 1.5 * losses.feature_loss(*pairs[1])
    expected = losses.multi_source_loss(labeled, distilled, list(WEIGHTS), 0.8)
    assert history[0]["loss"] == pytest.approx(expected.item(), rel=1e-5)


def test_labels_of_a_probe_are_eq_1_through_the_targets_head():
    probe = pseudo_labels(("probe",), (3,), [1.0]).probabilities
    model = build_model("convnet_tiny", 3, seed=5)
    student = Student("student", "probe_labels", model, MEAN, STD, probe_labels=probe)
    settings = replace(SETTINGS, temperature=2.0, lam=0.3)
    outcome = train_one(student, settings=settings)
    batches = target_batches()
    batches.next_step()
    images, labels = batches.labeled(4)
    unlabeled, rows = batches.unlabeled(8)
    both = normalize(torch.cat([images, unlabeled]), MEAN, STD)
    logits = build_model("convnet_tiny", 3, seed=5).train()(both)
    labeled = losses.labeled_loss(logits[:4], labels).item()
    copied = losses.distillation_loss(logits[4:], probe[rows], temperature=2.0).item()
    first = outcome.history[0]
    assert first["labeled_loss"] == pytest.approx(labeled, rel=1e-5)
    assert first["unlabeled_loss"] == pytest.approx(copied, rel=1e-5)
    assert first["loss"] == pytest.approx(0.3 * labeled + 0.7 * copied, rel=1e-5)


def test_transfer_is_eq_2_and_fixmatch_its_own_loss():
    batches = target_batches()
    batches.next_step()
    images, labels = batches.labeled(12)
    logits = build_model("convnet_tiny", 3, seed=5).train()(normalize(images, MEAN, STD))
    history = train_one(plan()).history
    assert history[0]["loss"] == pytest.approx(losses.labeled_loss(logits, labels).item())

    images, labels = batches.labeled(4)
    views = torch.cat([images, batches.unlabeled(4)[0], batches.unlabeled_strong(4, 1)])
    logits = build_model("convnet_tiny", 3, seed=5).train()(normalize(views, MEAN, STD))
    settings = replace(SETTINGS, fixmatch_weight=0.5)
    history = train_one(plan(objective="fixmatch"), settings=settings).history
    labeled = losses.labeled_loss(logits[:4], labels).item()
    unlabeled = losses.fixmatch_loss(logits[4:8], logits[8:], threshold=0.3).item()
    assert unlabeled > 0
    assert history[0]["labeled_loss"] == pytest.approx(labeled)
    assert history[0]["unlabeled_loss"] == pytest.approx(unlabeled)
    assert history[0]["loss"] == pytest.approx(labeled + 0.5 * unlabeled)


def test_the_heads_of_the_sources_are_discarded():
    outcome = train_one(plan(objective="distill"))
    assert (
        outcome.model.state_dict().keys()
        == build_model("convnet_tiny", 3, seed=0).state_dict().keys()
    )
    assert outcome.model.head.out_features == 3


def test_a_source_head_starts_alike_whatever_the_other_sources():
    """Order and company of the sources: the same loss up to summation order."""
    order = [2, 0, 1]
    pseudo = pseudo_labels()
    parts = pseudo.probabilities.split(SIZES, dim=1)
    shuffled = PseudoLabels(
        torch.cat([parts[i] for i in order], dim=1),
        tuple(SIZES[i] for i in order),
        WEIGHTS[order],
        tuple(NAMES[i] for i in order),
    )
    first = train_one(plan(objective="distill")).history[0]["loss"]
    second = train_one(plan(objective="distill", pseudo=shuffled)).history[0]["loss"]
    assert first == pytest.approx(second, rel=1e-6)


def test_with_lambda_1_pseudo_labels_do_not_matter():
    def trained(lam, seed):
        one = plan(objective="distill", pseudo=pseudo_labels(seed=seed))
        return train_one(one, settings=replace(SETTINGS, lam=lam))

    assert same_model(trained(1, seed=0), trained(1, seed=1))
    assert not same_model(trained(0.8, seed=0), trained(0.8, seed=1))


def test_a_temperature_takes_certain_pseudo_labels():
    certain = pseudo_labels()
    for part in certain.probabilities.split(SIZES, dim=1):
        part.copy_(torch.nn.functional.one_hot(part.argmax(dim=1), part.shape[1]))
    hot = train_one(
        plan(objective="distill", pseudo=certain), settings=replace(SETTINGS, temperature=2.0)
    )
    cold = train_one(plan(objective="distill", pseudo=certain))
    # Certain labels stay certain: only the logits soften.
    logits, target = first_step_by_hand(certain)[1][0]
    softened = losses.distillation_loss(logits, target, temperature=2.0)
    assert torch.isfinite(softened)
    assert hot.history[0]["unlabeled_loss"] != pytest.approx(cold.history[0]["unlabeled_loss"])
    assert all(np.isfinite(row["loss"]) for row in hot.history)


def test_history_has_a_tenth_of_the_steps_and_the_last():
    history = train_one(plan(), settings=replace(SETTINGS, steps=25)).history
    assert [row["step"] for row in history] == [*range(2, 25, 2), 25]
    assert list(history[0]) == ["step", "learning_rate", "loss", "labeled_loss"]
    history = train_one(plan(objective="distill"), settings=replace(SETTINGS, steps=1)).history
    assert [list(row) for row in history] == [
        ["step", "learning_rate", "loss", "labeled_loss", "unlabeled_loss"]
    ]


def test_the_one_cycle_schedule_rises_to_the_learning_rate_and_falls():
    history = train_one(plan(), settings=replace(SETTINGS, steps=9)).history
    rates = [row["learning_rate"] for row in history]
    assert rates[0] == pytest.approx(0.003 / 25)  # what the first step is taken with
    assert rates.index(max(rates)) == 2  # after 30% of the steps
    assert max(rates) == pytest.approx(0.003)
    assert rates[:3] == sorted(rates[:3])
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] < 0.003 / 20


def test_training_learns_what_the_labels_say():
    """Dark, middling and bright images; the loss falls to almost nothing."""
    images = np.random.default_rng(0).integers(0, 60, (40, 16, 16, 3), dtype=np.uint8)
    labels = np.arange(40) % 3
    images += (90 * labels).astype(np.uint8)[:, None, None, None]
    rows = np.arange(30)
    batches = TargetBatches(images, rows, labels[rows], rows, view=PaddedCrop(2), seed=0)
    settings = replace(SETTINGS, steps=30)
    (outcome,) = train_students([plan()], batches, settings, seed=0, device=CPU)
    predicted = predict(outcome.model, images[30:], MEAN, STD, device=CPU).argmax(dim=1).numpy()
    np.testing.assert_array_equal(predicted, labels[30:])


def test_devices():
    assert choose_device("cpu") == CPU
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_where_there_is_none_is_an_error():
    with pytest.raises(ValueError, match="use auto or cpu"):
        choose_device("cuda")


def test_layers_are_seeded_as_by_torch_but_no_call_stack_is_kept():
    """torch.manual_seed queues one a step for a CUDA that may be used later."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        expected = torch.rand(4)
        queued = len(torch.cuda._queued_calls)
        seed_layers(7, CPU)
        assert torch.equal(torch.rand(4), expected)
    assert len(torch.cuda._queued_calls) == queued


def test_a_plan_may_have_a_learning_rate_of_its_own():
    own = replace(plan(), learning_rate=0.001)
    rates = [row["learning_rate"] for row in train_one(own).history]
    assert rates[0] == pytest.approx(0.001 / 25)
    settings = replace(SETTINGS, learning_rate=0.001)
    outcomes = train(replace(plan("own"), learning_rate=0.001), plan("common"))
    assert same_model(outcomes["own"], train_one(plan(), settings=settings))
    assert not same_model(outcomes["own"], outcomes["common"])


def test_vectors_do_not_decay_and_beta1_is_not_cycled():
    """Where the loss has no gradient, decay is all that moves a weight."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    start = {name: value.clone() for name, value in network.named_parameters()}

    class Still(Trainee):
        def losses(self, batches, step):
            return {"loss": sum(0 * p.sum() for p in self.model.parameters())}

    trainee = Still(
        "still",
        network,
        learning_rate=0.1,
        weight_decay=0.5,
        steps=4,
        device=CPU,
        mean=MEAN,
        std=STD,
    )
    rates = []
    for step in range(1, 5):
        trainee.step(None, step)
        rates.append(trainee.current_rate)
        assert {group["betas"] for group in trainee.optimizer.param_groups} == {(0.9, 0.999)}
    # From 1/25 of the peak, up to it and down again.
    assert rates[0] == pytest.approx(0.004) and max(rates) == pytest.approx(0.1, rel=0.1)
    decay = np.prod([1 - 0.5 * rate for rate in rates])
    for name, value in network.named_parameters():
        factor = decay if value.ndim > 1 else 1.0
        torch.testing.assert_close(value, start[name] * factor, rtol=1e-5, atol=0)


def test_the_labelled_batch_alone_is_a_third_of_transfers():
    """The control sees the labelled images of a step of distillation, and no others."""
    outcomes = train(plan("alone", "labeled_batch"))
    first = outcomes["alone"].history[0]
    assert first["loss"] == first["labeled_loss"] and "unlabeled_loss" not in first
    batches, model = target_batches(), build_model("convnet_tiny", 3, seed=5).train()
    batches.next_step()
    images, labels = batches.labeled(SETTINGS.labeled_batch)
    logits = model(normalize(images, MEAN, STD))
    assert first["loss"] == pytest.approx(losses.labeled_loss(logits, labels).item(), rel=1e-5)
