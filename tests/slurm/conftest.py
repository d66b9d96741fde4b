"""A Slurm for the tests' time, and the tiny run's helpers."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parent / "workflow")]

from one_node import missing_programs, one_node_slurm  # noqa: E402


@pytest.fixture(scope="session")
def slurm(tmp_path_factory) -> Iterator[Path]:
    """A running one-node Slurm that commands of this process find."""
    missing = missing_programs()
    if missing:
        pytest.fail(f"{', '.join(missing)} are not installed: `make test-slurm` installs them")
    folder = tmp_path_factory.mktemp("slurm")
    with pytest.MonkeyPatch.context() as patch, one_node_slurm(folder) as environment:
        for name in ("PATH", "SLURM_CONF"):
            patch.setenv(name, environment[name])
        yield folder
