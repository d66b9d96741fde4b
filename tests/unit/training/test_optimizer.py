"""The optimiser, which is PyTorch's without the compiler's import."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import distillweighted
from distillweighted.training.optimizer import AdamW

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("fused", [True, False])
def test_it_takes_the_steps_of_pytorchs(fused):
    """Of two groups, through a schedule, and through a saved state."""
    networks = []
    for kind in (AdamW, torch.optim.AdamW):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        groups = [
            {"params": [network[0].weight, network[2].weight], "weight_decay": 0.1},
            {"params": [network[0].bias, network[2].bias], "weight_decay": 0.0},
        ]
        optimizer = kind(groups, lr=0.01, fused=fused)
        for part in range(2):
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=6)
            for _ in range(5):
                optimizer.zero_grad(set_to_none=True)
                network(torch.randn(8, 3)).square().sum().backward()
                optimizer.step()
                schedule.step()
            if part == 0:
                state = optimizer.state_dict()
                optimizer = kind(groups, lr=1.0, fused=fused)
                optimizer.load_state_dict(state)
        networks.append(list(network.parameters()))
    ours, pytorchs = networks
    assert all(torch.equal(a, b) for a, b in zip(ours, pytorchs, strict=True))
    assert all(one.grad_fn is None and one.requires_grad for one in ours)


def test_a_training_imports_no_compiler():
    """From building the model to what it costs; it would take a second."""
    script = """
import sys
import numpy as np
import torch
from distillweighted.batches.views import PaddedCrop
from distillweighted.networks.cost import count_macs
from distillweighted.training.source import train_source
from distillweighted.training.source_job import SourceSettings
images, labels = np.zeros((8, 16, 16, 3), np.uint8), np.arange(8) % 2
images[labels == 1] = 200
settings = SourceSettings(steps=2, batch_size=4, learning_rate=0.01, weight_decay=0.01)
options = {"seed": 0, "device": torch.device("cpu"), "view": PaddedCrop(2)}
model, *_ = train_source("resnet18_tiny", images, labels, 2, settings, **options)
assert count_macs(model, 16) > 100_000
print("torch._dynamo" in sys.modules)
"""
    folder = Path(distillweighted.__file__).parent.parent
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
