"""The library on the command line.

python -m distillweighted check FILE ...   whether configuration files can be run, running nothing
python -m distillweighted show TABLE       a table1_accuracy.csv, for a terminal
python -m distillweighted answer FILE ...  what a finished run says of a user's own tasks
python -m distillweighted models PATTERN ... [--max-parameters 30] [--cached]
                                           timm's pretrained models, and which are on this machine
python -m distillweighted images FILE TARGET
                                           names and files of a user's own images, as CSV
python -m distillweighted export TASK FOLDER [--labeled 0.2] [--seed 0]
                                           a task of the embedded benchmark as PNG files
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str]) -> str:
    """What a command prints.

    Raises:
        ValueError: Where there is no such command, or what it reads cannot be used; says why.
    """
    command, *names = arguments or [""]
    if command == "check":
        from distillweighted.workflow.run import Run

        return Run.read(*map(Path, names or ["config.yaml"])).summary
    if command == "show" and len(names) == 1:
        import pandas as pd

        from distillweighted.analysis.printed import print_table1

        return print_table1(pd.read_csv(names[0]))
    if command == "answer" and names:
        return _answer(names)
    if command == "models" and names:
        return _models(names)
    if command == "images" and len(names) == 2:
        return _images(*names)
    if command == "export" and len(names) >= 2 and len(names) % 2 == 0:
        return _export(*names)
    raise ValueError(f"'{' '.join(arguments)}' is no command.\n{__doc__}")


def _answer(files: Sequence[str]) -> str:
    from distillweighted.workflow.run import Run

    run = Run.read(*map(Path, files))
    parts = []
    for target in run.targets:
        ranking = Path(run.paths.ranking(target, "md"))
        comparison = Path(run.paths.handed_over(target, "comparison.md"))
        if not (ranking.is_file() and comparison.is_file()):
            raise ValueError(f"{comparison} is not there yet: make it with the target `student`")
        parts += [ranking.read_text("utf-8"), comparison.read_text("utf-8")]
        parts.append(f"The student and its page: {comparison.with_name('report.html')}")
    return "\n".join(parts)


def _models(names: Sequence[str]) -> str:
    import math

    from distillweighted.sources.catalogues import timm_parameters
    from distillweighted.sources.origins.timm import matching, timm_file

    patterns, limit, only_cached = [], math.inf, False
    rest = iter(names)
    for name in rest:
        if name == "--cached":
            only_cached = True
        elif name == "--max-parameters":
            limit = float(next(rest, "none given"))
        else:
            patterns.append(name)
    found = list(dict.fromkeys(model for pattern in patterns for model in matching(pattern)))
    if not found:
        raise ValueError(f"timm has no pretrained model '{' '.join(patterns)}' (try a pattern: *)")
    counts = timm_parameters(found)
    rows = [(counts[name] / 1e6, name, timm_file(name) is not None) for name in found]
    lines = [
        f"{millions:8.1f} M  {'here' if here else '    '}  {name}"
        for millions, name, here in rows
        if millions <= limit and (here or not only_cached)
    ]
    return "\n".join(lines or ["none of them is in this machine's caches, or so small"])


def _images(file: str, target: str) -> str:
    import csv
    import io

    from distillweighted.tasks.own.scan import scan_own_task
    from distillweighted.tasks.registry import OwnTask
    from distillweighted.workflow.run import Run

    tasks = Run.read(Path(file)).tasks
    own = {name: task for name, task in tasks.items() if isinstance(task, OwnTask)}
    if target not in own:
        allowed = ", ".join(own) or "none in this configuration"
        raise ValueError(f"'{target}' is no target with images of your own (allowed: {allowed})")
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    table.writerow(("image", "file"))
    table.writerows((image.name, image.path) for image in scan_own_task(own[target].spec).images)
    return text.getvalue().removesuffix("\n")


def _export(task: str, folder: str, *options: str) -> str:
    from distillweighted.tasks.embedded.export import export_task

    values: dict[str, float] = {}
    kinds = {"--labeled": float, "--seed": int}
    for option, value in zip(options[::2], options[1::2]):
        if option not in kinds:
            raise ValueError(f"'{option}' is no option of export (allowed: {', '.join(kinds)})")
        values[option.removeprefix("--")] = kinds[option](value)
    counts = export_task(task, Path(folder), **values)
    return f"{folder}: " + ", ".join(f"{number} {part}" for part, number in counts.items())


if __name__ == "__main__":
    try:
        print(main(sys.argv[1:]))
    except (ValueError, OSError) as error:
        sys.exit(str(error))
