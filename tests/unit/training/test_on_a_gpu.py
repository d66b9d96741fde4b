"""What holds on the CPU holds on a GPU: company, resumption, the clock; recorded kernels change
nothing. Where there is no GPU, the clock and what a cohort is taught are looked at alone."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_resumption import SETTINGS
from torch import nn

from distillweighted.batches.forward import predict
from distillweighted.batches.target_batches import TargetBatches
from distillweighted.batches.views import PaddedCrop, ResizedCrop
from distillweighted.networks.classifier import build_model
from distillweighted.tasks.pools import RaggedPool, write_ragged
from distillweighted.training import loop
from distillweighted.training.loop import train_students
from distillweighted.training.recorder import Recorder
from distillweighted.training.resumption import Checkpoint, TrainingStopped
from distillweighted.training.source import train_source
from distillweighted.training.source_job import SourceSettings
from distillweighted.training.student import PseudoLabels, Student
from distillweighted.training.trainee import StepClock

on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
CPU, GPU = torch.device("cpu"), torch.device("cuda")
MEAN, STD = [0.5, 0.5, 0.5], [0.25, 0.25, 0.3]
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
SHIFTED = PaddedCrop(2)
LABELED, UNLABELED = np.arange(12), np.arange(12, 40)
COHORT = {
    "A": ("distill", "alexnet_tiny"),  # dropout
    "B": ("transfer", "resnet18_tiny"),  # batch statistics
    "C": ("fixmatch", "alexnet_tiny"),  # strong views that draw too
    "D": ("distill", "convnet_tiny"),
}


def pseudo_labels():
    generator = torch.Generator().manual_seed(0)
    parts = [(3 * torch.randn(40, c, generator=generator)).softmax(dim=1) for c in (4, 2, 6)]
    weights = np.array([0.5, 0.2, 0.3])
    return PseudoLabels(torch.cat(parts, dim=1), (4, 2, 6), weights, ("s1", "s2", "s3"))


def plan(name):
    objective, architecture = COHORT[name]
    pseudo = pseudo_labels() if objective == "distill" else None
    return Student(name, objective, build_model(architecture, 3, seed=5), MEAN, STD, pseudo)


def target_batches(images=IMAGES, view=SHIFTED):
    return TargetBatches(images, LABELED, LABELED % 3, UNLABELED, view=view, seed=0)


def train(names, device=GPU, checkpoint=None, batches=None, settings=SETTINGS):
    outcomes = train_students(
        [plan(name) for name in names],
        batches or target_batches(),
        settings,
        seed=0,
        device=device,
        checkpoint=checkpoint,
    )
    return {outcome.recipe: outcome for outcome in outcomes}


def same(a, b):
    a, b = a.model.state_dict(), b.model.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def alone():
    return {name: train(name)[name] for name in COHORT}


@on_cuda
@pytest.mark.parametrize("company", ["ABCD", "DCBA", "CA"])
def test_cuda_company_does_not_matter(alone, company):
    together = train(company)
    for name, outcome in together.items():
        assert outcome.error is None
        assert same(outcome, alone[name]) and outcome.history == alone[name].history
        assert outcome.seconds > 0


@on_cuda
def test_cuda_recorded_kernels_change_nothing(alone, monkeypatch, caplog):
    """Nor do the runs that record them show in what a network has counted or drawn."""
    recorded = []
    record = Recorder.record
    monkeypatch.setattr(
        Recorder, "record", lambda self, *args: (recorded.append(1), record(self, *args))
    )
    assert same(train("B")["B"], alone["B"])
    assert len(recorded) == 1 and not caplog.records
    monkeypatch.setattr(Recorder, "record", lambda self, network, images: None)
    for name in COHORT:
        assert same(train(name)[name], alone[name])
    counted = [m.num_batches_tracked for m in alone["B"].model.modules() if hasattr(m, "momentum")]
    assert counted and {int(n) for n in counted} == {SETTINGS.steps}


class Waiting(nn.Module):
    """A network that looks at its values, so that it cannot be recorded."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        return self.network(images) * (1 if float(images.sum()) == 0 else 2)


@on_cuda
def test_cuda_networks_that_cannot_be_recorded_are_trained_all_the_same(alone, caplog):
    """And those beside them are recorded."""

    def waiting():
        student = plan("B")
        student.model.backbone = Waiting(student.model.backbone)
        return replace(student, recipe="waiting")

    def trained(*students):
        outcomes = train_students(students, target_batches(), SETTINGS, seed=0, device=GPU)
        return {outcome.recipe: outcome for outcome in outcomes}

    together = trained(waiting(), plan("D"))
    assert [one.error for one in together.values()] == [None, None]
    assert "its kernels are started one by one" in caplog.text
    assert same(together["D"], alone["D"])
    assert same(together["waiting"], trained(waiting())["waiting"])


@on_cuda
def test_cuda_models_that_were_trained_take_batches_of_any_size(alone):
    model = alone["B"].model
    assert "forward" not in vars(model.backbone)
    logits = predict(model, IMAGES[:7], MEAN, STD, device=GPU)
    on_cpu = predict(model, IMAGES[:7], MEAN, STD, device=CPU)
    assert (logits - on_cpu).abs().max() < 1e-3
    model.to(GPU)


@on_cuda
def test_cuda_students_begin_as_on_the_cpu(alone):
    """Losses of a first step, but for the rounding of products to bfloat16."""
    settings = replace(SETTINGS, steps=1)
    for name in "BD":
        there, here = (train(name, device, settings=settings)[name] for device in (GPU, CPU))
        for part, value in here.history[0].items():
            assert there.history[0][part] == pytest.approx(value, rel=0.02)


class StoppedAt(Checkpoint):
    """Saves and stops after some step."""

    def __init__(self, path, step):
        super().__init__(path, "this training", interval=math.inf)
        self.step = step

    def after_step(self, step, steps, state):
        if step == self.step:
            self._save(step, state())
            raise TrainingStopped(f"at {step}")


@on_cuda
@pytest.mark.parametrize("step", [1, 5])
def test_cuda_trainings_go_on_to_the_same_bits(alone, tmp_path, step):
    path = tmp_path / "training.pt"
    with pytest.raises(TrainingStopped):
        train("ABCD", checkpoint=StoppedAt(path, step))
    assert path.is_file()
    for name, outcome in train("ABCD", checkpoint=StoppedAt(path, -1)).items():
        assert same(outcome, alone[name]) and outcome.history == alone[name].history


@on_cuda
@pytest.mark.parametrize("architecture", ["alexnet_tiny", "resnet18_tiny"])
def test_cuda_sources_go_on_to_the_same_bits(tmp_path, architecture):
    settings = SourceSettings(steps=12, batch_size=8, learning_rate=0.004, weight_decay=0.01)

    def trained(checkpoint=None):
        options = {"seed": 3, "device": GPU, "view": PaddedCrop(2), "checkpoint": checkpoint}
        labels = np.arange(40) % 5
        return train_source(architecture, IMAGES, labels, 5, settings, **options)[0].state_dict()

    whole, path = trained(), tmp_path / "training.pt"
    with pytest.raises(TrainingStopped):
        trained(StoppedAt(path, 5))
    resumed = trained(StoppedAt(path, -1))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@on_cuda
def test_cuda_memory_that_holds_all_images_gives_the_same_students(tmp_path, monkeypatch):
    """MobileNetV3 at 64 pixels: bits between two runs, and nearly so with images cut on the CPU."""
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 256, (70 + i, 90 - i, 3), dtype=np.uint8) for i in range(40)]
    pool = RaggedPool(tmp_path / "a.npy", write_ragged(tmp_path / "a.npy", images))
    model = build_model("mobilenet_v3_large", 3, seed=5)
    start = {name: value.clone() for name, value in model.state_dict().items()}

    def trained():
        model.load_state_dict(start)
        student = Student("student", "distill", model, MEAN, STD, pseudo_labels())
        batches = target_batches(pool, ResizedCrop(64, 0.2, True))
        (outcome,) = train_students([student], batches, SETTINGS, seed=0, device=GPU)
        assert outcome.error is None
        return outcome.history, {name: v.clone() for name, v in model.state_dict().items()}

    history, first = trained()
    again, second = trained()
    assert again == history and all(torch.equal(first[name], second[name]) for name in first)
    monkeypatch.setattr("distillweighted.batches.target_batches.makes_parts", lambda view: False)
    assert trained()[0][0]["loss"] == pytest.approx(history[0]["loss"], rel=0.02)


@pytest.mark.parametrize("device", [CPU, pytest.param(GPU, marks=on_cuda)], ids=str)
def test_a_clock_takes_the_time_of_steps_and_of_nothing_else(device):
    clock, ticks = StepClock(device), iter([10.0, 12.0, 50.0, 53.0])
    clock._now = lambda: next(ticks)
    if device.type == "cuda":
        del clock._now
    for _ in range(2):
        clock.start()
        clock.stop()
    assert clock.take() == 5 if device.type == "cpu" else 0 <= clock.take() < 1
    assert clock.take() == 0


def test_what_students_share_is_moved_once_and_no_more_than_that():
    shared, own = pseudo_labels(), torch.rand(40, 3)
    plans = [
        Student("a", "distill", nn.Identity(), MEAN, STD, shared),
        Student("b", "probe_labels", nn.Identity(), MEAN, STD, None, probe_labels=own),
        Student("c", "distill", nn.Identity(), MEAN, STD, replace(shared, names=("x", "y", "z"))),
        Student("d", "transfer", nn.Identity(), MEAN, STD),
    ]
    a, b, c, d = loop._with_lessons_on(torch.device("meta"), plans)
    assert a.pseudo_labels.probabilities.is_meta
    assert a.pseudo_labels.probabilities is c.pseudo_labels.probabilities
    assert c.pseudo_labels.names == ("x", "y", "z")
    assert b.probe_labels.is_meta and b.pseudo_labels is None
    assert d.pseudo_labels is None and d.probe_labels is None
    assert not shared.probabilities.is_meta
