"""The display of progress: what it prints of the records of a run, in a terminal and elsewhere."""

import io
import logging
import os
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_distillweighted import LogHandler
from snakemake_logger_plugin_distillweighted.progress import (
    LONG,
    STAGES,
    STUDENT,
    Progress,
    clipped,
    duration,
    rough_duration,
)

ROOT = Path(__file__).resolve().parents[2]


class Screen(io.StringIO):
    """What is printed, to a terminal or not."""

    encoding = "utf-8"

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    @property
    def lines(self) -> list[str]:
        """What a person sees: after a carriage return, text lies over what was there."""
        shown = []
        for line in self.getvalue().split("\n"):
            cells = ""
            for written in line.split("\r"):
                cells = written + cells[len(written) :]
            shown.append(cells.rstrip())
        return shown


class Run:
    """A display that is told of a run, at the times that a test says."""

    def __init__(self, monkeypatch, terminal: bool, columns: int = 80, **settings) -> None:
        self.screen = Screen(terminal)
        monkeypatch.setattr(sys, "stderr", self.screen)
        monkeypatch.setattr(LogHandler, "seconds_a_tick", 0)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")
        defaults = {
            "printshellcmds": False,
            "nocolor": True,
            "quiet": set(),
            "debug_dag": False,
            "verbose": False,
            "show_failed_logs": True,
            "stdout": False,
            "dryrun": False,
        }
        self.display = LogHandler(SimpleNamespace(**{**defaults, **settings}), None)
        self.monkeypatch = monkeypatch

    def tell(self, now: float, message: str | None, event=None, level=logging.INFO, **more) -> None:
        # As from the queue that stands before the display.
        record = logging.LogRecord("snakemake.logging", level, "", 0, str(message), None, None)
        record.created, record.event = now, event
        record.__dict__.update(more)
        self.display.handle(record)

    def plan(self, now: float, **jobs: int) -> None:
        self.tell(now, "Building DAG of jobs...")
        self.tell(now, "Job stats: ...", LogEvent.RUN_INFO, stats={**jobs, "total": 99})

    def start(self, now: float, number: int, rule: str, log: str = "", **wildcards: str) -> None:
        self.tell(now, "Select jobs to execute...")
        self.tell(now, "Execute 1 jobs...", LogEvent.JOB_STARTED, jobs=[number])
        self.tell(
            now, " Rule: ...", LogEvent.JOB_INFO, jobid=number, rule_name=rule,
            wildcards=wildcards, log=[log] if log else [], indent=False,
        )  # fmt: skip
        self.tell(now, "Shell command: None", LogEvent.SHELLCMD, shellcmd=None)

    def finish(self, now: float, number: int) -> None:
        self.tell(now, "Finished jobid: ...", LogEvent.JOB_FINISHED, job_id=number)
        self.tell(now, None, LogEvent.PROGRESS, done=1, total=2)

    def fail(self, now: float, number: int, rule: str, log: str) -> None:
        self.tell(
            now, f"Error in rule {rule}, jobid: {number}", LogEvent.JOB_ERROR, logging.ERROR,
            jobid=number, rule_name=rule, rule_msg=None, input=["a.npy"], output=["b"], log=[log],
            conda_env=None, shellcmd=None, aux={}, indent=False,
        )  # fmt: skip

    def close(self, now: float) -> list[str]:
        self.monkeypatch.setattr(time, "time", lambda: now)
        self.display.close()
        return self.screen.lines


def a_run(run: Run) -> None:
    """Two sources of a minute, one after the other, then half of the students."""
    run.plan(0, train_source=2, train_students=2, store_student=8, report=1)
    for number in (0, 1):
        run.start(60 * number, number, "train_source", source="resnet_a")
        run.finish(60 * number + 60, number)
    run.start(120, 2, "train_students", target="cyrillic")
    run.finish(220, 2)
    for number in range(4):
        run.start(220 + number, 10 + number, STUDENT, target="cyrillic")
        run.finish(221 + number, 10 + number)
    run.start(224, 3, "train_students", target="birds")


def test_a_terminal_shows_one_line_of_where_the_run_is(monkeypatch):
    run = Run(monkeypatch, terminal=True, columns=100)
    a_run(run)
    run.display.tick(250)
    *above, line = run.screen.lines
    assert above == ["13 jobs, 8 students to do", "   2:00  sources done (2 jobs)"]
    # 26 of this cohort's 100 seconds are over, four students take 1 each and the report as much.
    assert line == (
        "████████░░░░░░░░ 4:10   53%  students 4 of 8  ~1 min left  training students of birds"
    )


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (70, "█████░░░░░░ 4:10   53%  students 4 of 8  ~1 min left  training studen…"),
        (40, "4:10   53%  students 4 of 8  ~1 min lef…"),
        (10, "4:10   53…"),
    ],
)
def test_a_narrow_terminal_has_the_beginning_of_it(monkeypatch, columns, line):
    run = Run(monkeypatch, terminal=True, columns=columns)
    a_run(run)
    run.display.tick(250)
    assert run.screen.lines[-1] == line


def test_the_line_is_as_wide_as_the_terminal_so_that_what_others_print_begins_a_new_one():
    assert clipped("abc", 5, "…") == "abc  "
    assert clipped("abcdef", 5, "…") == "abcd…"
    # Some characters take two cells.
    assert clipped("日本語", 6, "…") == "日本語"
    assert clipped("日本語", 5, "…") == "日本…"
    assert clipped("日本語", 4, "…") == "日… "


def test_the_last_words_replace_the_line(monkeypatch):
    run = Run(monkeypatch, terminal=True)
    run.plan(0, prepare_task=1, store_student=1)
    run.start(0, 0, "prepare_task", task="birds")
    run.finish(1, 0)
    run.start(1, 1, STUDENT, target="birds")
    run.finish(3700, 1)
    lines = run.close(3725)
    assert lines == [
        "2 jobs, 1 student to do",
        "   0:01  tasks done (1 job)",
        "1:01:40  students done (1)",
        "Done: 1 student, 2 jobs in 1:02:05",
        "",
    ]
    run.display.close()
    assert run.screen.lines == lines


def test_without_a_terminal_there_are_plain_lines_now_and_then(monkeypatch):
    run = Run(monkeypatch, terminal=False)
    a_run(run)
    for second in range(225, 400):
        run.display.tick(second)
    assert run.screen.lines == [
        "Planning the jobs",
        "13 jobs, 8 students to do",
        "   1:00    7%  students 0 of 8",
        "   2:00  sources done (2 jobs)",
        "   2:00   15%  students 0 of 8",
        "   3:40   23%  students 0 of 8  ~2 min left",
        "   3:41   30%  students 1 of 8  ~2 min left",
        "   3:43   46%  students 3 of 8  ~2 min left",
        "   3:44   53%  students 4 of 8  ~2 min left",
        "   4:44   53%  students 4 of 8  ~50 s left  training students of birds",
        "   5:44   53%  students 4 of 8  ~10 s left  training students of birds",
        "",
    ]
    assert "\r" not in run.screen.getvalue() and "\x1b" not in run.screen.getvalue()


def test_thousands_of_jobs_and_days_are_few_lines(monkeypatch):
    run = Run(monkeypatch, terminal=False)
    count = 6000
    run.plan(0, train_students=count // 10, store_student=count - count // 10)
    for number in range(count):
        rule = "store_student" if number % 10 else "train_students"
        run.start(30 * number, number, rule, target="birds")
        run.finish(30 * number + 20, number)
    lines = run.close(30 * count)
    assert lines[-2] == "Done: 5,400 students, 6,000 jobs in 50:00:00"
    assert 12 < len(lines) < 120


def test_an_error_is_printed_as_snakemake_does_and_told_again_at_the_end(monkeypatch, tmp_path):
    log = tmp_path / "train.log"
    log.write_text("error: the loss is not finite\n")
    run = Run(monkeypatch, terminal=True, quiet={Quietness.RULES})
    run.plan(0, train_students=2, store_student=8)
    run.start(0, 0, "train_students", str(log), target="birds")
    run.tell(3, "RuleException:\nreturned 1", LogEvent.ERROR, logging.ERROR, exception="R")
    run.fail(3, 0, "train_students", str(log))
    run.start(4, 1, "train_students", target="cyrillic")
    run.display.tick(5)
    assert "1 failed" in run.screen.lines[-1]
    run.finish(9, 1)
    run.tell(9, "Complete log(s): whole.log")
    lines = run.close(10)
    told = lines.index("Error in rule train_students:")
    assert lines[1:3] == ["RuleException:", "returned 1"]
    assert lines[told + 1 : told + 5] == [
        "    message: None",
        "    jobid: 0",
        "    input: a.npy",
        "    output: b",
    ]
    assert lines[told + 5] == f"    log: {log} (check log file(s) for error details)"
    assert "error: the loss is not finite" in lines
    assert lines[-5:] == [
        "Complete log(s): whole.log",
        "Not finished after 0:10: 1 of 10 jobs, students 0 of 8",
        "1 job failed:",
        f"  training students of birds: {log}",
        "",
    ]


def test_a_job_that_is_tried_again_has_not_failed(monkeypatch):
    run = Run(monkeypatch, terminal=False)
    run.plan(0, prepare_task=1)
    run.start(0, 0, "prepare_task", task="birds")
    run.fail(1, 0, "prepare_task", "nowhere.log")
    run.tell(1, "Trying to restart job 0.")
    run.start(2, 0, "prepare_task", task="birds")
    run.finish(3, 0)
    lines = run.close(3)
    assert "Logfile nowhere.log not found." in lines and "Trying to restart job 0." in lines
    assert lines[-2] == "Done: 1 job in 0:03"


def test_who_stops_a_run_is_not_told_that_its_jobs_failed(monkeypatch):
    run = Run(monkeypatch, terminal=False)
    run.plan(0, prepare_task=2)
    run.start(0, 0, "prepare_task", task="birds")
    run.tell(1, "Terminating processes on user request, this might take some time.")
    run.fail(1, 0, "prepare_task", "a.log")
    lines = run.close(2)
    assert lines[2].startswith("Terminating processes") and "Error in rule prepare_task:" in lines
    assert lines[-2] == "Stopped after 0:02: 0 of 2 jobs; the same command goes on from there"


def test_a_job_without_its_output_has_failed(monkeypatch):
    run = Run(monkeypatch, terminal=False)
    run.plan(0, prepare_task=2)
    run.start(0, 7, "prepare_task", "a.log", task="birds")
    text = "MissingOutputException in rule prepare_task:\nJob 7 completed successfully, but some"
    run.tell(1, text, LogEvent.ERROR, logging.ERROR, exception="MissingOutputException")
    assert run.close(2)[-2] == "  preparing birds: a.log"


def test_many_jobs_at_once_are_told_by_stage(monkeypatch):
    run = Run(monkeypatch, terminal=True, columns=120)
    run.plan(0, train_students=50, infer_sources=4, odd_rule=1)
    # As a group is told, on a cluster.
    run.tell(0, "Group job ...", LogEvent.GROUP_INFO, group_id="g", jobs=[])
    for number in range(50):
        run.start(0, number, "train_students", target=f"t{number % 12}")
    for number in range(50, 54):
        run.start(0, number, "infer_sources", target="birds", source=f"s{number}")
    run.start(0, 54, "odd_rule")
    run.tell(1, "Job 3 has been submitted with SLURM jobid 7 (log: x).")
    run.display.tick(2)
    assert run.screen.lines == [
        "55 jobs to do",
        "░" * 20 + " 0:02    0%  students (50), inference (4), tables, figures and report (1)",
    ]


def test_few_jobs_are_told_in_words():
    progress = Progress({"infer_sources": 4, "odd_rule": 1}, 0)
    for number, target in enumerate("bbd"):
        progress.start(number, "infer_sources", {"target": target, "cohort": "c"}, [], 0)
    assert progress.now == "running sources on b (2), d"
    progress.finish(2, 1)
    progress.start(3, "odd_rule", {}, [], 0)
    assert progress.now == "running sources on b (2); odd rule"


def test_no_time_is_told_before_something_is_known_of_each_long_kind_of_job():
    progress = Progress({"train_source": 2, "train_students": 4, "report": 2}, 100)
    for number, since in enumerate((100, 100)):
        progress.start(number, "train_source", {}, [], since)
        progress.finish(number, 110)
        assert progress.remaining(110) is None
    progress.start(2, "train_students", {}, [], 110)
    progress.start(3, "train_students", {}, [], 110)
    assert progress.remaining(130) is None
    progress.finish(2, 150)
    # 100 job-seconds in 50 s: two at once. The other is about to end; a report takes no known time.
    assert progress.remaining(150) == pytest.approx(80 / 2)
    assert progress.remaining(190) == pytest.approx(80 / (140 / 90))


def test_what_is_wrong_before_the_first_job_is_printed_alone(monkeypatch):
    run = Run(monkeypatch, terminal=True)
    run.tell(0, "Building DAG of jobs...")
    run.display.tick(12)
    assert run.screen.lines == ["Planning the jobs  0:12"]
    run.tell(13, "MissingInputException in rule a", LogEvent.ERROR, logging.ERROR, exception="M")
    assert run.close(14) == ["MissingInputException in rule a", ""]
    run = Run(monkeypatch, terminal=True)
    run.tell(0, "Error: Directory cannot be locked.", LogEvent.ERROR, logging.ERROR, exception="L")
    assert run.close(14) == ["Error: Directory cannot be locked.", ""]
    run = Run(monkeypatch, terminal=True)
    run.tell(0, "Building DAG of jobs...")
    run.tell(1, "Nothing to be done (all requested files are present and up to date).")
    assert run.close(2)[0].startswith("Nothing to be done")


def test_quiet_and_plans_are_snakemakes_own(monkeypatch):
    run = Run(monkeypatch, terminal=True, quiet={Quietness.ALL})
    a_run(run)
    assert run.close(300) == [""]
    run = Run(monkeypatch, terminal=True, quiet={Quietness.PROGRESS})
    a_run(run)
    run.fail(230, 3, "train_students", "a.log")
    assert run.close(300)[1] == "Error in rule train_students:"
    run = Run(monkeypatch, terminal=True, dryrun=True)
    run.plan(0, prepare_task=1)
    assert run.close(1) == ["Building DAG of jobs...", "Job stats: ...", ""]


def test_a_record_that_cannot_be_read_ends_nothing(monkeypatch):
    run = Run(monkeypatch, terminal=False)
    run.plan(0, prepare_task=1)
    run.tell(0, "no job in it", LogEvent.JOB_INFO)
    run.start(0, 0, "prepare_task", task="birds")
    run.finish(1, 0)
    lines = run.close(1)
    assert any("no job in it" in line for line in lines) and lines[-2] == "Done: 1 job in 0:01"


@pytest.mark.parametrize(
    ("seconds", "exact", "rough"),
    [
        (0, "0:00", "10 s"),
        (41, "0:41", "50 s"),
        (100, "1:40", "2 min"),
        (3570, "59:30", "1 h"),
        (5000, "1:23:20", "1 h 20 min"),
        (50000, "13:53:20", "14 h"),
    ],
)
def test_durations(seconds, exact, rough):
    assert (duration(seconds), rough_duration(seconds)) == (exact, rough)


def test_the_words_are_of_rules_and_wildcards_that_there_are():
    text = "\n".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    bodies = dict(re.findall(r"^rule (\w+):\n((?:(?:    .*)?\n)+)", text, flags=re.MULTILINE))
    words = {rule: words for rules in STAGES.values() for rule, words in rules.items()}
    assert {*LONG, STUDENT} <= words.keys() <= bodies.keys()
    for rule, said in words.items():
        outputs = bodies[rule].partition("output:")[2]
        assert all(f"{{{name}}}" in outputs for name in re.findall(r"{(\w+)}", said)), rule


def test_a_run_of_snakemake_with_a_job_that_fails(tmp_path):
    (tmp_path / "Snakefile").write_text(
        textwrap.dedent("""
            rule all:
                input: "a", "b"
            rule prepare_task:
                output: "a"
                shell: "touch {output}"
            rule train_students:
                output: "b"
                log: "b.log"
                shell: "echo the loss is not finite > {log}; exit 3"
        """)
    )
    path = os.pathsep.join([str(ROOT / "workflow_scripts"), os.environ.get("PYTHONPATH", "")])
    command = "-m snakemake --cores 1 --keep-going --show-failed-logs --logger distillweighted"
    done = subprocess.run(
        [sys.executable, *command.split()],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    lines = done.stderr.splitlines()
    assert done.returncode == 1 and done.stdout == ""
    assert lines[:2] == ["Planning the jobs", "3 jobs to do"]
    assert "   0:00  tasks done (1 job)" in [re.sub(r"\d:\d\d", "0:00", line) for line in lines]
    assert "    log: b.log (check log file(s) for error details)" in lines
    assert "the loss is not finite" in lines
    assert lines[-2:] == ["1 job failed:", "  training students of ?: b.log"]
    assert "Select jobs to execute..." not in done.stderr
