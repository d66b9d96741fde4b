"""Time and memory of large grids, planned and run: `make load`.

Plans are of the mini paper with more seeds, up to 20,000 students. Runs are of trivial students (2
steps on 16 px images), so that what is measured is the workflow; CPU seconds are given because they
do not depend on what else the machine does. `--plans 1000 --runs 40` tries it on small ones.
"""

import argparse
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT / "workflow")]

from tiny_workflow import CONFIG, copy_workflow  # noqa: E402

EXPONENTS = 38
"""Values of p in a run, so that its students share the data, the sources and their outputs."""


def large_plan(students: int) -> dict:
    """The mini paper with as many seeds as give at least so many students."""
    config = yaml.safe_load((ROOT.parent / "configs/mini_paper.yaml").read_text())
    per_seed = 380
    return {**config, "name": "plan", "seeds": list(range(math.ceil(students / per_seed)))}


def trivial_run(students: int) -> dict:
    """The tiny workflow with many values of p, and as many seeds as give so many students."""
    # Students that learnt nothing are all equally accurate: no singles, so that nothing correlates.
    methods = {"distill_weighted": [*range(EXPONENTS), math.inf], "distill_single": False}
    per_seed = EXPONENTS + 2  # DistillNearest and IN+Transfer
    config = {**CONFIG, "name": "run", "seeds": list(range(math.ceil(students / per_seed)))}
    config["methods"] = {**methods, "distill_inverse": False, "distill_random_weights": 0}
    config["baselines"] = {"in_fixmatch": False, "source_architectures": []}
    sources = {"steps": 2, "batch_size": 16, "generalist_steps": 2}
    config["training"] = {**CONFIG["training"], "steps": 2, "cohort": per_seed, "sources": sources}
    return config


def measure(config: dict, *arguments: str) -> str:
    """Run Snakemake on a configuration; returns a row of the table."""
    folder = Path(tempfile.mkdtemp())
    workflow = copy_workflow(folder)
    workflow.configure(config)
    command = [sys.executable, "-m", "snakemake", "--configfile", "tiny.yaml", "--quiet", "rules"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(folder)}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with open(folder / "output.txt", "w+") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            [*command, "--cores", "2", *arguments],
            cwd=folder,
            env={**environment, "PATH": path},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        # Of this process alone, but with the CPU time of its jobs.
        _, status, usage = os.wait4(process.pid, 0)
        minutes = (time.monotonic() - started) / 60
        output.seek(0)
        text = output.read()
    if status:
        raise SystemExit(text[-3000:])
    shutil.rmtree(folder)
    counts = dict(re.findall(r"^(\w+) +(\d+)$", text, re.MULTILINE))
    students, jobs = int(counts["store_student"]), int(counts["total"])
    cpu = usage.ru_utime + usage.ru_stime
    # Of the largest process: Snakemake's own, or one of its jobs.
    memory = usage.ru_maxrss * 1024 / 1e9
    return (
        f"{students:8d} {jobs:6d} {minutes:8.1f} {cpu:6.0f} {1000 * cpu / students:12.0f} "
        f"{memory:6.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plans", type=int, nargs="*", default=[5000, 10_000, 20_000])
    parser.add_argument("--runs", type=int, nargs="*", default=[250, 500, 1000])
    options = parser.parse_args()
    print("     students   jobs  minutes  CPU s  ms a student     GB")
    for students in options.plans:
        print("plan", measure(large_plan(students), "-n"), flush=True)
    for students in options.runs:
        print("run ", measure(trivial_run(students)), flush=True)


if __name__ == "__main__":
    main()
