# The paper's tables, as CSV (unrounded), Markdown and LaTeX.


rule table1_accuracy:
    input:
        accuracy="<results>/tables/accuracy.csv",
        nearest="<results>/tables/nearest.csv",
        compute="<results>/tables/compute.csv",
    output:
        RUN.paths.table_files("table1_accuracy")[1:],
        RUN.paths.table_files("table1_standard_error")[1:],
        RUN.paths.table_files("table1_balanced_accuracy")[1:],
        mean=report(
            "<results>/tables/table1_accuracy.csv",
            caption="captions/table1_accuracy.rst",
            category="Tables",
            labels={"item": "Table 1", "shows": "accuracy"},
        ),
        error=report(
            "<results>/tables/table1_standard_error.csv",
            caption="captions/table1_accuracy.rst",
            category="Tables",
            labels={"item": "Table 1", "shows": "standard errors over seeds"},
        ),
        balanced=report(
            "<results>/tables/table1_balanced_accuracy.csv",
            caption="captions/table1_accuracy.rst",
            category="Tables",
            labels={"item": "Table 1", "shows": "balanced accuracy"},
        ),
    log:
        "<results>/logs/table1_accuracy.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("table1_accuracy"),
        default_p=config["methods"]["default_p"],
        oracle=RUN.products.has_oracle,
        caption=RUN.products.caption,
    script:
        "../workflow_scripts/table1_accuracy.py"


# Only for a configuration with the method of figures.paired_reference.
rule table1_paired:
    input:
        accuracy="<results>/tables/accuracy.csv",
        nearest="<results>/tables/nearest.csv",
    output:
        RUN.paths.table_files("table1_paired")[1:],
        RUN.paths.table_files("table1_paired_targets")[1:],
        pairs=report(
            "<results>/tables/table1_paired.csv",
            caption="captions/table1_paired.rst",
            category="Tables",
            labels={"item": "Table 1", "shows": "paired comparison"},
        ),
        targets=report(
            "<results>/tables/table1_paired_targets.csv",
            caption="captions/table1_paired.rst",
            category="Tables",
            labels={"item": "Table 1", "shows": "paired comparison by target"},
        ),
    log:
        "<results>/logs/table1_paired.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("table1_paired"),
        default_p=config["methods"]["default_p"],
        oracle=RUN.products.has_oracle,
        reference=config["figures"]["paired_reference"],
        caption=RUN.products.caption,
    script:
        "../workflow_scripts/table1_paired.py"


# As table1_paired; what a reader who chooses a method wants of it.
rule all_methods:
    input:
        accuracy="<results>/tables/accuracy.csv",
        nearest="<results>/tables/nearest.csv",
    output:
        RUN.paths.table_files("all_methods")[1:],
        csv=report(
            "<results>/tables/all_methods.csv",
            caption="captions/all_methods.rst",
            category="Tables",
            labels={"item": "All methods", "shows": "origin, gain and cost"},
        ),
    log:
        "<results>/logs/all_methods.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("all_methods"),
        default_p=config["methods"]["default_p"],
        oracle=RUN.products.has_oracle,
        reference=config["figures"]["paired_reference"],
        caption=RUN.products.caption,
    script:
        "../workflow_scripts/all_methods.py"


# Only for a configuration with single-source students of 2 sources or more.
rule table1_random_selection:
    input:
        accuracy="<results>/tables/accuracy.csv",
    output:
        RUN.paths.table_files("table1_random_selection")[1:],
        csv=report(
            "<results>/tables/table1_random_selection.csv",
            caption="captions/table1_random_selection.rst",
            category="Tables",
            labels={"item": "Table 1", "shows": "random selection by source"},
        ),
    log:
        "<results>/logs/table1_random_selection.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("table1_random_selection"),
        caption=RUN.products.caption,
    script:
        "../workflow_scripts/table1_random_selection.py"


rule table2_correlation:
    input:
        accuracy="<results>/tables/accuracy.csv",
        similarity="<results>/tables/similarity.csv",
        sources=[RUN.paths.model_facts(name) for name in RUN.sources],
    output:
        RUN.paths.table_files("table2_correlation")[1:],
        RUN.paths.table_files("table2_intervals")[1:],
        RUN.paths.table_files("table2_differences")[1:],
        RUN.paths.table_files("table2_noise_ceiling")[1:],
        RUN.paths.table_files("table2_other_coefficients")[1:],
        correlation=report(
            "<results>/tables/table2_correlation.csv",
            caption="captions/table2_correlation.rst",
            category="Tables",
            labels={"item": "Table 2", "shows": "Spearman correlation"},
        ),
        intervals=report(
            "<results>/tables/table2_intervals.csv",
            caption="captions/table2_correlation.rst",
            category="Tables",
            labels={"item": "Table 2", "shows": "95% intervals"},
        ),
        differences=report(
            "<results>/tables/table2_differences.csv",
            caption="captions/table2_differences.rst",
            category="Tables",
            labels={"item": "Table 2", "shows": "differences between metrics"},
        ),
        ceiling=report(
            "<results>/tables/table2_noise_ceiling.csv",
            caption="captions/table2_noise_ceiling.rst",
            category="Tables",
            labels={"item": "Table 2", "shows": "noise ceiling"},
        ),
        others=report(
            "<results>/tables/table2_other_coefficients.csv",
            caption="captions/table2_correlation.rst",
            category="Tables",
            labels={"item": "Table 2", "shows": "other coefficients"},
        ),
    log:
        "<results>/logs/table2_correlation.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(20),
    params:
        code=code_of("table2_correlation"),
        bootstrap=config["figures"]["bootstrap"],
        metric=config["similarity"]["weighting"]["metric"],
        representation=config["similarity"]["weighting"]["representation"],
        caption=RUN.products.caption,
    script:
        "../workflow_scripts/table2_correlation.py"


rule table3_relative_accuracy:
    input:
        accuracy="<results>/tables/accuracy.csv",
        similarity="<results>/tables/similarity.csv",
        sources=[RUN.paths.model_facts(name) for name in RUN.sources],
    output:
        RUN.paths.table_files("table3_relative_accuracy")[1:],
        RUN.paths.table_files("table3_other_k")[1:],
        RUN.paths.table_files("table3_regret")[1:],
        relative=report(
            "<results>/tables/table3_relative_accuracy.csv",
            caption="captions/table3_relative_accuracy.rst",
            category="Tables",
            labels={"item": "Table 3", "shows": "relative accuracy, k = 3"},
        ),
        other_k=report(
            "<results>/tables/table3_other_k.csv",
            caption="captions/table3_relative_accuracy.rst",
            category="Tables",
            labels={"item": "Table 3", "shows": "relative accuracy, other k"},
        ),
        regret=report(
            "<results>/tables/table3_regret.csv",
            caption="captions/table3_regret.rst",
            category="Tables",
            labels={"item": "Table 3", "shows": "regret at k"},
        ),
    log:
        "<results>/logs/table3_relative_accuracy.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("table3_relative_accuracy"),
        k=3,
        other_k=config["figures"]["other_k"],
        caption=RUN.products.caption,
    script:
        "../workflow_scripts/table3_relative_accuracy.py"


# Only for a configuration with training.other_label_fractions.
rule table_label_fractions:
    input:
        accuracy="<results>/tables/label_fractions_accuracy.csv",
        nearest="<results>/tables/label_fractions_nearest.csv",
    output:
        RUN.paths.table_files("table_label_fractions")[1:],
        csv=report(
            "<results>/tables/table_label_fractions.csv",
            caption="captions/table_label_fractions.rst",
            category="Tables",
            labels={"item": "Label fractions", "shows": "accuracy by label fraction"},
        ),
    log:
        "<results>/logs/table_label_fractions.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("table_label_fractions"),
        default_p=config["methods"]["default_p"],
        caption=RUN.products.caption,
    script:
        "../workflow_scripts/table_label_fractions.py"


# Only for a configuration with figures.target_groups.
rule table_target_groups:
    input:
        accuracy="<results>/tables/accuracy.csv",
        nearest="<results>/tables/nearest.csv",
    output:
        RUN.paths.table_files("table_target_groups")[1:],
        csv=report(
            "<results>/tables/table_target_groups.csv",
            caption="captions/table_target_groups.rst",
            category="Tables",
            labels={"item": "Target groups", "shows": "improvement over IN+Transfer"},
        ),
    log:
        "<results>/logs/table_target_groups.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("table_target_groups"),
        groups=config["figures"]["target_groups"],
        default_p=config["methods"]["default_p"],
        caption=RUN.products.caption,
    script:
        "../workflow_scripts/table_target_groups.py"


rule comparison_with_paper:
    input:
        **(
            {
                "table2": "<results>/tables/table2_correlation.csv",
                "table3": "<results>/tables/table3_relative_accuracy.csv",
            }
            if RUN.products.has_correlations
            else {}
        ),
        table1="<results>/tables/table1_accuracy.csv",
    output:
        RUN.paths.table_files("comparison_with_paper")[1:],
        RUN.paths.table_files("comparison_paired")[1:],
        paired=(
            report(
                "<results>/tables/comparison_paired.csv",
                caption="captions/comparison_with_paper.rst",
                category="Tables",
                labels={"item": "Comparison", "shows": "paired comparison in the paper's Table 1"},
            )
            if RUN.products.is_comparable
            else "<results>/tables/comparison_paired.csv"
        ),
        csv=(
            report(
                "<results>/tables/comparison_with_paper.csv",
                caption="captions/comparison_with_paper.rst",
                category="Tables",
                labels={"item": "Comparison", "shows": "the paper's numbers beside these"},
            )
            if RUN.products.is_comparable
            else "<results>/tables/comparison_with_paper.csv"
        ),
    log:
        "<results>/logs/comparison_with_paper.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("comparison_with_paper"),
    script:
        "../workflow_scripts/comparison_with_paper.py"


rule tables:
    input:
        [RUN.paths.table(name) for name in RUN.products.tables],
