# From similarity to the weight of every source, for each recipe.


rule compute_weights:
    input:
        "<results>/similarity/{target}/seed{seed}.csv",
    output:
        "<results>/weights/{target}/seed{seed}/{recipe}.csv",
    log:
        "<results>/logs/compute_weights/{target}-seed{seed}-{recipe}.log",
    conda:
        "../envs/distillweighted.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
        in_group=1,
    params:
        code=code_of("compute_weights"),
        seed=lambda wc: REPLICATES[wc.seed].seed,
        recipe=lambda wc: WEIGHT_RECIPES[wc.recipe],
        settings={
            **config["similarity"]["weighting"],
            "random_sources": config["methods"]["random_weights_sources"],
        },
        architectures=lambda wc: {
            name: SOURCES[name].architecture for name in ADMISSIBLE[wc.target]
        },
    script:
        "../workflow_scripts/compute_weights.py"


rule weights:
    input:
        [
            f"<results>/weights/{target}/seed{seed}/{recipe}.csv"
            for target in TARGETS
            for seed in REPLICATES
            for recipe in possible_weights(target)
        ],
