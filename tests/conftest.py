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


def pytest_collection_modifyitems(items):
    """The longest files first, so that no process waits for another's at the end."""
    items.sort(key=lambda item: "workflow" not in item.path.relative_to(ROOT).parts[:2])


@pytest.fixture
def one_thread():
    """Training on one thread, as a job does; results depend on the number of threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
