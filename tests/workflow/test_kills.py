"""Kills at random moments: after reruns, everything is as in a run that nobody disturbed."""

import copy
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable

import psutil
import pytest
from tiny_workflow import CONFIG, Workflow, copy_workflow

KINDS = 7 * ["workflow"] + 7 * ["all"] + 8 * ["training"]
TIMINGS = ("train_seconds", "images_per_second")
# Logs and times differ between any two runs. A kill while the temporary folder of a cohort is
# removed leaves the rest of it.
OTHER = ("logs", "benchmarks", ".cohorts")


def smoke_grid() -> dict:
    """The tiny grid with trainings that are long beside the start of a job."""
    config = copy.deepcopy(CONFIG)
    training = config["training"]
    training["steps"] = 100
    training["sources"] |= {"steps": 300, "generalist_steps": 200}
    return config


@pytest.fixture
def undisturbed(tmp_path) -> dict:
    """All files of a run that nobody disturbed, which writes no checkpoint either."""
    (tmp_path / "undisturbed").mkdir()
    workflow = copy_workflow(tmp_path / "undisturbed")
    workflow.configure(smoke_grid())
    workflow.run("tables", "students")
    assert not (workflow.results / "checkpoints").exists()
    return products(workflow)


def products(workflow: Workflow) -> dict[str, bytes | dict]:
    """The content of every file; of metrics.json all but the times."""
    found = {}
    for path in sorted(workflow.results.rglob("*")):
        name = path.relative_to(workflow.results)
        if set(OTHER) & set(name.parts) or path.is_dir():
            continue
        found[str(name)] = path.read_bytes()
        if path.name == "metrics.json":
            metrics = json.loads(path.read_text())
            assert all(metrics.pop(timing) > 0 for timing in TIMINGS)
            found[str(name)] = metrics
    return found


class Killer:
    """Starts the workflow, and kills it or one of its jobs."""

    def __init__(self, workflow: Workflow, kinds: list[str], *, seed: int):
        self.workflow, self.random = workflow, random.Random(seed)
        self.random.shuffle(kinds)
        self.left, self.done = kinds, []
        self.in_training, self.resumed = 0, set()

    def run(self) -> int:
        """Run until the workflow ends or is killed, or all kills are done; its exit status."""
        process = self.workflow.start("tables", "students")
        while process.poll() is None and self.left:
            # After so many jobs more, that a slow machine comes to an end too; anywhere, but often
            # while a network trains.
            jobs = self._finished() + self.random.randint(0, 2)
            self._wait(process, lambda jobs=jobs: self._finished() >= jobs)
            if self.left[0] == "training" or self.random.random() < 0.5:
                self._wait(process, lambda: self._trainings(process))
            end = time.monotonic() + self.random.uniform(0, 3)
            self._wait(process, lambda end=end: time.monotonic() >= end)
            if process.poll() is None:
                self._kill(process)
        status = process.wait()
        for path in (self.workflow.results / "logs").glob("train_*/*.log"):
            text = path.read_text()
            if "going on from step" in text:
                self.resumed.add(text)
        if status > 0:
            output = self.workflow.output()
            assert "cannot be locked" not in output and "Traceback" not in output, output
        return status

    def _kill(self, process: subprocess.Popen) -> None:
        trainings = self._trainings(process)
        kind = self.left[0]
        if kind == "training" and not trainings:
            return
        if kind == "workflow":
            process.kill()
        elif kind == "all":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            self.random.choice(trainings).kill()
        self.done.append(self.left.pop(0))
        self.in_training += bool(trainings)
        print(f"{time.strftime('%H:%M:%S')} {kind}: {len(trainings)} in training", flush=True)

    def _finished(self) -> int:
        return self.workflow.output().count("Finished jobid")

    @staticmethod
    def _trainings(process: subprocess.Popen) -> list[psutil.Process]:
        """Jobs in the middle of a training: they have saved a step."""
        found = []
        try:
            for job in psutil.Process(process.pid).children(recursive=True):
                logs = [file.path for file in job.open_files() if "/logs/train_" in file.path]
                if any("is saved" in open(path).read() for path in logs if path.endswith(".log")):
                    found.append(job)
        except (psutil.Error, OSError):  # one has just ended
            return []
        return found

    @staticmethod
    def _wait(process: subprocess.Popen, until: Callable[[], object]) -> None:
        while process.poll() is None and not until():
            time.sleep(0.05)


@pytest.mark.slow
def test_after_22_kills_all_is_as_if_undisturbed(tmp_path, undisturbed):
    (tmp_path / "killed").mkdir()
    workflow = copy_workflow(tmp_path / "killed")
    config = smoke_grid()
    config["training"]["checkpoint_minutes"] = 0.2 / 60
    workflow.configure(config)
    killer, runs = Killer(workflow, list(KINDS), seed=1), 0
    while killer.left:
        shutil.rmtree(workflow.results, ignore_errors=True)
        while (status := killer.run()) != 0:
            runs += 1
            assert runs < 3 * len(KINDS), workflow.output()
            if status < 0:  # else Snakemake has ended by itself, and removed its lock
                workflow.unlock()
        # Byte for byte; nothing is left over, and nothing is thought to be missing.
        assert products(workflow) == undisturbed
        assert workflow.plan("tables", "students") == {}
    print(f"{runs} reruns, {killer.in_training} in training, {len(killer.resumed)} resumed")
    assert len(killer.done) == 22
    assert killer.in_training >= 8
    assert len(killer.resumed) >= 5
