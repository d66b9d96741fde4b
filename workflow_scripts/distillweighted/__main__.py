"""The library on the command line.

python -m distillweighted check FILE ...   whether configuration files can be run, running nothing
python -m distillweighted show TABLE       a table1_accuracy.csv, for a terminal
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
    if command == "images" and len(names) == 2:
        return _images(*names)
    if command == "export" and len(names) >= 2 and len(names) % 2 == 0:
        return _export(*names)
    raise ValueError(f"'{' '.join(arguments)}' is no command.\n{__doc__}")


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
