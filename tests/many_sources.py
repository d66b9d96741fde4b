"""How long 100 sources take to rank, how much memory, and what a kill in the middle costs.

    python tests/many_sources.py [SOURCES]

Small random networks as checkpoints, one own target of 300 labelled and 700 unlabelled pictures.
One run goes through; another is killed with all its jobs once half of the sources have answered,
and run again. What the kill cost is the difference, as far as the machine does nothing else.
"""

from __future__ import annotations

import csv
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from distillweighted.networks.classifier import build_model
from distillweighted.networks.model_files import save_model

ROOT = Path(__file__).resolve().parents[1]
ARCHITECTURES = ("alexnet_tiny", "googlenet_tiny", "resnet18_tiny", "resnet50_tiny")


def write_pictures(folder: Path) -> None:
    """Write ten classes of noise around a colour each."""
    rng = np.random.default_rng(0)
    colours = rng.integers(60, 196, (10, 3))
    for number in range(1200):
        label = number % 10
        part = "labeled" if number < 300 else "unlabeled" if number < 1000 else "test"
        place = folder / part if part == "unlabeled" else folder / part / f"class {label}"
        place.mkdir(parents=True, exist_ok=True)
        pixels = colours[label] + rng.normal(0, 60, (32, 32, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place / f"{number}.png")


def write_sources(folder: Path, count: int) -> None:
    """Write random networks as this project's own model files."""
    for number in range(count):
        architecture = ARCHITECTURES[number % len(ARCHITECTURES)]
        place = folder / f"source{number:03d}"
        place.mkdir(parents=True)
        facts = {"source": place.name, "architecture": architecture, "num_classes": 20, "task": ""}
        facts |= {"mean": [0.5] * 3, "std": [0.25] * 3, "image_size": 32}
        save_model(build_model(architecture, 20, seed=number), place / "model.safetensors", facts)


def command(folder: Path, name: str) -> list[str]:
    """How Snakemake is called for a run of a name."""
    start = ["snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    return [*start, "--configfile", str(folder / f"{name}.yaml")]


def start(folder: Path, name: str) -> subprocess.Popen:
    """Start the ranking, as the leader of a group of its own."""
    return subprocess.Popen(
        [*command(folder, name), "--cores", "2", "--quiet", "all", "--", "ranking"],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def kill_in_the_middle(folder: Path, name: str, answers: Path, count: int) -> tuple[float, float]:
    """Run the ranking, kill it when half of the sources have answered, and run it again.

    Returns:
        Seconds until the kill and after it.
    """
    began = time.monotonic()
    run = start(folder, name)
    while len([*answers.glob("*.safetensors")]) < count // 2:
        if run.poll() is not None:
            sys.exit(f"the ranking ended by itself: {run.returncode}")
        time.sleep(0.2)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    killed = time.monotonic()
    finished = {path.name: path.stat().st_mtime_ns for path in answers.glob("*.safetensors")}
    subprocess.run([*command(folder, name), "--unlock"], capture_output=True, check=True)
    if start(folder, name).wait() != 0:
        sys.exit("the run after the kill failed")
    ended = time.monotonic()
    kept = sum((answers / file).stat().st_mtime_ns == then for file, then in finished.items())
    print(f"{kept} of {len(finished)} answers that were there at the kill were kept")
    return killed - began, ended - killed


def main(count: int) -> None:
    """Rank, rank again with a kill, and print what it took."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_pictures(folder / "images")
        write_sources(folder / "models", count)
        parts = {part: f"images/{part}" for part in ("labeled", "unlabeled", "test")}
        config = {
            "targets": [{"name": "noise", **parts}],
            "sources": [{"from": "checkpoint", "file": "models/*/model.safetensors"}],
            "student": {"architecture": "convnet_tiny", "initialization": "random"},
            "methods": {"distill_single": False, "distill_weighted": [12]},
            "baselines": {"source_architectures": []},
        }
        for name in ("whole", "killed"):
            (folder / f"{name}.yaml").write_text(yaml.safe_dump({"name": name, **config}))
        began = time.monotonic()
        if start(folder, "whole").wait() != 0:
            sys.exit("the ranking failed")
        whole = time.monotonic() - began
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        print(f"{count} sources: {whole:.0f} s; the largest process took {peak:.2f} GB")
        with open(folder / "results/whole/benchmarks/rank_sources/noise.tsv") as file:
            (measured,) = csv.DictReader(file, delimiter="\t")
        seconds, memory = float(measured["s"]), float(measured["max_rss"]) / 1e3
        print(f"of these the job that ranks: {seconds:.0f} s, {memory:.2f} GB")
        answers = folder / "results/killed/inference/noise"
        before, after = kill_in_the_middle(folder, "killed", answers, count)
        print(
            f"{before:.0f} s until a kill and {after:.0f} s after it: "
            f"it cost {before + after - whole:.0f} s"
        )
        same = [
            (folder / f"results/{n}/ranking/noise.csv").read_bytes() for n in ("whole", "killed")
        ]
        print("the two rankings are " + ("the same" if same[0] == same[1] else "NOT the same"))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
