"""The log of a job: its messages, and errors that a person can read."""

import logging
import subprocess
import sys
import time
from pathlib import Path

import pytest

from distillweighted.workflow.joblog import job_log

LIBRARY = logging.getLogger("distillweighted")


@pytest.fixture(autouse=True)
def _leave_no_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo the level that a job sets, which would change what other tests' logs hold."""
    monkeypatch.setattr(LIBRARY, "level", LIBRARY.level)


def test_messages_of_the_library_are_in_the_log(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "rule" / "job.log"
    with job_log(path):
        logging.getLogger("distillweighted.training").info("step %d of λ", 7)
        logging.getLogger("distillweighted").debug("too much detail")
        logging.getLogger("another").error("not ours")
        assert "step 7 of λ" in path.read_text(encoding="utf-8")  # while the job runs
    logging.getLogger("distillweighted").error("after the job")
    (line,) = path.read_text(encoding="utf-8").splitlines()
    assert line.endswith(" step 7 of λ")
    assert LIBRARY.handlers == []


def test_a_second_job_starts_its_log_anew(tmp_path: Path) -> None:
    for message in ("first", "second"):
        with job_log(str(tmp_path / "job.log")):
            LIBRARY.info(message)
    text = (tmp_path / "job.log").read_text()
    assert "second" in text and "first" not in text


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no label"),
        RuntimeError("loss is nan"),
        FileNotFoundError("no such file 'x'"),
        MemoryError("Unable to allocate 9 GiB"),
    ],
)
def test_an_expected_error_is_its_message_alone(tmp_path: Path, error: Exception) -> None:
    path = tmp_path / "job.log"
    with pytest.raises(SystemExit) as caught, job_log(path):
        raise error
    assert caught.value.code == f"error: {error}"
    assert f"error: {error}" in path.read_text()
    assert "Traceback" not in path.read_text()
    assert LIBRARY.handlers == []


def test_an_unexpected_error_has_its_traceback(tmp_path: Path) -> None:
    path = tmp_path / "job.log"
    with pytest.raises(SystemExit) as caught, job_log(path):
        {}["missing key"]
    code = str(caught.value.code)
    assert code.startswith("error: KeyError: 'missing key'\n") and code.endswith(f"with {path}.")
    text = path.read_text()
    assert "Traceback" in text and "KeyError" in text
    assert text.endswith(f"{code}\n")
    assert LIBRARY.handlers == []


def test_an_interrupt_passes_through(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), job_log(tmp_path / "job.log"):
        raise KeyboardInterrupt
    assert LIBRARY.handlers == []


JOB = """
import logging, sys, time
from distillweighted.workflow.joblog import job_log

with job_log(sys.argv[1]):
    logging.getLogger("distillweighted").info("at work")
    time.sleep(float(sys.argv[2]))
"""
PARENT = """
import subprocess, sys, time

subprocess.Popen([sys.executable, "-c", *sys.argv[1:]])
time.sleep(60)
"""


def wait_for(text: str, path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists() or text not in path.read_text():
        assert time.monotonic() < deadline, f"no '{text}' in {path}"
        time.sleep(0.02)


def test_a_job_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """And a new one of the same job waits until it has."""
    path, log = tmp_path / "job.log", tmp_path / "second.log"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, JOB, str(path), "60"])
    wait_for("at work", path)
    path.rename(log)  # Snakemake removes the log of the run before
    second = subprocess.Popen([sys.executable, "-c", JOB, str(path), "0"])
    wait_for("waiting for a process that still runs this job", path)
    assert second.poll() is None and "at work" not in path.read_text()
    parent.kill()
    parent.wait()
    assert second.wait(timeout=20) == 0
    assert "at work" in path.read_text()
    assert sorted(tmp_path.iterdir()) == [path, log]  # no lock is left
