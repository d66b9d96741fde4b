"""Makes the library and the rules' scripts importable, as the workflow does."""

import sys
from pathlib import Path

import pytest
from hypothesis import settings

# Machines are noisy: no test is about time.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow_scripts"))


@pytest.fixture
def one_thread():
    """Training on one thread, as a job does; results depend on the number of threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
