# The experiment of "Distilling from Similar Tasks for Transfer Learning on a Budget": from tasks and
# source models to the paper's tables and figures. `snakemake --cores all` makes everything.
from pathlib import Path

from snakemake.utils import min_version

min_version("9.14")

# In a module, workflow.basedir would be the outer workflow's.
CHECKOUT = Path(str(workflow.current_basedir))
IS_MODULE = not workflow.modifier.is_main_snakefile()


# A --configfile replaces config.yaml; Snakemake would otherwise merge the two. A module has what its
# `config:` says, and nothing of the outer workflow's files.
if not workflow.configfiles and not IS_MODULE:

    configfile: "config.yaml" if Path("config.yaml").exists() else str(CHECKOUT / "config.yaml")


include: "rules/common.smk"


# The outer workflow's report has its own text.
if not IS_MODULE:

    report: "rules/captions/report.rst"


pathvars:
    results=RESULTS,


# Jobs are told folders of results in their parameters, where a module's prefix does not get.
if workflow.pathvars.get("results") != RESULTS or RESULTS != (
    workflow.modifier.path_modifier.replace_prefix(RESULTS)
):
    raise WorkflowError(
        f"{RESULTS}: the results of this workflow cannot be moved by `prefix`, `replace_prefix` or "
        "`pathvars`; run it in another working directory, or give it another `name`."
    )


wildcard_constraints:
    target="[^/]+",
    task="[^/]+",
    source="[^/]+",
    recipe="[^/]+",
    cohort="[^/]+",
    views=r"\d+",
    replicate=r"\d+(-labels[^/]+?)?(-validation)?",


# A plan (-n) does not come here, so that it can be made without the data.
onstart:
    collect_garbage()
    look_once_for_ready_jobs()
    check_results()
    check_files(workflow.dag.needrun_jobs())


# The first rule, and so the default target: `default_target` would take an outer workflow's from it.
# The students stand here too, so that one whose file was removed is made again.
rule all:
    input:
        lambda wc: files_of_students(),
        "<results>/report.html",


include: "rules/data.smk"
include: "rules/sources.smk"
include: "rules/inference.smk"
include: "rules/similarity.smk"
include: "rules/weights.smk"
include: "rules/students.smk"
include: "rules/student.smk"
include: "rules/accuracy.smk"
include: "rules/tables.smk"
include: "rules/choices.smk"
include: "rules/growth.smk"
include: "rules/figures.smk"
include: "rules/report.smk"
