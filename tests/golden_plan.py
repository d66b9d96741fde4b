"""What a run would do, as one sorted text: inputs, outputs, params and resources of every job.

    python tests/golden_plan.py configs/paper.yaml configs/supplement/resnet50.yaml > plan.txt

Two checkouts (without data) that print the same text give every job the same things, whatever
their code looks like. Fingerprints of code are left out, and so is what depends on the machine; a
parameter `job` is laid out as if each of its fields were a parameter.
`tests/workflow/test_golden_plan.py` holds the texts' digests.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

RESOURCES = ("mem_mb", "runtime", "gpu", "in_group")


def plan_jobs(configs: Sequence[Path]) -> list[Any]:
    """The jobs of everything that a configuration asks for, done or not."""
    from snakemake.api import SnakemakeApi
    from snakemake.settings.types import (
        ConfigSettings,
        DAGSettings,
        OutputSettings,
        Quietness,
        ResourceSettings,
    )

    # A plan for a machine without a GPU, whatever this one is.
    which = shutil.which
    shutil.which = lambda name, *rest, **options: (
        None if name == "nvidia-smi" else which(name, *rest, **options)
    )
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow_api = api.workflow(
            resource_settings=ResourceSettings(cores=4),
            config_settings=ConfigSettings(configfiles=configs),
            snakefile=Path("Snakefile"),
        )
        workflow_api.dag(DAGSettings(targets={"all"}, forceall=True))
        workflow = workflow_api._workflow
        # What Snakemake's own `--rulegraph` does, but for the printing.
        workflow._prepare_dag(forceall=True, ignore_incomplete=True, lock_warn_only=True)
        workflow._build_dag()
        return list(workflow.dag.jobs)


def describe(job: Any) -> str:
    """One job as lines of text, all of them sorted by name."""
    lines = [f"output {path}" for path in sorted(map(str, job.output))]
    for kind in ("input", "log", "benchmark"):
        value = getattr(job, kind) or []
        paths = [value] if isinstance(value, str) else value
        names = dict.fromkeys(map(str, paths), "")
        for name, named in getattr(value, "items", dict)():
            for path in [named] if isinstance(named, str) else named:
                names[str(path)] = f".{name}"
        lines += sorted(f"{kind}{name} {_text(path)}" for path, name in names.items())
    lines += [f"params.{name} {_text(value)}" for name, value in sorted(_params(job))]
    declared = {name: job.resources.get(name) for name in RESOURCES}
    lines += [f"resources.{name} {value}" for name, value in declared.items() if value is not None]
    lines.append(f"threads {job.threads}")
    wildcards = ", ".join(f"{name}={value}" for name, value in sorted(job.wildcards.items()))
    return "\n  ".join([f"{job.rule.name} {wildcards}".rstrip(), *lines])


def _params(job: Any) -> Iterator[tuple[str, Any]]:
    for name, value in job.params.items():
        if name == "job" and isinstance(value, Mapping):
            yield from value.items()
        elif name != "code":
            yield name, value


def _text(value: Any) -> str:
    text = json.dumps(_without_code(value), sort_keys=True, ensure_ascii=False)
    return text.replace(str(Path.cwd()), "<checkout>")


def param_types(jobs: Sequence[Any]) -> set[str]:
    """The types of all that jobs are told as params, however deep.

    What is no builtin, Snakemake leaves out of its comparison of params without a word.
    """
    found, pending = set(), [value for job in jobs for _, value in job.params.items()]
    while pending:
        value = pending.pop()
        found.add(type(value).__name__)
        if isinstance(value, Mapping):
            pending += [*value, *value.values()]
        elif isinstance(value, (list, tuple)):
            pending += value
    return found


def _without_code(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_code(item) for name, item in value.items() if name != "code"}
    return [_without_code(item) for item in value] if isinstance(value, (list, tuple)) else value


def plan_text(jobs: Sequence[Any]) -> str:
    """The whole plan, sorted."""
    return "\n".join(sorted(map(describe, jobs))) + "\n"


def digests(text: str) -> dict[str, str]:
    """For each rule how many jobs it has, and a digest of what they are given."""
    by_rule: dict[str, list[str]] = {}
    for job in text.rstrip("\n").replace("\n  ", "\0").split("\n"):
        by_rule.setdefault(job.split("\0")[0].split(" ")[0], []).append(job)
    found = {}
    for rule, jobs in sorted(by_rule.items()):
        digest = hashlib.sha256("\n".join(jobs).encode()).hexdigest()
        found[rule] = f"{len(jobs)} {digest[:12]}"
    return found


if __name__ == "__main__":
    arguments = [Path(name) for name in sys.argv[1:] if not name.startswith("--")]
    planned = plan_jobs(arguments)
    plan = plan_text(planned)
    if "--param-types" in sys.argv:
        # Both of one plan, which takes longest.
        print(json.dumps([digests(plan), sorted(param_types(planned))]))
    else:
        print(json.dumps(digests(plan), indent=1) if "--digests" in sys.argv else plan, end="")
