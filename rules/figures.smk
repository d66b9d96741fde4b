# The paper's figures, as PNG and vector PDF.


rule fig1_weightings:
    input:
        accuracy="<results>/tables/accuracy.csv",
        nearest="<results>/tables/nearest.csv",
    output:
        pdf="<results>/figures/fig1_weightings.pdf",
        png=report(
            "<results>/figures/fig1_weightings.png",
            caption="captions/fig1_weightings.rst",
            category="Figures",
            labels={"item": "Figure 1", "shows": "accuracy by weighting"},
        ),
    log:
        "<results>/logs/fig1_weightings.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("fig1_weightings"),
        default_p=config["methods"]["default_p"],
        targets=config["figures"]["fig1_targets"],
    script:
        "../workflow_scripts/fig1_weightings.py"


rule fig3_single_source:
    input:
        accuracy="<results>/tables/accuracy.csv",
        similarity="<results>/tables/similarity.csv",
        nearest="<results>/tables/nearest.csv",
        table2="<results>/tables/table2_correlation.csv",
    output:
        pdf="<results>/figures/fig3_single_source.pdf",
        png=report(
            "<results>/figures/fig3_single_source.png",
            caption="captions/fig3_single_source.rst",
            category="Figures",
            labels={"item": "Figure 3", "shows": "single-source students"},
        ),
    log:
        "<results>/logs/fig3_single_source.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("fig3_single_source"),
        default_p=config["methods"]["default_p"],
        metric=config["similarity"]["weighting"]["metric"],
        representation=config["similarity"]["weighting"]["representation"],
    script:
        "../workflow_scripts/fig3_single_source.py"


rule fig4_similarity_vs_accuracy:
    input:
        accuracy="<results>/tables/accuracy.csv",
        similarity="<results>/tables/similarity.csv",
        table2="<results>/tables/table2_correlation.csv",
    output:
        pdf="<results>/figures/fig4_similarity_vs_accuracy.pdf",
        png=report(
            "<results>/figures/fig4_similarity_vs_accuracy.png",
            caption="captions/fig4_similarity_vs_accuracy.rst",
            category="Figures",
            labels={"item": "Figure 4", "shows": "similarity and accuracy"},
        ),
    log:
        "<results>/logs/fig4_similarity_vs_accuracy.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("fig4_similarity_vs_accuracy"),
        metric=config["similarity"]["weighting"]["metric"],
        representation=config["similarity"]["weighting"]["representation"],
        sources=RUN.products.sources_by_task,
    script:
        "../workflow_scripts/fig4_similarity_vs_accuracy.py"


rule fig5_accuracy_vs_compute:
    input:
        accuracy="<results>/tables/accuracy.csv",
        nearest="<results>/tables/nearest.csv",
        compute="<results>/tables/compute.csv",
    output:
        pdf="<results>/figures/fig5_accuracy_vs_compute.pdf",
        png=report(
            "<results>/figures/fig5_accuracy_vs_compute.png",
            caption="captions/fig5_accuracy_vs_compute.rst",
            category="Figures",
            labels={"item": "Figure 5", "shows": "accuracy and compute"},
        ),
    log:
        "<results>/logs/fig5_accuracy_vs_compute.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("fig5_accuracy_vs_compute"),
        default_p=config["methods"]["default_p"],
    script:
        "../workflow_scripts/fig5_accuracy_vs_compute.py"


rule fig6_effect_of_p:
    input:
        accuracy="<results>/tables/accuracy.csv",
        nearest="<results>/tables/nearest.csv",
    output:
        pdf="<results>/figures/fig6_effect_of_p.pdf",
        png=report(
            "<results>/figures/fig6_effect_of_p.png",
            caption="captions/fig6_effect_of_p.rst",
            category="Figures",
            labels={"item": "Figure 6", "shows": "effect of p"},
        ),
    log:
        "<results>/logs/fig6_effect_of_p.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("fig6_effect_of_p"),
    script:
        "../workflow_scripts/fig6_effect_of_p.py"


# Only for a configuration with at least 3 methods and 5 targets.
rule critical_difference:
    input:
        accuracy="<results>/tables/accuracy.csv",
        nearest="<results>/tables/nearest.csv",
    output:
        pdf="<results>/figures/critical_difference.pdf",
        png=report(
            "<results>/figures/critical_difference.png",
            caption="captions/critical_difference.rst",
            category="Figures",
            labels={"item": "Mean ranks", "shows": "methods not told apart"},
        ),
    log:
        "<results>/logs/critical_difference.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("critical_difference"),
        default_p=config["methods"]["default_p"],
    script:
        "../workflow_scripts/critical_difference.py"


rule figures:
    input:
        [RUN.paths.figure(name) for name in RUN.products.figures],
