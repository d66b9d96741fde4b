"""A tiny run of the real workflow, in a copy of the checkout that tests may edit."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "config.yaml", "configs", "rules", "workflow_scripts", "profiles", "envs")

CONFIG = {
    "name": "tiny",
    "seeds": [0],
    "device": "cpu",
    "embedded": {
        "seed": 5,
        "image_size": 16,
        "source_images": 150,
        "generalist_images": 200,
        "target_images": 300,
        "test_images": 150,
    },
    "targets": ["lesions_b"],
    "sources": [
        {
            "from": "trained",
            "architectures": ["alexnet_tiny"],
            "tasks": ["lesions_a", "mosaics_a", "textures_a"],
        }
    ],
    "inference": {"cohort": 2},
    "methods": {"distill_weighted": [0, 12, ".inf"], "distill_random_weights": 1},
    "training": {
        "steps": 20,
        "labeled_batch": 8,
        "unlabeled_batch": 16,
        "cohort": 4,
        "sources": {"steps": 20, "batch_size": 16, "generalist_steps": 20},
    },
}
CONFIG["methods"]["distill_weighted"][2] = float("inf")


@dataclass
class Workflow:
    """A checkout in which Snakemake can be run."""

    folder: Path

    def configure(self, config: dict) -> None:
        """Write the configuration that the next run uses."""
        (self.folder / "tiny.yaml").write_text(yaml.safe_dump(config))

    def snakemake(self, *arguments: str, cores: int | None = 2) -> subprocess.CompletedProcess:
        """Run Snakemake; output and errors come back as text. cores None: the profile says."""
        limit = [] if cores is None else ["--cores", str(cores)]
        command = self._command(*arguments, *limit)
        return subprocess.run(**command, capture_output=True, text=True, timeout=900)

    def start(self, *targets: str) -> subprocess.Popen:
        """Start a run with tiny.yaml, as the leader of a process group; see `output`."""
        command = self._command(*targets, "--cores", "2", "--configfile", "tiny.yaml")
        with open(self.folder / "output.txt", "w") as file:
            return subprocess.Popen(
                **command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )

    def output(self) -> str:
        """What a run that was started has printed."""
        return (self.folder / "output.txt").read_text()

    def unlock(self) -> None:
        """What a person types after a kill of Snakemake itself."""
        done = subprocess.run(**self._command("--unlock"), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def _command(self, *arguments: str) -> dict[str, Any]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(self.folder)}
        # The rules' own calls of python and snakemake find this environment.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        return {
            "args": [sys.executable, "-m", "snakemake", *arguments],
            "cwd": self.folder,
            "env": {**environment, "PATH": path},
        }

    def run(self, *targets: str, cores: int = 2) -> str:
        """Run with tiny.yaml and expect success; returns what was printed."""
        done = self.snakemake(*targets, "--configfile", "tiny.yaml", cores=cores)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def plan(self, *targets: str, configfiles: Sequence[str] = ("tiny.yaml",)) -> dict[str, int]:
        """How many jobs of each rule a dry run plans."""
        done = self.snakemake(*targets, "-n", "--quiet", "rules", "--configfile", *configfiles)
        text = done.stdout + done.stderr
        assert done.returncode == 0, text
        if "Nothing to be done" in text:
            return {}
        jobs, counting = {}, False
        for line in text.splitlines():
            words = line.split()
            counting = counting or line.startswith("---")
            if counting and len(words) == 2 and words[1].isdigit():
                jobs[words[0]] = int(words[1])
            elif counting and not words:
                break
        jobs.pop("total")
        return jobs

    @property
    def results(self) -> Path:
        """The results tree of the tiny run."""
        return self.folder / "results" / "tiny"


def copy_workflow(folder: Path) -> Workflow:
    """A copy of what a run needs from this checkout."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / part)
    workflow = Workflow(folder)
    workflow.configure(CONFIG)
    return workflow
