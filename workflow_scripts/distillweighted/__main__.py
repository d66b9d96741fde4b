"""The library on the command line: `python -m distillweighted --help`."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are raised, with how the command is called."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}\n{self.format_usage()}".strip())


def _commands() -> tuple[_Parser, dict[str, _Parser]]:
    """The parser of the whole command line, and that of each command by name."""
    parser = _Parser(
        prog="python -m distillweighted", description="The library on the command line."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    def command(name: str, run: Callable[..., str], summary: str) -> _Parser:
        added = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        added.set_defaults(run=run)
        return added

    added = command("check", _check, "whether configuration files can be run, running nothing")
    added.add_argument(
        "files", nargs="*", metavar="FILE", default=["config.yaml"],
        help="configuration files, each completing the ones before (default: config.yaml)",
    )  # fmt: skip
    added = command("show", _show, "a table1_accuracy.csv, for a terminal")
    added.add_argument("table", metavar="TABLE", help="the CSV file")
    added = command("answer", _answer, "what a finished run says of a user's own tasks")
    added.add_argument("files", nargs="+", metavar="FILE", help="the run's configuration files")
    added = command("models", _models, "timm's pretrained models, and which are on this machine")
    added.add_argument(
        "patterns", nargs="+", metavar="PATTERN", help="a name or a pattern: 'vit_small*'"
    )
    added.add_argument(
        "--max-parameters", type=float, default=math.inf, metavar="MILLIONS",
        help="leave larger ones out",
    )  # fmt: skip
    added.add_argument(
        "--cached", action="store_true", help="only those that are on this machine already"
    )
    added = command("images", _images, "names and files of a user's own images, as CSV")
    added.add_argument("file", metavar="FILE", help="the configuration file")
    added.add_argument("target", metavar="TARGET", help="name of an own target in it")
    added = command("export", _export, "a task of the embedded benchmark as PNG files")
    added.add_argument("task", metavar="TASK", help="name of the task, as cyrillic")
    added.add_argument("folder", metavar="FOLDER", help="where to: empty, or not there yet")
    added.add_argument(
        "--labeled", type=float, default=0.2, metavar="SHARE",
        help="share of the training images that are labelled (default: 0.2)",
    )  # fmt: skip
    added.add_argument(
        "--seed", type=int, default=0, help="seed of their choice, as of a run (default: 0)"
    )
    return parser, dict(commands.choices)


def main(arguments: Sequence[str]) -> str:
    """What a command prints.

    Raises:
        ValueError: Where there is no such command, or what it reads cannot be used; says why.
    """
    parser, commands = _commands()
    name, *rest = arguments or [""]
    if name in ("-h", "--help"):
        return parser.format_help().strip()
    if name not in commands:
        usages = "".join(commands[each].format_usage() for each in commands)
        usages = usages.replace("usage: ", "  ")
        raise ValueError(f"'{' '.join(arguments)}' is no command.\nusage:\n{usages}".rstrip())
    command = commands[name]
    # Options may stand between names.
    told, unknown = command.parse_known_intermixed_args(rest)
    if unknown:
        if not unknown[0].startswith("-"):
            command.error(f"'{unknown[0]}' is more than {name} takes")
        known = [action.option_strings[-1] for action in command._actions if action.option_strings]
        allowed = ", ".join(option for option in known if option != "--help") or "none"
        raise ValueError(f"'{unknown[0]}' is no option of {name} (allowed: {allowed})")
    values = vars(told)
    return values.pop("run")(**values)


def _check(files: Sequence[str]) -> str:
    from distillweighted.workflow.run import Run

    return Run.read(*map(Path, files)).summary


def _show(table: str) -> str:
    import pandas as pd

    from distillweighted.analysis.printed import print_table1

    return print_table1(pd.read_csv(table))


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


def _models(patterns: Sequence[str], max_parameters: float, cached: bool) -> str:
    from distillweighted.sources.catalogues import timm_parameters
    from distillweighted.sources.origins.timm import matching, timm_file

    found = list(dict.fromkeys(model for pattern in patterns for model in matching(pattern)))
    if not found:
        raise ValueError(f"timm has no pretrained model '{' '.join(patterns)}' (try a pattern: *)")
    counts = timm_parameters(found)
    rows = [(counts[name] / 1e6, name, timm_file(name) is not None) for name in found]
    lines = [
        f"{millions:8.1f} M  {'here' if here else '    '}  {name}"
        for millions, name, here in rows
        if millions <= max_parameters and (here or not cached)
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


def _export(task: str, folder: str, labeled: float, seed: int) -> str:
    from distillweighted.tasks.embedded.export import export_task

    counts = export_task(task, Path(folder), labeled=labeled, seed=seed)
    return f"{folder}: " + ", ".join(f"{number} {part}" for part, number in counts.items())


if __name__ == "__main__":
    try:
        print(main(sys.argv[1:]))
    except (ValueError, OSError) as error:
        sys.exit(str(error))
