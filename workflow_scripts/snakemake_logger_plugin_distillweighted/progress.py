"""What a run has done, what it does and how long it will take, from what happens to its jobs."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

# Of each stage the rules, and what their jobs do in words; other rules make tables and figures.
STAGES = {
    "tasks": {
        "fetch": "downloading data sets",
        "prepare_task": "preparing {task}",
        "prepare_data_set": "preparing {task}",
        "prepare_own_task": "preparing {task}",
        "split_target": "splitting {target}",
    },
    "sources": {
        "train_source": "training {source}",
        "load_source": "loading {source}",
        "describe_source": "loading {source}",
    },
    "inference": {
        "infer_sources": "running sources on {target}",
        "store_inference": "storing what {source} says of {target}",
    },
    "similarity": {
        "probe_source": "probing sources for {target}",
        "score_similarity": "scoring sources for {target}",
        "rank_sources": "ranking sources for {target}",
        "compute_weights": "weighting sources for {target}",
    },
    "students": {
        "train_students": "training students of {target}",
        "evaluate_students": "evaluating students of {target}",
        "store_student": "storing students of {target}",
        "choose_settings": "choosing settings for {target}",
        "export_student": "exporting the student of {target}",
        "describe_student": "describing the student of {target}",
    },
}
RESULTS = "tables, figures and report"
STAGE = {rule: stage for stage, rules in STAGES.items() for rule in rules}
# A student is finished when this rule has put it in its place.
STUDENT = "store_student"
# These take most of the time, so that nothing is known of it before one of each has ended.
LONG = ("train_source", "load_source", "infer_sources", "train_students")
# So many failed jobs are listed at the end.
SHOWN = 20


class Job(NamedTuple):
    """A job that runs, or that failed."""

    rule: str
    doing: str
    what: str
    log: Sequence[str]
    since: float


class Progress:
    """The state of a run. Times are in seconds since the epoch; nothing is asked of a clock."""

    def __init__(self, planned: Mapping[str, int], now: float) -> None:
        self.planned = Counter(planned)
        self.began = now
        self.done: Counter[str] = Counter()
        self.running: dict[int, Job] = {}
        self.failed: dict[int, Job] = {}
        self.has_begun = self.stopped = False
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def start(
        self, number: int, rule: str, wildcards: Mapping[str, str], log: Sequence[str], now: float
    ) -> None:
        """A job starts, perhaps once more."""
        words = STAGES.get(STAGE.get(rule, ""), {}).get(rule, rule.replace("_", " "))
        doing, brace, what = words.partition("{")
        what = (brace + what).format_map(defaultdict(lambda: "?", wildcards))
        self.has_begun = True
        self.failed.pop(number, None)
        self.running[number] = Job(rule, doing.strip(), what, log, now)

    def finish(self, number: int, now: float) -> str | None:
        """A job has ended well; returns the stage that ends with it, if one does."""
        job = self.running.pop(number, None)
        if job is None:
            return None
        self.done[job.rule] += 1
        self._seconds[job.rule] += now - job.since
        stage = STAGE.get(job.rule, RESULTS)
        return stage if self.left_of(stage) == 0 else None

    def fail(self, number: int) -> None:
        """A job has failed; where all are stopped, that is no news."""
        job = self.running.pop(number, None)
        if job and not self.stopped:
            self.failed[number] = job

    def left_of(self, stage: str) -> int:
        """How many jobs of a stage have not ended."""
        return sum(
            count - self.done[rule]
            for rule, count in self.planned.items()
            if STAGE.get(rule, RESULTS) == stage
        )

    def count_of(self, stage: str) -> str:
        """How many things a stage that has ended came to."""
        if stage == "students" and self.planned[STUDENT]:
            return f"{self.planned[STUDENT]:,}"
        return counted(
            sum(n for rule, n in self.planned.items() if STAGE.get(rule, RESULTS) == stage), "job"
        )

    @property
    def share(self) -> float:
        """Share of the jobs that have ended."""
        return self.done.total() / max(1, self.planned.total())

    def remaining(self, now: float) -> float | None:
        """Seconds that the rest will take, at the pace so far; None where that is not known yet."""
        left = self.planned - self.done
        unknown = any(left[rule] and not self.done[rule] for rule in LONG)
        if unknown or not left or not self.done or now <= self.began:
            return None
        means = {rule: self._seconds[rule] / count for rule, count in self.done.items()}
        # What was not seen yet is short, as other short rules are in the mean.
        short = [mean for rule, mean in means.items() if rule not in LONG]
        means |= {rule: sum(short) / max(1, len(short)) for rule in left if rule not in means}
        ages = [(job.rule, now - job.since) for job in self.running.values()]
        work = sum(count * means[rule] for rule, count in left.items())
        work -= sum(min(age, means.get(rule, 0.0)) for rule, age in ages)
        at_once = (sum(self._seconds.values()) + sum(age for _, age in ages)) / (now - self.began)
        return work / at_once if at_once else None

    @property
    def students(self) -> str:
        """'students 3 of 12', or nothing where none is to be trained."""
        planned = self.planned[STUDENT]
        return f"students {self.done[STUDENT]:,} of {planned:,}" if planned else ""

    @property
    def now(self) -> str:
        """What runs, in words: 'training students of a (2), b'; of many jobs only the stages."""
        jobs = Counter((job.doing, job.what) for job in self.running.values())
        if len(jobs) > 3:
            stages = Counter(STAGE.get(job.rule, RESULTS) for job in self.running.values())
            return ", ".join(f"{stage} ({number})" for stage, number in stages.items())
        parts: dict[str, list[str]] = {}
        for (doing, what), number in jobs.items():
            parts.setdefault(doing, []).append(f"{what} ({number})" if number > 1 else what)
        return "; ".join(f"{doing} {', '.join(whats)}".strip() for doing, whats in parts.items())

    def status(self, now: float) -> str:
        """'0:50   45%  students 3 of 12  ~2 min left  training students of cyrillic'."""
        rest = self.remaining(now)
        parts = [
            duration(now - self.began),
            # A run is whole when its last job has ended, and not before.
            f"{int(100 * self.share):3d}%",
            self.students,
            f"{len(self.failed)} failed" if self.failed else "",
            "" if rest is None else f"~{rough_duration(rest)} left",
            self.now,
        ]
        return "  ".join(part for part in parts if part)

    def summary(self, now: float) -> str:
        """The last words on a run; of one that was not finished also what failed."""
        jobs, students = self.planned.total(), self.planned[STUDENT]
        time = duration(now - self.began)
        if self.done.total() >= jobs:
            made = f"{counted(students, 'student')}, " if students else ""
            return f"Done: {made}{counted(jobs, 'job')} in {time}"
        parts = [f"{self.done.total():,} of {counted(jobs, 'job')}", self.students]
        lines = [", ".join(part for part in parts if part)]
        if self.stopped:
            lines = [f"Stopped after {time}: {lines[0]}; the same command goes on from there"]
        else:
            lines = [f"Not finished after {time}: {lines[0]}"]
        if self.failed:
            lines.append(f"{counted(len(self.failed), 'job')} failed:")
            failed = list(self.failed.values())
            lines += [
                f"  {job.doing} {job.what}".rstrip() + "".join(f": {path}" for path in job.log)
                for job in failed[:SHOWN]
            ]
            lines += [f"  and {len(failed) - SHOWN} more"] if len(failed) > SHOWN else []
        return "\n".join(lines)


def bar(share: float, cells: int, full: str, empty: str) -> str:
    """A share as a bar of so many cells."""
    filled = int(share * cells)
    return full * filled + empty * (cells - filled)


def counted(number: int, noun: str) -> str:
    """'1 job', '3,408 jobs'."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def duration(seconds: float) -> str:
    """'0:05', '12:34' or '3:05:06'."""
    minutes, seconds = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def rough_duration(seconds: float) -> str:
    """'20 s', '50 min', '3 h 20 min' or '14 h'."""
    if seconds < 55:
        return f"{10 * math.ceil(max(1, seconds) / 10)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes >= 600:
        return f"{round(minutes / 60)} h"
    hours, minutes = divmod(10 * round(minutes / 10), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def clipped(text: str, cells: int, end: str) -> str:
    """A text in exactly so many cells of a terminal; one that was longer has the end."""
    if cells_of(text) > cells:
        text = text[:cells]
        while text and cells_of(text) > cells - 1:
            text = text[:-1]
        text += end
    return text + " " * (cells - cells_of(text))


def cells_of(text: str) -> int:
    """How many cells of a terminal a text takes."""
    return len(text) + sum(unicodedata.east_asian_width(character) in "WF" for character in text)
