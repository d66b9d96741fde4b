"""How long 100 sources take to rank, how much memory, and what a kill in the middle costs.

    python tests/many_sources.py [SOURCES]

Small random networks as checkpoints, one own target of 300 labelled and 700 unlabelled pictures.
The run is killed with all its jobs once half of the sources have answered, and run again.
"""

from __future__ import annotations

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


def start(folder: Path) -> subprocess.Popen:
    """Start the ranking, as the leader of a group of its own."""
    command = ["snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--cores", "2", "--configfile", str(folder / "run.yaml"), "--quiet", "all"]
    return subprocess.Popen(
        [*command, "--", "ranking"],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def main(count: int) -> None:
    """Rank, kill, rank again, and print what it took."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pictures(folder / "images")
        write_sources(folder / "models", count)
        config = {
            "name": "many",
            "targets": [
                {"name": "noise"}
                | {part: f"images/{part}" for part in ("labeled", "unlabeled", "test")}
            ],
            "sources": [{"from": "checkpoint", "file": "models/*/model.safetensors"}],
            "student": {"architecture": "convnet_tiny", "initialization": "random"},
            "methods": {"distill_single": False, "distill_weighted": [12]},
            "baselines": {"source_architectures": []},
        }
        (folder / "run.yaml").write_text(yaml.safe_dump(config))
        answers = folder / "results/many/inference/noise"
        began = time.monotonic()
        run = start(folder)
        while len([*answers.glob("*.safetensors")]) < count // 2:
            if run.poll() is not None:
                sys.exit(f"the ranking ended by itself: {run.returncode}")
            time.sleep(0.2)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        before = time.monotonic() - began
        finished = {path.name: path.stat().st_mtime_ns for path in answers.glob("*.safetensors")}
        unlock = ["snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
        unlock += ["--configfile", str(folder / "run.yaml"), "--unlock"]
        subprocess.run(unlock, capture_output=True, check=True)
        began = time.monotonic()
        if start(folder).wait() != 0:
            sys.exit("the second run failed")
        after = time.monotonic() - began
        same = sum(
            (answers / name).stat().st_mtime_ns == time_ns for name, time_ns in finished.items()
        )
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        print(f"{count} sources: {before:.0f} s until the kill, {after:.0f} s after it")
        print(
            f"{same} of {len(finished)} finished answers were kept; largest process {peak:.2f} GB"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
