"""A training that was killed goes on from its checkpoint, and ends as if nothing had happened."""

import logging
import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from distillweighted.batches.fixed_views import FixedViews
from distillweighted.batches.target_batches import TargetBatches
from distillweighted.batches.views import PaddedCrop
from distillweighted.networks.classifier import build_model
from distillweighted.training.loop import train_students
from distillweighted.training.resumption import STOP_SIGNALS, Checkpoint, TrainingStopped
from distillweighted.training.settings import StudentSettings
from distillweighted.training.source import train_source
from distillweighted.training.source_job import SourceSettings
from distillweighted.training.student import PseudoLabels, Student

CPU = torch.device("cpu")
SETTINGS = StudentSettings(
    steps=12,
    labeled_batch=4,
    unlabeled_batch=8,
    lam=0.8,
    temperature=1.0,
    learning_rate=0.003,
    weight_decay=0.01,
    fixmatch_threshold=0.3,
    fixmatch_weight=1.0,
)
SOURCE_SETTINGS = SourceSettings(steps=12, batch_size=8, learning_rate=0.004, weight_decay=0.01)
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def ctrl_c_interrupts():
    """Also where the tests were started in the background, by a shell that has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class StoppedBatches(TargetBatches):
    """Batches in whose step `stop` this process gets a signal."""

    def __init__(self, *args, stop=None, by=signal.SIGTERM, **options):
        super().__init__(*args, **options)
        self.steps, self.stop, self.by = 0, stop, by

    def next_step(self):
        super().next_step()
        self.steps += 1
        if self.steps == self.stop:
            os.kill(os.getpid(), self.by)


def plan(recipe, objective, architecture, bad=False):
    pseudo = None
    if objective.startswith("distill"):
        generator = torch.Generator().manual_seed(1)
        parts = [torch.randn(3 * 40, c, generator=generator).softmax(dim=1) for c in (4, 2)]
        pseudo = PseudoLabels(torch.cat(parts, dim=1), (4, 2), np.array([0.7, 0.3]), ("a", "b"))
        if bad:
            pseudo.probabilities[:, 0] = torch.nan
    mean, std = [0.5, 0.5, 0.5], [0.25, 0.25, 0.25]
    return Student(recipe, objective, build_model(architecture, 3, seed=5), mean, std, pseudo)


def cohort():
    """Dropout (alexnet), batch statistics (resnet), heads of sources, and one that fails."""
    return [
        plan("distill", "distill", "alexnet_tiny"),
        plan("bad", "distill", "convnet_tiny", bad=True),
        plan("transfer", "transfer", "resnet18_tiny"),
        plan("fixmatch", "fixmatch", "alexnet_tiny"),
        plan("views", "distill_views", "convnet_tiny"),
    ]


def train(checkpoint=None, **stop):
    """Train the cohort; stops in a step and by a signal that are asked for."""
    labeled, view = np.arange(12), PaddedCrop(2)
    stop["fixed"] = FixedViews(IMAGES, view, 3, target="fruit")
    batches = StoppedBatches(
        IMAGES, labeled, labeled % 3, np.arange(12, 40), view=view, seed=0, **stop
    )
    outcomes = train_students(
        cohort(), batches, SETTINGS, seed=0, device=CPU, checkpoint=checkpoint
    )
    return {outcome.recipe: outcome for outcome in outcomes}, batches.steps


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def a_checkpoint(path, key="this training", interval=math.inf):
    return Checkpoint(path / "folder" / "training.pt", key, interval=interval)


@pytest.fixture(scope="module")
def uninterrupted():
    torch.set_num_threads(1)
    return train()[0]


def check(outcomes, expected):
    assert outcomes.keys() == expected.keys()
    for recipe, outcome in outcomes.items():
        assert outcome.history == expected[recipe].history
        assert outcome.error == expected[recipe].error
        if outcome.error is None:
            assert same(outcome.model, expected[recipe].model)
            assert outcome.seconds > 0
    assert "the loss is nan" in outcomes["bad"].error


@pytest.fixture
def prepared_ahead(monkeypatch):
    """As on a GPU: a thread prepares the batches of the next steps."""
    monkeypatch.setattr("distillweighted.training.loop.PREPARES_AHEAD", ("cpu",))


@pytest.mark.parametrize("stops", [(1,), (5,), (12,), (3, 1, 6)], ids=str)
def test_students_go_on_to_the_same_weights_from_batches_prepared_ahead(
    tmp_path, uninterrupted, prepared_ahead, stops
):
    test_students_go_on_to_the_same_weights(tmp_path, uninterrupted, stops)
    assert "batches_0" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize("stops", [(1,), (5,), (12,), (3, 1, 6)], ids=str)
def test_students_go_on_to_the_same_weights(tmp_path, uninterrupted, stops):
    done = 0
    for stop in stops:
        done += stop
        with pytest.raises(TrainingStopped, match=f"SIGTERM after step {done} of 12; saved in"):
            train(a_checkpoint(tmp_path), stop=stop)
    torch.manual_seed(99)  # the state of another process
    checkpoint = a_checkpoint(tmp_path)
    outcomes, steps = train(checkpoint)
    assert steps == 12 - done
    check(outcomes, uninterrupted)
    checkpoint.remove()
    assert list(tmp_path.rglob("*.pt*")) == []


@pytest.mark.parametrize("by", STOP_SIGNALS)
def test_every_signal_saves_first_and_is_given_back(tmp_path, by):
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    with pytest.raises(TrainingStopped, match=f"{by.name} after step 2"):
        train(a_checkpoint(tmp_path), stop=2, by=by)
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before
    assert a_checkpoint(tmp_path).load()[0] == 2


def test_the_second_signal_acts_as_ever(tmp_path):
    with pytest.raises(KeyboardInterrupt), a_checkpoint(tmp_path):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_after_the_last_step_is_not_lost(tmp_path):
    with pytest.raises(KeyboardInterrupt), a_checkpoint(tmp_path) as checkpoint:
        checkpoint.after_step(1, 1, dict)
        os.kill(os.getpid(), signal.SIGINT)


def source(checkpoint=None, architecture="alexnet_tiny"):
    labels = np.arange(40) % 2
    return train_source(
        architecture, IMAGES, labels, 2, SOURCE_SETTINGS, seed=3, device=CPU,
        view=PaddedCrop(2), checkpoint=checkpoint,
    )[0]  # fmt: skip


@pytest.mark.parametrize("architecture", ["alexnet_tiny", "resnet18_tiny"])
def test_a_source_goes_on_to_the_same_weights(tmp_path, monkeypatch, architecture):
    """Its dropout draws from one stream, which goes on too."""
    expected = source(architecture=architecture)
    for stop in (4, 3):
        with monkeypatch.context() as patch:
            patch.setattr(
                "distillweighted.training.source.TargetBatches",
                lambda *args, stop=stop, **options: StoppedBatches(*args, stop=stop, **options),
            )
            with pytest.raises(TrainingStopped):
                source(a_checkpoint(tmp_path), architecture)
    torch.manual_seed(99)
    assert a_checkpoint(tmp_path).load()[0] == 7
    assert same(source(a_checkpoint(tmp_path), architecture), expected)


def test_it_saves_as_often_as_it_is_told(tmp_path, monkeypatch):
    """Every 10 seconds of a clock that advances 4 a step; and the end, as the training was long."""
    now, saved = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    checkpoint = a_checkpoint(tmp_path, interval=10)
    for step in range(1, 8):
        now[0] += 4
        checkpoint.after_step(step, 7, lambda step=step: saved.append(step) or {})
    assert saved == [3, 6, 7]
    assert a_checkpoint(tmp_path).load() == (7, {})


def test_a_short_training_writes_nothing(tmp_path):
    train(a_checkpoint(tmp_path, interval=600))
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_another_training_is_not_used(tmp_path, uninterrupted, caplog):
    with pytest.raises(TrainingStopped):
        train(a_checkpoint(tmp_path, "other settings"), stop=5)
    with caplog.at_level(logging.INFO):
        outcomes, steps = train(a_checkpoint(tmp_path))
    assert steps == 12
    check(outcomes, uninterrupted)
    assert "training.pt is of other settings or inputs: not used" in caplog.text


def truncate(content):
    return content[: len(content) // 2]


def flip_a_bit(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, lambda content: b""])
def test_a_damaged_checkpoint_is_not_used(tmp_path, caplog, damage):
    with pytest.raises(TrainingStopped):
        train(a_checkpoint(tmp_path), stop=5)
    path = tmp_path / "folder" / "training.pt"
    path.write_bytes(damage(path.read_bytes()))
    assert a_checkpoint(tmp_path).load() == (0, {})
    assert f"{path} is damaged" in caplog.text


def test_a_half_written_checkpoint_leaves_the_one_before(tmp_path, monkeypatch):
    checkpoint = a_checkpoint(tmp_path, interval=0)
    checkpoint.after_step(1, 9, dict)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):  # a kill between the writing and the renaming
            checkpoint.after_step(2, 9, dict)
    assert a_checkpoint(tmp_path).load()[0] == 1
    checkpoint.remove()
    assert list((tmp_path / "folder").iterdir()) == []


def test_where_nothing_can_be_saved_the_training_goes_on(tmp_path, uninterrupted, caplog):
    (tmp_path / "folder").write_text("no folder")
    check(train(a_checkpoint(tmp_path, interval=0))[0], uninterrupted)
    assert "step 1 cannot be saved: " in caplog.text
    with pytest.raises(TrainingStopped, match="after step 2 of 12; it could not be saved"):
        train(a_checkpoint(tmp_path), stop=2)


SCRIPT = """
import sys
from pathlib import Path
import numpy as np, torch
from distillweighted.workflow.joblog import job_log
from distillweighted.training.source import train_source
from distillweighted.training.source_job import SourceSettings
from distillweighted.training.resumption import Checkpoint
from distillweighted.batches.views import PaddedCrop

folder = Path(sys.argv[1])
with job_log(folder / "job.log"):
    torch.set_num_threads(1)
    images = np.zeros((40, 16, 16, 3), np.uint8)
    train_source(
        "alexnet_tiny", images, np.arange(40) % 2, 2, SourceSettings(10000, 8, 0.004, 0.01),
        seed=3, device=torch.device("cpu"), view=PaddedCrop(2),
        checkpoint=Checkpoint(folder / "training.pt", "key", interval=0.2),
    )
"""


def test_a_process_that_is_told_to_stop_saves_and_fails(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], stderr=subprocess.PIPE, text=True
    )
    checkpoint = Path(tmp_path / "training.pt")
    deadline = time.monotonic() + 300
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, message = process.communicate(timeout=30)
    assert process.returncode == 1
    step, _ = Checkpoint(checkpoint, "key", interval=math.inf).load()
    assert 0 < step < 10000
    assert f"error: stopped by SIGTERM after step {step} of 10000; saved in" in message
    assert message in (tmp_path / "job.log").read_text() and "Traceback" not in message
