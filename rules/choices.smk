# What settings were chosen, and what they change: lambda, p and k, learning rates.


# Only for a configuration with training.other_lambdas: a table, and a figure of the same name.
rule effect_of_lambda:
    input:
        "<results>/tables/lambda_accuracy.csv",
    output:
        RUN.paths.table_files("effect_of_lambda")[1:],
        csv=report(
            "<results>/tables/effect_of_lambda.csv",
            caption="captions/effect_of_lambda.rst",
            category="Tables",
            labels={"item": "Effect of lambda", "shows": "improvement over IN+Transfer"},
        ),
        pdf="<results>/figures/effect_of_lambda.pdf",
        png=report(
            "<results>/figures/effect_of_lambda.png",
            caption="captions/effect_of_lambda.rst",
            category="Figures",
            labels={"item": "Effect of lambda", "shows": "improvement over IN+Transfer"},
        ),
    log:
        "<results>/logs/effect_of_lambda.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("effect_of_lambda"),
        caption=RUN.products.caption,
    script:
        "../workflow_scripts/effect_of_lambda.py"


# Only for a configuration with two exponents or more, and a rule that chooses p or k.
rule choice_of_weights:
    input:
        accuracy="<results>/tables/accuracy.csv",
        nearest="<results>/tables/nearest.csv",
        choices=RUN.products.choice_files,
    output:
        RUN.paths.table_files("choice_of_weights")[1:],
        csv=report(
            "<results>/tables/choice_of_weights.csv",
            caption="captions/choice_of_weights.rst",
            category="Tables",
            labels={"item": "Choice of weights", "shows": "rules that choose p and k"},
        ),
    log:
        "<results>/logs/choice_of_weights.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("choice_of_weights"),
        exponents=RUN.products.compared_exponents,
        caption=RUN.products.caption,
    script:
        "../workflow_scripts/choice_of_weights.py"


# Only for a configuration with `tuning`, whose one table it is; learning_rates.yaml is what such a
# run is for.
rule tuning:
    input:
        RUN.products.metrics,
    output:
        RUN.paths.table_files("tuning")[1:],
        csv=report(
            "<results>/tables/tuning.csv",
            caption="captions/tuning.rst",
            category="Tables",
            labels={"item": "Tuning", "shows": "accuracy by learning rate"},
        ),
        rates="<results>/tables/learning_rates.yaml",
    log:
        "<results>/logs/tuning.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        code=code_of("tuning"),
        names=RUN.products.tuned_names,
        caption=RUN.products.caption,
    script:
        "../workflow_scripts/tuning.py"
