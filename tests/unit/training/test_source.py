"""Training of source models."""

import numpy as np
import pytest
import torch

from distillweighted.batches.forward import predict
from distillweighted.batches.views import PaddedCrop
from distillweighted.networks.classifier import build_model
from distillweighted.tasks.pools import UniformPool
from distillweighted.training import source
from distillweighted.training.source import source_accuracy, train_source
from distillweighted.training.source_job import SourceSettings
from distillweighted.training.trainee import TrainingError

CPU = torch.device("cpu")
SETTINGS = SourceSettings(steps=20, batch_size=8, learning_rate=0.004, weight_decay=0.01)

pytestmark = pytest.mark.usefixtures("one_thread")


def light_and_dark(n=24):
    images = np.random.default_rng(0).integers(0, 100, (n, 16, 16, 3), dtype=np.uint8)
    labels = np.arange(n) % 2
    images[labels == 1] += 120
    return images, labels


def train(seed=0, architecture="convnet_tiny", settings=SETTINGS):
    images, labels = light_and_dark()
    return train_source(
        architecture, images, labels, 2, settings, seed=seed, device=CPU, view=PaddedCrop(2)
    )


def test_a_source_learns_its_task_and_says_how_its_inputs_are_normalised():
    images, labels = light_and_dark()
    model, mean, std = train()
    assert (mean, std) == UniformPool(images).channel_statistics()
    assert source_accuracy(model, images, labels, mean, std, device=CPU) == 100.0
    assert source_accuracy(model, images, 1 - labels, mean, std, device=CPU) == 0.0


def test_a_source_depends_on_its_seed_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, *_ = train(architecture="alexnet_tiny")  # dropout
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    second, *_ = train(architecture="alexnet_tiny")
    other, *_ = train(architecture="alexnet_tiny", seed=1)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first.head.weight, other.head.weight)


def test_source_accuracy_by_hand():
    images, _ = light_and_dark(4)
    model = build_model("convnet_tiny", 3, seed=0)
    mean, std = UniformPool(images).channel_statistics()
    predicted = predict(model, images, mean, std, device=CPU).argmax(dim=1).numpy()
    labels = predicted.copy()
    labels[0] = (labels[0] + 1) % 3
    assert source_accuracy(model, images, labels, mean, std, device=CPU) == 75.0


@pytest.mark.parametrize("bad_step", [2, 25])
def test_a_loss_that_is_not_finite_is_an_error(monkeypatch, bad_step):
    """At a tenth of the steps and at the last one, which need not be among them."""
    calls = []

    def loss(logits, labels):
        calls.append(1)
        return logits.mean() * (float("nan") if len(calls) == bad_step else 1.0)

    monkeypatch.setattr(source, "labeled_loss", loss)
    settings = SourceSettings(25, 8, 0.004, 0.01)
    with pytest.raises(TrainingError, match=rf"nan by step {bad_step}.*training\.sources"):
        train(settings=settings)
