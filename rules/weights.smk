# From similarity to the weight of every source, for each recipe.


rule compute_weights:
    input:
        "<results>/similarity/{target}/seed{replicate}.csv",
    output:
        "<results>/weights/{target}/seed{replicate}/{recipe}.csv",
    log:
        "<results>/logs/compute_weights/{target}-seed{replicate}-{recipe}.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
        in_group=1,
    params:
        code=code_of("compute_weights"),
        job=lambda wc: RUN.jobs.weights(wc.target, wc.replicate, wc.recipe).as_params(),
    script:
        "../workflow_scripts/compute_weights.py"


rule weights:
    input:
        [
            RUN.paths.weights(target, replicate, recipe)
            for target in RUN.targets
            for replicate in RUN.replicates
            for recipe in RUN.possible_weights(target)
        ],
