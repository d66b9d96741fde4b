# The self-contained report, and what ran.


rule describe_run:
    input:
        "<results>/tables/accuracy.csv",
        sources=[RUN.paths.model_facts(name) for name in RUN.sources],
    output:
        config="<results>/config.yaml",
        sources=report(
            "<results>/tables/sources.csv",
            caption="captions/sources.rst",
            category="Run",
            labels={"item": "Sources", "shows": "accuracy and cost"},
        ),
        exclusions=report(
            "<results>/tables/exclusions.csv",
            caption="captions/exclusions.rst",
            category="Run",
            labels={"item": "Exclusions", "shows": "sources kept from targets"},
        ),
        versions=report(
            "<results>/tables/versions.csv",
            caption="captions/versions.rst",
            category="Run",
            labels={"item": "Versions", "shows": "packages and machine"},
        ),
    log:
        "<results>/logs/describe_run.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("describe_run"),
        config=config,
        exclusions=RUN.products.exclusions,
    script:
        "../workflow_scripts/describe_run.py"


# What the report opens on, and what `make demo` prints.
rule answer:
    input:
        **({"paired": "<results>/tables/table1_paired.csv"} if RUN.products.has_pairs else {}),
        table1="<results>/tables/table1_accuracy.csv",
        figure="<results>/figures/fig1_weightings.png",
    output:
        text=report(
            "<results>/answer.txt",
            caption="captions/answer.rst",
            category="Run",
            labels={"item": "Answer", "shows": "what the run says"},
        ),
        rst="<results>/answer.rst",
    log:
        "<results>/logs/answer.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("answer"),
    script:
        "../workflow_scripts/answer.py"


# Snakemake writes the report of a finished run, so this job asks a second Snakemake for it. A broken
# caption would only be printed there: the job looks for that and fails.
rule report:
    input:
        [RUN.paths.table(name) for name in RUN.products.tables],
        [RUN.paths.figure(name) for name in RUN.products.figures],
        [RUN.paths.table(name) for name in ("sources", "exclusions", "versions")],
        answer=["<results>/answer.rst"] if RUN.products.has_answer else [],
        config="<results>/config.yaml",
        stylesheet=checkout_file("rules/captions/report.css"),
        template=checkout_file("rules/captions/report.rst"),
        captions=[checkout_file(f"rules/captions/{name}.rst") for name in RUN.products.captions],
    output:
        "<results>/report.html",
    log:
        "<results>/logs/report.log",
    localrule: True
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        snakefile=str(CHECKOUT / "Snakefile"),
        reported=RUN.products.reported,
    shell:
        "snakemake --snakefile {params.snakefile:q} --configfile {input.config:q} --nolock "
        "--report {output:q} --report-stylesheet {input.stylesheet:q} "
        "{params.reported:q} > {log:q} 2>&1 "
        "&& ! grep -E '[(](WARNING|ERROR|SEVERE)/' {log:q}"
