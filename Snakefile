# The experiment of "Distilling from Similar Tasks for Transfer Learning on a Budget": from tasks and
# source models to the paper's tables and figures. `snakemake --cores all` makes everything.
from snakemake.utils import min_version

min_version("9.14")


# A --configfile replaces config.yaml; Snakemake would otherwise merge the two.
if not workflow.configfiles:

    configfile: "config.yaml"


include: "rules/common.smk"


report: "rules/captions/report.rst"


pathvars:
    results=RESULTS,


wildcard_constraints:
    target="[^/]+",
    task="[^/]+",
    source="[^/]+",
    recipe="[^/]+",
    cohort="[^/]+",
    replicate=r"\d+(-labels[^/]+)?",


# A plan (-n) does not come here, so that it can be made without the data.
onstart:
    look_once_for_ready_jobs()
    check_results()
    check_files(workflow.dag.needrun_jobs())


localrules:
    all,
    splits,
    sources,
    inference,
    similarity,
    weights,
    students,
    tables,
    figures,


# The students stand here too, so that one whose file was removed is made again.
rule all:
    default_target: True
    input:
        RUN.products.files_of_students(*STUDENT_PRODUCTS),
        "<results>/report.html",


include: "rules/data.smk"
include: "rules/sources.smk"
include: "rules/inference.smk"
include: "rules/similarity.smk"
include: "rules/weights.smk"
include: "rules/students.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/report.smk"
