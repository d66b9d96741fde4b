# What the rules share: the checked configuration, the run that it comes to, and what only Snakemake
# can do. What the jobs are told is in the library: distillweighted/workflow/run.py.
import gc
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(CHECKOUT / "workflow_scripts"))

from snakemake.exceptions import WorkflowError

from distillweighted.workflow.config import ConfigError, read_config
from distillweighted.workflow.config_checks import needed_data_sets
from distillweighted.workflow.config_file import merge, read_config_file, read_schema
from distillweighted.workflow.deployment import HANDED_OVER
from distillweighted.workflow.fingerprint import code_of, import_from_here
from distillweighted.workflow.locations import located
from distillweighted.workflow.overrides import read_overrides
from distillweighted.workflow.paths import STUDENT_PRODUCTS
from distillweighted.workflow.required_files import (
    describe_lacking_answers,
    describe_missing_files,
)
from distillweighted.workflow.run import Run
from distillweighted.workflow.states import check_writable

# What a plan is made of stays until its end: looking through it for garbage, again and again as it
# grows, takes a fifth of the time. `collect_garbage` goes on once there is work.
if workflow.is_main_process and not IS_MODULE:
    gc.disable()

SCHEMA = read_schema()
import_from_here()

# What --config says, without types, is read once more by the schema. It is of the outermost
# configuration, of which a module's may be a part, or no part at all.
ALL_CONFIG = workflow.modifier_stack[0].globals["config"]
PARTS = [None] if config is ALL_CONFIG else [k for k, v in ALL_CONFIG.items() if v is config]
try:
    if IS_MODULE:
        # What an outer workflow says has no file of its own.
        if config:
            raw = located(config, Path.cwd())
        else:
            raw = located(read_config_file(CHECKOUT / "config.yaml"), CHECKOUT)
    else:
        # Paths are relative to the file that says them, which Snakemake's merged ones do not know.
        raw = {}
        for path in map(Path, workflow.configfiles):
            raw = merge(raw, located(read_config_file(path), path.parent))
        raw = merge(raw, located(workflow.config_settings.config, Path.cwd()))
    for part in PARTS:
        overrides = read_overrides(workflow.config_settings.config_args, SCHEMA, part)
        raw = merge(raw, located(overrides, Path.cwd()))
    # In place, so that the report's captions see the defaults too.
    config.update(read_config(raw, SCHEMA))
except ConfigError as error:
    raise WorkflowError(str(error)) from None


def checkout_file(path):
    """A file of this checkout, from the working directory where it lies below that."""
    file = CHECKOUT / path
    return os.path.relpath(file) if file.is_relative_to(Path.cwd()) else str(file)


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
TRAINED, LOADED, OUTSIDE = map(RUN.names_of_kind, ("trained", "loaded", "outside"))


# What a person types to make a student; it stands on the student's card.
COMMAND = " ".join(
    ["snakemake --cores all student"]
    + (["--configfile"] if workflow.configfiles else [])
    + [shlex.quote(os.path.relpath(path)) for path in workflow.configfiles]
)


def members(wildcards):
    """The rows of the students of a cohort."""
    return RUN.members(wildcards.target, wildcards.replicate, wildcards.cohort)


def student(wildcards):
    """The row of a student."""
    return RUN.student(wildcards.target, wildcards.recipe, wildcards.replicate)


def files_of_students():
    """metrics.json of every student, which comes with its other files; of a finished one also those
    that were removed since. A plan takes longer for a file that a rule names than for a look at it.
    """
    removed = []
    for folder in map(os.path.dirname, filter(os.path.exists, RUN.products.metrics)):
        lacking = set(STUDENT_PRODUCTS) - set(os.listdir(folder))
        removed += [f"{folder}/{name}" for name in sorted(lacking)]
    return RUN.products.metrics + removed


def sources_asked(wildcards):
    """Names of the models of a cohort that is asked about a target."""
    return RUN.asked(wildcards.target, wildcards.cohort)


def existing(path):
    """A file as an input where it is there; what is missing is told all at once, at the start."""
    return [str(path)] if path is not None and path.exists() else []


def per_attempt(amount):
    """A resource that grows with each retry: `amount` times the number of the attempt."""
    return lambda wc, attempt: attempt * (amount(wc) if callable(amount) else amount)


def alternatives(names):
    """A regular expression for any of the names; for none of them where there is no name."""
    return "|".join(map(re.escape, sorted(names))) or "(?!)"


def check_files(jobs):
    """Stop, before any work, where files are missing that a person or `fetch` has to bring."""
    wanted = {"prepare_data_set": [], "load_source": [], "describe_source": []}
    asked = []
    for job in jobs:
        if job.rule.name in wanted:
            wanted[job.rule.name] += job.wildcards
        elif job.rule.name == "store_inference":
            asked.append((RUN.models[job.wildcards.source], RUN.tasks[job.wildcards.target]))
    names = sorted(wanted["load_source"] + wanted["describe_source"])
    missing = describe_missing_files(
        sorted(wanted["prepare_data_set"]), [RUN.models[name] for name in names], **RUN.roots
    )
    if missing:
        raise WorkflowError(
            f"{missing}\nWhat can be downloaded automatically: snakemake --cores all fetch, with "
            "the same --configfile. docs/data.md says how to get the rest."
        )
    if problems := describe_lacking_answers(asked):
        raise WorkflowError(problems)


def collect_garbage():
    """Collect garbage again, but for the plan, which is none."""
    gc.freeze()
    gc.enable()


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
        check_writable(Path(RESULTS))
    except OSError as error:
        raise WorkflowError(str(error)) from None
