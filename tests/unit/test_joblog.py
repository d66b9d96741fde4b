"""The log of a job: its messages, and errors that a person can read."""

import logging
from pathlib import Path

import pytest

from distillweighted.joblog import job_log

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
    [ValueError("no label"), RuntimeError("loss is nan"), FileNotFoundError("no such file 'x'")],
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
    assert "missing key" in str(caught.value.code)
    text = path.read_text()
    assert "Traceback" in text and "KeyError" in text
    assert 'error: \'missing key\'' in text.splitlines()[-1]  # fmt: skip
    assert LIBRARY.handlers == []


def test_an_interrupt_passes_through(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), job_log(tmp_path / "job.log"):
        raise KeyboardInterrupt
    assert LIBRARY.handlers == []
