"""Faults of the machine: each is a clear error, and a rerun loses and corrupts nothing."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_workflow import Workflow

pytestmark = pytest.mark.slow


def products(results: Path) -> dict[str, bytes]:
    """What must come out the same: tables, predictions and models."""
    files = [*results.glob("tables/*.csv"), *results.glob("students/*/*/*/predictions.csv")]
    files += results.glob("students/*/*/*/model.safetensors")
    return {str(path.relative_to(results)): path.read_bytes() for path in files}


def mount(folder: Path, options: str) -> None:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")


@pytest.fixture
def small_disk(fresh: Workflow) -> Iterator[Path]:
    """A results folder on a disk of 2 MB."""
    folder = fresh.folder / "results"
    folder.mkdir()
    mount(folder, "size=2m")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(fresh, small_disk, finished):
    """It fills up three times, at different stages; then there is room."""
    for size in ("3m", "6m", "9m"):
        mount(small_disk, f"remount,size={size}")
        failed = fresh.snakemake("--configfile", "tiny.yaml")
        text = failed.stdout + failed.stderr
        assert failed.returncode != 0
        # Ours, or Snakemake's own where it is Snakemake that cannot write.
        assert "is full (" in text or "No space left on device" in text
        assert "Logging error" not in text
    mount(small_disk, "remount,size=500m")
    fresh.run()
    assert products(fresh.results) == products(finished.results)


def test_results_that_cannot_be_written(fresh, small_disk):
    mount(small_disk, "remount,ro")
    failed = fresh.snakemake("--configfile", "tiny.yaml")
    assert failed.returncode != 0
    text = failed.stdout + failed.stderr
    assert "results/tiny cannot be written: Read-only file system. Make it writable" in text
    assert "Traceback" not in text


def test_two_runs_at_once(fresh, finished):
    """The second stops at once; the first does not notice."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "tiny.yaml"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(fresh.folder)}
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=fresh.folder, env=environment, **silent) as first:
        while not list(fresh.results.glob("data/*/meta.json")):
            assert first.poll() is None
            time.sleep(0.1)
        second = fresh.snakemake("--configfile", "tiny.yaml")
        assert second.returncode != 0
        assert "Directory cannot be locked" in second.stderr
        assert first.wait() == 0
    assert products(fresh.results) == products(finished.results)


@pytest.mark.parametrize(
    "lost",
    ["data/lesions_b/train_images.npy", "inference", "weights/lesions_b/seed0", "similarity"],
)
def test_what_vanished_is_made_again_and_nothing_else_is_trained(finished, lost):
    before = products(finished.results)
    inodes = {p: p.stat().st_ino for p in finished.results.glob("students/*/*/*/model.safetensors")}
    path = finished.results / lost
    path.unlink() if path.is_file() else shutil.rmtree(path)
    # A student that is missing needs what vanished.
    removed = finished.results / "students/lesions_b/distill_weighted-p12/seed0/model.safetensors"
    removed.unlink()
    finished.run()
    assert products(finished.results) == before
    kept = [path for path in inodes if path != removed]
    assert {p: p.stat().st_ino for p in kept} == {p: inodes[p] for p in kept}
