# What the rules share: the checked configuration, the run that it comes to, and what only Snakemake
# can do. What the jobs are told is in the library: distillweighted/workflow/run.py.
import re
import shutil
import sys
import tempfile
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(workflow.basedir) / "workflow_scripts"))

from snakemake.exceptions import WorkflowError

from distillweighted.workflow.config import ConfigError, read_config
from distillweighted.workflow.config_checks import needed_data_sets
from distillweighted.workflow.config_file import read_config_file
from distillweighted.workflow.fingerprint import code_of
from distillweighted.workflow.paths import STUDENT_PRODUCTS
from distillweighted.workflow.required_files import describe_missing_files
from distillweighted.workflow.run import Run

SCHEMA = yaml.safe_load((Path(workflow.basedir) / "rules/schemas/config.schema.yaml").read_text())
try:
    for path in workflow.configfiles:
        read_config_file(Path(path))
    # In place, so that the report's captions see the defaults too.
    config.update(read_config(config, SCHEMA))
except ConfigError as error:
    raise WorkflowError(str(error)) from None

# One GPU a job that trains or infers, where there is one to give. What a cluster's job asked for was
# said when it was submitted: with `auto`, the node that it runs on has no say.
GPUS = int(
    config["device"] == "cuda"
    or (
        config["device"] == "auto"
        and not workflow.remote_exec
        and shutil.which("nvidia-smi") is not None
    )
)

RUN = Run(config, GPUS)
RESULTS = RUN.paths.results
TRAINED = [name for name, model in RUN.models.items() if model.origin == "trained"]
LOADED = [name for name in RUN.models if name not in TRAINED]


def members(wildcards):
    """The rows of the students of a cohort."""
    return RUN.members(wildcards.target, wildcards.replicate, wildcards.cohort)


def student(wildcards):
    """The row of a student."""
    return RUN.student(wildcards.target, wildcards.recipe, wildcards.replicate)


def existing(path):
    """A file as an input where it is there; what is missing is told all at once, at the start."""
    return [str(path)] if path.exists() else []


def per_attempt(amount):
    """A resource that grows with each retry: `amount` times the number of the attempt."""
    return lambda wc, attempt: attempt * (amount(wc) if callable(amount) else amount)


def alternatives(names):
    """A regular expression for any of the names; for none of them where there is no name."""
    return "|".join(map(re.escape, sorted(names))) or "(?!)"


def per_target_and_replicate(path_of):
    """The path that a function of target and replicate gives, for all of them."""
    return [path_of(target, replicate) for target in RUN.targets for replicate in RUN.replicates]


def table_files(name):
    """A table as CSV, Markdown and LaTeX."""
    return [RUN.paths.table(name, ending) for ending in ("csv", "md", "tex")]


def check_files(jobs):
    """Stop, before any work, where files are missing that a person or `fetch` has to bring."""
    wanted = {"prepare_data_set": [], "load_source": []}
    for job in jobs:
        if job.rule.name in wanted:
            wanted[job.rule.name] += job.wildcards
    missing = describe_missing_files(
        sorted(wanted["prepare_data_set"]), RUN.loaded(sorted(wanted["load_source"])), **RUN.roots
    )
    if missing:
        raise WorkflowError(
            f"{missing}\nWhat can be downloaded automatically: snakemake --cores all fetch, with "
            "the same --configfile. docs/data.md says how to get the rest."
        )


def look_once_for_ready_jobs():
    """Lift Snakemake's limit of 100 jobs a second, where jobs run on this machine.

    Each job that ends makes version 9.27 look at all ready jobs once more a second, for the rest of
    the run, to see whether the limit lets more of them start: half of a core after some hundred jobs.
    """
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None


def check_results():
    """Stop, before any work, where results cannot be written."""
    try:
        Path(RESULTS).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=RESULTS) as file:
            file.write(bytes(2**20))
    except OSError as error:
        raise WorkflowError(
            f"{RESULTS} cannot be written: {error.strerror}. Make it writable or make room (results "
            "may be a link to a folder elsewhere) and run the same command again; what is finished "
            "is kept."
        ) from None
