"""Runs from another working directory, as a module of another workflow, and with --config."""

import copy
import re
from pathlib import Path

import pytest
import yaml
from tiny_workflow import CONFIG, ROOT, Workflow

SNAKEFILE = str(ROOT / "Snakefile")

# The fewest jobs that a report can be made of.
SMALL = copy.deepcopy(CONFIG)
SMALL["sources"][0]["tasks"] = ["mosaics_a", "textures_a"]
SMALL["methods"] = {
    "distill_single": False,
    "distill_weighted": [12],
    "distill_inverse": False,
    "distill_random_weights": 0,
}
SMALL["baselines"] = {"in_fixmatch": False, "source_architectures": []}

MODULE = f"""
module distill:
    snakefile: {SNAKEFILE!r}
"""
USE = "use rule * from distill as distill_*\n"


@pytest.fixture
def folder(tmp_path):
    """An empty folder, in which Snakemake can be run."""
    return Workflow(tmp_path)


def planned(workflow: Workflow, *arguments: str) -> str:
    """What a dry run prints."""
    done = workflow.snakemake("-n", *arguments)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    return text


def refused(workflow: Workflow, *arguments: str) -> str:
    """What a dry run prints that has to fail, readably."""
    done = workflow.snakemake("-n", *arguments)
    text = done.stdout + done.stderr
    assert done.returncode != 0, text
    assert "Traceback" not in text
    return text


def students(text: str) -> set[str]:
    """Names of runs, targets and replicates of the students that a dry run evaluates."""
    return set(re.findall(r"results/(\w+)/students/(\w+)/[^/ ]+/(seed\d+)/metrics.json", text))


def rules(text: str) -> set[str]:
    """The rules that a dry run plans."""
    return set(re.findall(r"(?m)^(?:local)?rule (\w+):$", text))


def write(path: Path, content: dict) -> None:
    """Write a configuration as YAML."""
    path.write_text(yaml.safe_dump(content))


def assert_whole_report(results: Path) -> None:
    """Check that a report has its text, and tables and figures with their captions."""
    report = (results / "report.html").read_text()
    for item in ("Distilling from similar tasks", "Table 1", "Figure 5", "Exclusions", "Versions"):
        assert item in report
    assert (results / "tables/table1_accuracy.csv").stat().st_size > 0


# From another working directory.


def test_another_working_directory_gets_everything_up_to_the_report(folder):
    """The folder's own config.yaml counts; jobs and the report see what --config says."""
    work = folder.folder / "work"
    work.mkdir()
    # A start that is trained, and a second source, would be jobs of kinds that there are already.
    source = {**SMALL["sources"][0], "tasks": ["textures_a"]}
    few = {**SMALL, "sources": [source], "student": {"initialization": "random"}}
    write(work / "config.yaml", few)
    overrides = ["--config", "seeds=3", "training={steps: 10}", "name=007"]
    done = folder.snakemake("-s", SNAKEFILE, "-d", "work", *overrides)
    assert done.returncode == 0, done.stdout + done.stderr
    results = work / "results/007"
    assert_whole_report(results)
    assert not (folder.folder / "results").exists()
    config = yaml.safe_load((results / "config.yaml").read_text())
    assert config["seeds"] == [3] and config["name"] == "007"
    assert config["training"]["steps"] == 10 and config["training"]["cohort"] == 4
    again = planned(folder, "-s", SNAKEFILE, "-d", "work", *overrides)
    assert "Nothing to be done" in again


def test_without_an_own_configuration_the_checkouts_counts(folder):
    text = planned(folder, "-s", SNAKEFILE)
    assert {name for name, _, _ in students(text)} == {"demo"}
    assert f"{ROOT}/rules/captions/report.rst" in text


def test_a_configfile_is_found_from_where_the_command_is_given(folder):
    (folder.folder / "work").mkdir()
    write(folder.folder / "mine.yaml", SMALL)
    write(folder.folder / "work/config.yaml", {"bogus": 1})
    text = planned(folder, "-s", SNAKEFILE, "-d", "work", "--configfile", "mine.yaml")
    assert students(text) == {("tiny", "lesions_b", "seed0")}


def test_from_the_checkout_itself_paths_are_relative(fresh):
    text = planned(fresh, "--configfile", "tiny.yaml")
    assert ", rules/captions/report.rst, rules/captions/table1_accuracy.rst" in text


# With --config.


@pytest.mark.parametrize("seeds", ["seeds=3", "seeds=[3]", "seeds='[3]'"])
def test_numbers_of_the_command_line_are_numbers(folder, seeds):
    write(folder.folder / "config.yaml", SMALL)
    text = planned(folder, "-s", SNAKEFILE, "--config", seeds, "targets=digits")
    assert students(text) == {("tiny", "digits", "seed3")}


def test_overrides_complete_what_a_configfile_says(folder):
    write(folder.folder / "mine.yaml", SMALL)
    arguments = ["-s", SNAKEFILE, "--configfile", "mine.yaml"]
    text = refused(folder, *arguments, "--config", "probe={size: 4}", "training={lambda: 2}")
    # Both are read as numbers, beside what the file says: lesions_b has 6 classes.
    assert "training.lambda: 2 is not allowed" in text
    assert "probe.size: 4 is smaller than the 6 classes" in text
    text = refused(folder, *arguments, "--config", 'seeds=["3"]', "training={stps: 5}")
    assert "seeds.0: '3' is not allowed; it is text" in text
    assert "training.stps: unknown key" in text and "did you mean 'steps'" in text


def test_a_profile_can_override(folder):
    write(folder.folder / "config.yaml", SMALL)
    (folder.folder / "mine").mkdir()
    profile = {
        "config": {
            "seeds": [3, 4],
            "name": "1.10",
            "data_root": None,
            "training": {"learning_rate": 0.00001, "checkpoint_minutes": float("inf")},
        }
    }
    write(folder.folder / "mine/config.v9+.yaml", profile)
    text = planned(folder, "-s", SNAKEFILE, "--profile", "mine", "students")
    assert re.search(r"results/1\.10/students/lesions_b/[^/ ]+/seed3/metrics.json", text)
    assert re.search(r"results/1\.10/students/lesions_b/[^/ ]+/seed4/metrics.json", text)


def test_a_quoted_number_in_a_file_is_still_refused(folder):
    write(folder.folder / "config.yaml", {**SMALL, "seeds": ["3"]})
    text = refused(folder, "-s", SNAKEFILE, "--config", "training={steps: 10}")
    assert "seeds.0: '3' is not allowed; it is text" in text


# As a module.


def outer(folder: Workflow, *, configured: str = "", outer_rules: str = "") -> None:
    """Write an outer workflow, and its configuration, of which `distill` is a part."""
    write(folder.folder / "config.yaml", {"distill": SMALL, "of_the_outer_workflow": 1})
    text = f'configfile: "config.yaml"\n{outer_rules}{MODULE}{configured}\n{USE}'
    (folder.folder / "Snakefile").write_text(text)


OWN_RULE = """
rule mine:
    input:
        "results/tiny/report.html",
    output:
        "mine.txt",
    shell:
        "cp {input} {output}"

"""


def test_a_module_is_planned_with_its_part_of_the_configuration(folder):
    outer(folder, configured='    config: config["distill"]', outer_rules=OWN_RULE)
    overrides = ["--config", "distill={seeds: 3}", "of_the_outer_workflow={a: 1}"]
    text = planned(folder, "--printshellcmds", *overrides)
    assert students(text) == {("tiny", "lesions_b", "seed3")}
    assert {"mine", "distill_report", "distill_train_students"} <= rules(text)
    # Rules that were renamed are no strangers to `localrules`.
    assert "localrules directive" not in text
    assert f"snakemake --snakefile {SNAKEFILE} --configfile results/tiny/config.yaml" in text
    assert f"{ROOT}/rules/captions/report.rst" in text


@pytest.mark.slow
def test_a_module_runs_up_to_its_report(folder):
    outer(folder, configured='    config: config["distill"]', outer_rules=OWN_RULE)
    done = folder.snakemake("--config", "distill={seeds: 3}")
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    assert (folder.folder / "mine.txt").exists()
    assert_whole_report(folder.results)
    assert yaml.safe_load((folder.results / "config.yaml").read_text())["seeds"] == [3]
    # The outer workflow's own report has the module's captions, with the module's configuration.
    done = folder.snakemake("--report", "outer.html", "--config", "distill={seeds: 3}")
    text = done.stdout + done.stderr
    assert done.returncode == 0 and not re.search(r"[(](WARNING|ERROR|SEVERE)/", text), text
    assert "Targets: lesions_b. Seeds: 3." in (folder.folder / "outer.html").read_text()


def test_a_module_leaves_the_outer_default_target_alone(folder):
    own = 'rule mine:\n    output: "x.txt"\n    shell: "touch {output}"\n'
    outer(folder, configured='    config: config["distill"]', outer_rules=own)
    assert rules(planned(folder)) == {"mine"}


def test_a_module_without_config_has_the_checkouts_whatever_the_outer_one_is(folder):
    outer(folder)
    for arguments in (["--config", "of_the_outer_workflow=2"], ["--configfile", "config.yaml"]):
        text = planned(folder, "distill_all", *arguments)
        assert {name for name, _, _ in students(text)} == {"demo"}


def test_a_module_can_have_the_whole_configuration(folder):
    write(folder.folder / "mine.yaml", SMALL)
    (folder.folder / "Snakefile").write_text(f"{MODULE}    config: config\n{USE}")
    text = planned(folder, "--configfile", "mine.yaml", "--config", "seeds=[4]")
    assert students(text) == {("tiny", "lesions_b", "seed4")}
    assert {"distill_all", "distill_report"} <= rules(text)


def test_two_modules_have_two_configurations(folder):
    second = (
        MODULE.replace("distill", "second", 1) + '    config: {**config["distill"], "name": "b"}'
    )
    outer(folder, configured=f'    config: config["distill"]\n{second}')
    with open(folder.folder / "Snakefile", "a") as file:
        file.write("use rule * from second as second_*\n")
    text = planned(folder, "distill_students", "second_students")
    assert {name for name, _, _ in students(text)} == {"tiny", "b"}


@pytest.mark.parametrize("moving", ['prefix: "sub"', 'pathvars:\n        results="sub"'])
def test_results_of_a_module_cannot_be_moved(folder, moving):
    outer(folder, configured=f'    config: config["distill"]\n    {moving}')
    assert "cannot be moved by `prefix`" in refused(folder)


def test_a_bad_configuration_of_a_module_is_refused(folder):
    outer(folder, configured='    config: config["distill"]')
    text = refused(folder, "--config", "distill={seeds: x}")
    assert "seeds.0: 'x' is not allowed" in text
