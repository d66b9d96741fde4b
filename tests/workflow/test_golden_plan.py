"""What every job of the shipped configurations is given stays what it is, or a change is meant.

The digests are of the texts that `tests/golden_plan.py` prints. Where one differs, print the text
in the checkout before and after, and compare the two; `--digests` prints what golden_plan.json
holds.
"""

import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_workflow import ROOT, copy_workflow

GOLDEN = json.loads((Path(__file__).parent / "golden_plan.json").read_text())
QUICK = ("config.yaml", "configs/paper.yaml")


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """What is planned for some configurations: digests by rule, and types of params."""
    folder = copy_workflow(tmp_path_factory.mktemp("golden")).folder

    @functools.cache
    def plan(configs):
        script = ROOT / "tests/golden_plan.py"
        command = [sys.executable, script, "--param-types", *configs.split()]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    return plan


@pytest.mark.parametrize(
    "configs",
    [
        pytest.param(configs, marks=() if configs in QUICK else pytest.mark.slow)
        for configs in GOLDEN
    ],
)
def test_every_job_is_given_what_it_was_given(planned, configs):
    assert planned(configs)[0] == GOLDEN[configs]


@pytest.mark.parametrize("configs", QUICK)
def test_every_param_of_a_plan_is_a_builtin(planned, configs):
    """Snakemake 9.27 leaves params of other types out of what it compares to redo a job."""
    types = set(planned(configs)[1])
    assert {"dict", "str", "int", "float", "NoneType"} <= types
    assert types <= {"dict", "list", "tuple", "str", "int", "float", "bool", "NoneType"}


def test_every_shipped_configuration_has_a_golden_plan():
    # Those of own tasks are of files that are not here.
    files = {*ROOT.glob("configs/**/*.yaml")} - {*ROOT.glob("configs/own_task*.yaml")}
    shipped = {str(path.relative_to(ROOT)) for path in files}
    assert {name for configs in GOLDEN for name in configs.split()} == {"config.yaml", *shipped}
