"""The tiny run on a real Slurm, through the profile: `make test-slurm`."""

import copy
import csv
import re
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from tiny_workflow import CONFIG, Workflow, copy_workflow

pytestmark = pytest.mark.slurm

TRAINING = "rule_train_students"
OVERRIDES = (
    "--slurm-status-command", "squeue",
    "--slurm-init-seconds-before-status-checks", "2",
    "--seconds-between-status-checks", "2",
    "--latency-wait", "10",
)  # fmt: skip


def list_jobs(folder: Path) -> list[dict[str, str]]:
    """Jobs that Slurm remembers of a checkout, in the order of their submission."""
    command = ["scontrol", "--oneliner", "show", "jobs"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    jobs = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in shown.splitlines()]
    return [job for job in jobs if job.get("WorkDir") == str(folder)]


def submit(workflow: Workflow, *arguments: str) -> str:
    """Run through the profile and expect success; returns what was printed."""
    words = [*arguments, "--configfile", "tiny.yaml", "--profile", "profiles/slurm", *OVERRIDES]
    done = workflow.snakemake(*words, cores=None)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def cancel_a_training(folder: Path, give_up: float = 600) -> str:
    """Cancel the first cohort's job once its script runs; returns its number in Slurm."""
    end = time.monotonic() + give_up
    while time.monotonic() < end:
        for job in list_jobs(folder):
            if job["Comment"].startswith(TRAINING) and job["JobState"] == "RUNNING":
                # Snakemake makes the log's folder before, the script the log.
                if list((folder / "results/tiny/logs/train_students").glob("*.log")):
                    subprocess.run(["scancel", job["JobId"]], check=True)
                    return job["JobId"]
        time.sleep(0.1)
    raise AssertionError("no cohort was trained")


@dataclass
class Run:
    """A finished run on Slurm, one of whose trainings was cancelled."""

    workflow: Workflow
    printed: str
    jobs: list[dict[str, str]]
    cancelled: str


@pytest.fixture(scope="module")
def run(slurm, tmp_path_factory) -> Run:
    workflow = copy_workflow(tmp_path_factory.mktemp("on_slurm"))
    arguments = ["students", "tables", "--set-resources", "train_source:gpu=1"]
    with ThreadPoolExecutor() as pool:
        cancelled = pool.submit(cancel_a_training, workflow.folder)
        printed = submit(workflow, *arguments)
    return Run(workflow, printed, list_jobs(workflow.folder), cancelled.result())


def test_the_plugin_submits_every_job(run):
    submitted = re.findall(r"has been submitted with SLURM jobid (\d+)", run.printed)
    assert sorted(submitted) == sorted(job["JobId"] for job in run.jobs)
    assert {job["Partition"] for job in run.jobs} == {"main"}
    done = [job["Comment"] for job in run.jobs if job["JobState"] == "COMPLETED"]
    counts = Counter(re.sub(r"^rule_(.*?)(_wildcards_.*)?$", r"\1", name) for name in done)
    assert len(done) == len(run.jobs) - 1
    assert counts == {
        "prepare_task": 5,
        "train_source": 5,
        # Three sources, two a process.
        "inference_infer_sources_store_inference": 2,
        "split_target": 1,
        # The weights of the target's only seed; eleven students in one group.
        "weights_compute_weights_score_similarity": 1,
        "train_students": 3,
        "evaluation_evaluate_students_store_student": 1,
        "collect_accuracy": 1,
        "table1_accuracy": 1,
        "table1_paired": 1,
        "all_methods": 1,
        "table1_random_selection": 1,
        "table2_correlation": 1,
        "table3_relative_accuracy": 1,
        "comparison_with_paper": 1,
    }


def test_jobs_ask_for_what_their_rules_say(run):
    asked = {job["Comment"]: job for job in run.jobs}
    training = asked["rule_train_source_wildcards_alexnet_tiny_lesions_a"]
    assert training["TresPerJob"] == "gres:gpu:1"
    assert training["MinMemoryNode"] == "1516M" and training["TimeLimit"] == "00:10:00"
    evaluation = asked["rule_evaluation_evaluate_students_store_student"]
    # Three cohorts and then eleven students, two at a time, ten minutes each.
    assert evaluation["NumCPUs"] == "2" and evaluation["MinMemoryNode"] == "2000M"
    assert evaluation["TimeLimit"] == "01:20:00"


def test_a_cancelled_training_is_done_again(run):
    cohort = {job["JobId"]: job["Comment"] for job in run.jobs}[run.cancelled]
    jobs = [job for job in run.jobs if job["Comment"] == cohort]
    assert [job["JobState"] for job in jobs] == ["CANCELLED", "COMPLETED"]
    assert int(jobs[1]["MinMemoryNode"][:-1]) == 2 * int(jobs[0]["MinMemoryNode"][:-1])
    assert run.workflow.plan("students", "tables") == {}


def test_the_results_are_those_of_a_local_run(run, tmp_path):
    local = copy_workflow(tmp_path)
    local.run("students", "tables")
    patterns = ("tables/*", "students/*/*/*/*", "sources/*/model.safetensors")
    paths = [path for pattern in patterns for path in sorted(local.results.glob(pattern))]
    assert len(paths) > 4 * 11
    differing = []
    for path in paths:
        twin = run.workflow.results / path.relative_to(local.results)
        if not twin.is_file() or content(twin) != content(path):
            differing.append(str(path.relative_to(local.results)))
    assert differing == []


TIMES = {"accuracy": "train_seconds", "all_methods": "relative_time"}
"""Columns of tables that are other in every run."""

SEPARATORS = {".csv": ",", ".md": "|", ".tex": "&"}
"""Between the cells of a table, by the ending of its file."""


def content(path: Path) -> bytes:
    """A file's bytes, without the time that a student's training took."""
    if path.stem in TIMES:
        lines = path.read_text().splitlines()
        rows = list(csv.reader(lines, delimiter=SEPARATORS[path.suffix]))
        names = next(row for row in rows if len(row) == max(map(len, rows)))
        time = [name.strip().replace("\\", "") for name in names].index(TIMES[path.stem])
        return "\n".join(str(row[:time] + row[time + 1 :]) for row in rows).encode()
    return re.sub(rb'"(train_seconds|images_per_second)": .*', b"", path.read_bytes())


def test_a_job_that_needs_more_gets_more(slurm, tmp_path):
    """More memory for the task, which takes 2 GB, and more time for the split, which hangs once."""
    workflow = copy_workflow(tmp_path)
    workflow.configure(copy.deepcopy(CONFIG))
    hog = "import time; hog = bytearray(b'x') * 2_000_000_000; time.sleep(5)"
    insert(workflow, "prepare_task", hog)
    hang = "import os, time; os.path.exists('hung') or (open('hung', 'x'), time.sleep(600))"
    insert(workflow, "split_target", hang)
    rules = workflow.folder / "rules/data.smk"
    head, split = rules.read_text().split("rule split_target:")
    assert "runtime=per_attempt(10)" in split
    split = split.replace("runtime=per_attempt(10)", "runtime=per_attempt(1)")
    rules.write_text(head + "rule split_target:" + split)

    # Without the profile's warning signal, which would end a job of a minute at its start.
    place = ["slurm_partition=main", "slurm_account=somebody", "mem_mb=2000", "runtime=30"]
    submit(workflow, "splits", "--default-resources", *place)
    jobs = list_jobs(workflow.folder)
    memory = [job for job in jobs if job["Comment"].startswith("rule_prepare_task")]
    assert [job["JobState"] == "COMPLETED" for job in memory] == [False, True]
    assert [job["MinMemoryNode"] for job in memory] == ["1515M", "3030M"]
    assert "memory limit" in Path(memory[0]["StdOut"]).read_text()
    hung = [job for job in jobs if job["Comment"].startswith("rule_split_target")]
    assert [job["JobState"] for job in hung] == ["TIMEOUT", "COMPLETED"]
    assert [job["TimeLimit"] for job in hung] == ["00:01:00", "00:02:00"]


def insert(workflow: Workflow, rule: str, line: str) -> None:
    """Let a rule's script begin with a line."""
    path = workflow.folder / f"workflow_scripts/{rule}.py"
    path.write_text(f"{line}\n{path.read_text()}")
