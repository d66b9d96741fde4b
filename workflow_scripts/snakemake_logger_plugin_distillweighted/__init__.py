"""A display of progress for people: `snakemake --logger distillweighted`.

In a terminal one line says how far the run is, what it does and how long it will take; elsewhere a
line is printed now and then. All that goes wrong is printed as Snakemake prints it.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
import threading
import time

from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_distillweighted.progress import (
    STUDENT,
    Progress,
    bar,
    clipped,
    counted,
    duration,
)

# Said in other words here, or for each job, or for Snakemake's developers.
UNTOLD_EVENTS = {
    LogEvent.RUN_INFO,
    LogEvent.WORKFLOW_STARTED,
    LogEvent.JOB_INFO,
    LogEvent.JOB_STARTED,
    LogEvent.JOB_FINISHED,
    LogEvent.GROUP_INFO,
    LogEvent.RESOURCES_INFO,
    LogEvent.PROGRESS,
    LogEvent.RULEGRAPH,
}
PLANNING = "Building DAG of jobs"
UNTOLD = re.compile(
    f"{PLANNING}|Assuming unrestricted shared filesystem|Using shell:|Processed .* potential jobs|"
    "Group jobs: inactive|Conda environments: ignored|Singularity containers: ignored|"
    "Select jobs to execute|Removing temporary output|Touching output file|Elapsed time:|"
    "Job rate limit reached|Job .* has been submitted|Submitted array job"
)
COMPLETE_LOG = "Complete log"
STOPPED = ("Terminating processes on user request", "Will exit after finishing currently running")
LACKS_OUTPUT = re.compile(r"^Job (\d+) completed successfully, but", re.MULTILINE)


class LogHandler(LogHandlerBase):
    """Tells people of a run; a thread of its own keeps the time."""

    seconds_a_tick = 1.0

    def __post_init__(self) -> None:
        settings = self.common_settings
        self.stream = sys.stdout if settings.stdout else sys.stderr
        quiet = set(settings.quiet or ())
        # Errors of jobs are not what `--quiet rules` is to spare a person in a run.
        self.default = ColorizingTextHandler(
            settings.nocolor, self.stream, DefaultFormatter(quiet, settings.show_failed_logs)
        )
        self.default_filter = DefaultFilter(
            quiet if settings.dryrun else quiet - {Quietness.RULES},
            settings.debug_dag,
            settings.verbose,
            settings.dryrun,
            settings.printshellcmds,
        )
        self.silent = not quiet.isdisjoint({Quietness.ALL, Quietness.PROGRESS})
        self.terminal = self.stream.isatty() and os.environ.get("TERM") != "dumb"
        unicode = "utf" in (getattr(self.stream, "encoding", None) or "").lower()
        self.full, self.empty, self.end = "█░…" if unicode else "#-~"
        self.planning_since: float | None = None
        self.progress: Progress | None = None
        self.drawn = 0  # how many cells the status has on the screen
        self.last_time, self.last_share = 0.0, 0.0  # of the last status
        self.closed = threading.Event()

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def emit(self, record: logging.LogRecord) -> None:
        """Count a record, print it, or both; an error must not end the thread of all logging."""
        try:
            if not self.common_settings.dryrun and not self.silent:
                self._count(record)
        except Exception:
            self.handleError(record)
        try:
            if self._is_told(record) and self.default_filter.filter(record):
                self._erase()
                self.default.emit(record)
            if self.terminal and record.created - self.last_time > 0.1:
                self._draw(record.created)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """The last words."""
        if not self.closed.is_set():
            self.closed.set()
            with self.lock:
                self._erase()
                if self.progress and self.progress.has_begun:
                    self._print(self.progress.summary(time.time()))
        super().close()

    def _is_told(self, record: logging.LogRecord) -> bool:
        """Whether a record is printed as Snakemake prints it."""
        if self.common_settings.dryrun or record.levelno >= logging.WARNING:
            return True
        if self.common_settings.verbose and record.levelno == logging.DEBUG:
            return True
        event, text = getattr(record, "event", None), str(record.msg)
        if text.startswith(COMPLETE_LOG):
            return self.progress is None or bool(self.progress.failed)
        return event not in UNTOLD_EVENTS and not UNTOLD.match(text)

    def _count(self, record: logging.LogRecord) -> None:
        event, now = getattr(record, "event", None), record.created
        if event == LogEvent.RUN_INFO:
            jobs = {rule: count for rule, count in record.stats.items() if rule != "total"}
            self.progress = Progress(jobs, now)
            plan = counted(sum(jobs.values()), "job")
            if jobs.get(STUDENT):
                plan += f", {counted(jobs[STUDENT], 'student')}"
            self._print(f"{plan} to do")
            self.last_time = now
        elif self.progress is None:
            if event is None and str(record.msg).startswith(PLANNING):
                self.planning_since = self.last_time = now
                if not self.terminal:
                    self._print("Planning the jobs")
                if self.seconds_a_tick:
                    threading.Thread(target=self._keep_time, daemon=True).start()
        elif event == LogEvent.JOB_INFO:
            self.progress.start(
                record.jobid, record.rule_name, record.wildcards, list(record.log), now
            )
        elif event == LogEvent.JOB_FINISHED:
            if stage := self.progress.finish(record.job_id, now):
                count = self.progress.count_of(stage)
                elapsed = duration(now - self.progress.began)
                self._print(f"{elapsed:>7}  {stage} done ({count})")
            self._print_now_and_then(now)
        elif event == LogEvent.JOB_ERROR:
            self.progress.fail(record.jobid)
        elif event is None and str(record.msg).startswith(STOPPED):
            self.progress.stopped = True
        elif event == LogEvent.ERROR and (found := LACKS_OUTPUT.search(str(record.msg))):
            self.progress.fail(int(found.group(1)))

    def _keep_time(self) -> None:
        while not self.closed.wait(self.seconds_a_tick):
            with self.lock:
                try:
                    if not self.closed.is_set():
                        self.tick(time.time())
                except OSError:  # the terminal is gone
                    return

    def tick(self, now: float) -> None:
        """Show that time goes by."""
        if self.terminal:
            self._draw(now)
        else:
            self._print_now_and_then(now)

    def _print_now_and_then(self, now: float) -> None:
        """Without a terminal: a line for each tenth of the jobs, and of the time, if minutes."""
        if self.terminal or self.progress is None:
            return
        share, waited = self.progress.share, now - self.last_time
        if share < 1 and (
            int(10 * share) > int(10 * self.last_share)
            or waited >= max(60, (now - self.progress.began) / 10)
        ):
            elapsed, _, rest = self.progress.status(now).partition("  ")
            self._print(f"{elapsed:>7}  {rest}")
            self.last_time, self.last_share = now, share

    def _print(self, text: str) -> None:
        self._erase()
        self.stream.write(f"{text}\n")
        self.stream.flush()

    def _erase(self) -> None:
        if self.drawn:
            self.stream.write("\r" + " " * self.drawn + "\r")
            self.drawn = 0

    def _draw(self, now: float) -> None:
        """One line as wide as the terminal, so that what others print begins a line of its own."""
        if self.closed.is_set() or (self.progress is None and self.planning_since is None):
            return
        try:
            width = os.get_terminal_size(self.stream.fileno()).columns
        except OSError:
            width = shutil.get_terminal_size().columns
        width = width or 80
        if self.progress is None:
            text = f"Planning the jobs  {duration(now - self.planning_since)}"
        else:
            text = self.progress.status(now)
            if width >= 60:
                text = f"{bar(self.progress.share, width // 6, self.full, self.empty)} {text}"
        self.stream.write("\r" + clipped(text, width, self.end))
        self.stream.flush()
        self.drawn, self.last_time = width, now
