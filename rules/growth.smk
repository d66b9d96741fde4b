# How distillation grows: with its sources, its labels, its student.


# Only for a configuration with methods.distill_subset_sizes: a table, and a figure of the same name.
rule growth_sources:
    input:
        accuracy="<results>/tables/accuracy.csv",
        similarity="<results>/tables/similarity.csv",
        sources=[RUN.paths.model_facts(name) for name in RUN.sources],
    output:
        RUN.paths.table_files("growth_sources")[1:],
        csv=report(
            "<results>/tables/growth_sources.csv",
            caption="captions/growth_sources.rst",
            category="Tables",
            labels={"item": "Number of sources", "shows": "accuracy and cost"},
        ),
        pdf="<results>/figures/growth_sources.pdf",
        png=report(
            "<results>/figures/growth_sources.png",
            caption="captions/growth_sources.rst",
            category="Figures",
            labels={"item": "Number of sources", "shows": "accuracy and cost"},
        ),
    log:
        "<results>/logs/growth_sources.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("growth_sources"),
        subsets=RUN.products.growth.subsets,
        recipes=RUN.products.growth.sizes,
        all_sources=RUN.products.growth.all_sources,
        metric=config["similarity"]["weighting"]["metric"],
        representation=config["similarity"]["weighting"]["representation"],
        caption=RUN.products.caption,
    script:
        "../workflow_scripts/growth_sources.py"


# Only for a configuration with training.other_label_fractions: a table, and a figure of the same name.
rule growth_labels:
    input:
        accuracy="<results>/tables/label_fractions_accuracy.csv",
        nearest="<results>/tables/label_fractions_nearest.csv",
    output:
        RUN.paths.table_files("growth_labels")[1:],
        csv=report(
            "<results>/tables/growth_labels.csv",
            caption="captions/growth_labels.rst",
            category="Tables",
            labels={"item": "Share of labels", "shows": "accuracy and improvement"},
        ),
        pdf="<results>/figures/growth_labels.pdf",
        png=report(
            "<results>/figures/growth_labels.png",
            caption="captions/growth_labels.rst",
            category="Figures",
            labels={"item": "Share of labels", "shows": "accuracy and improvement"},
        ),
    log:
        "<results>/logs/growth_labels.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("growth_labels"),
        default_p=config["methods"]["default_p"],
        caption=RUN.products.caption,
    script:
        "../workflow_scripts/growth_labels.py"


# Only for a configuration with student.other_architectures: a table, and a figure of the same name.
rule growth_students:
    input:
        accuracy="<results>/tables/students_accuracy.csv",
        nearest="<results>/tables/nearest.csv",
    output:
        RUN.paths.table_files("growth_students")[1:],
        csv=report(
            "<results>/tables/growth_students.csv",
            caption="captions/growth_students.rst",
            category="Tables",
            labels={"item": "Size of the student", "shows": "accuracy and cost"},
        ),
        pdf="<results>/figures/growth_students.pdf",
        png=report(
            "<results>/figures/growth_students.png",
            caption="captions/growth_students.rst",
            category="Figures",
            labels={"item": "Size of the student", "shows": "accuracy and cost"},
        ),
    log:
        "<results>/logs/growth_students.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("growth_students"),
        default_p=config["methods"]["default_p"],
        caption=RUN.products.caption,
    script:
        "../workflow_scripts/growth_students.py"
