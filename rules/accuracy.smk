# What all tables and figures are made of: the accuracy of every student, and the scores beside it.


rule collect_accuracy:
    input:
        metrics=RUN.products.metrics,
        similarity=[
            RUN.paths.similarity(target, str(seed))
            for target in RUN.targets
            for seed in config["seeds"]
        ],
        nearest=RUN.every(RUN.paths.nearest),
    output:
        **(
            {
                "label_fractions_accuracy": "<results>/tables/label_fractions_accuracy.csv",
                "label_fractions_nearest": "<results>/tables/label_fractions_nearest.csv",
            }
            if RUN.products.has_label_fractions
            else {}
        ),
        **(
            {"lambda_accuracy": "<results>/tables/lambda_accuracy.csv"}
            if RUN.products.has_lambdas
            else {}
        ),
        **(
            {"students_accuracy": "<results>/tables/students_accuracy.csv"}
            if "growth_students" in RUN.products.growth.names
            else {}
        ),
        accuracy="<results>/tables/accuracy.csv",
        similarity="<results>/tables/similarity.csv",
        nearest="<results>/tables/nearest.csv",
        compute="<results>/tables/compute.csv",
    log:
        "<results>/logs/collect_accuracy.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(20),
    params:
        # Only where there are any, so that the tables of other runs are not made again.
        **(
            {
                "students": RUN.products.growth.students,
                "student_recipes": RUN.products.growth.student_recipes,
            }
            if RUN.products.growth.student_recipes
            else {}
        ),
        code=code_of("collect_accuracy"),
        cells=RUN.products.cells,
        lambdas=RUN.products.lambdas,
        lambda_recipes=RUN.products.lambda_recipes,
        label_fraction=config["training"]["label_fraction"],
    script:
        "../workflow_scripts/collect_accuracy.py"
